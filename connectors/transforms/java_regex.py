"""Java's regular expressions, as far as they differ from Python's."""

from __future__ import annotations

import re
from collections.abc import Callable

from connectors.api.errors import ConfigError

__all__ = ["compile_java", "compile_replacement"]

_NAMED_GROUP = re.compile(r"(?<!\\)\(\?<(?=[A-Za-z])")
_REPLACEMENT = re.compile(r"\\(?P<literal>.)|\$\{(?P<name>\w+)\}|\$(?P<number>\d+)|(?P<plain>[^\\$]+)", re.DOTALL)


def compile_java(option: str, pattern: str) -> re.Pattern[str]:
    r"""Compile a pattern; Java's named groups `(?<name>...)` are understood, `\p{...}` is not.

    Raises:
        ConfigError: It is no regular expression.
    """
    try:
        return re.compile(_NAMED_GROUP.sub("(?P<", pattern))
    except re.error as error:
        raise ConfigError(f"Option {option}: {pattern!r} is no regular expression: {error}", key=option) from None


def compile_replacement(option: str, text: str, pattern: re.Pattern[str]) -> Callable[[re.Match[str]], str]:
    r"""Compile a replacement in Java's syntax: `$1`, `${name}` and `\$` for a dollar sign.

    Raises:
        ConfigError: It cannot be read, or names a group that the pattern has not.
    """
    parts: list[str | tuple[int | str]] = []
    position = 0
    while position < len(text):
        match = _REPLACEMENT.match(text, position)
        if match is None:
            message = f"Option {option}: cannot read {text[position:]!r}; write $1, ${{name}}, or \\$ for a dollar sign"
            raise ConfigError(message, key=option)
        position = match.end()
        if match["literal"] or match["plain"]:
            parts.append(match["literal"] or match["plain"])
        elif match["name"]:
            if match["name"] not in pattern.groupindex:
                raise ConfigError(f"Option {option}: the pattern has no group {match['name']}", key=option)
            parts.append((match["name"],))
        else:
            number, rest = _group(option, match["number"], pattern.groups)
            parts += [(number,), rest]
    return lambda match: "".join(part if isinstance(part, str) else match[part[0]] or "" for part in parts)


def _group(option: str, digits: str, groups: int) -> tuple[int, str]:
    # As in Java: the first digit always counts, further ones as long as there is such a group.
    taken = 1
    while taken < len(digits) and int(digits[: taken + 1]) <= groups:
        taken += 1
    number = int(digits[:taken])
    if number > groups:
        raise ConfigError(f"Option {option}: the pattern has no group {number}", key=option)
    return number, digits[taken:]
