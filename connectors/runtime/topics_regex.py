r"""`topics.regex` as librdkafka takes it: POSIX's extended expressions, where users write Java's.

Left as it is, `orders-\d+` would match no topic and `a|b` would match `abc`, both without a word.
Source: Kafka Connect's `topics.regex`, a java.util.regex.Pattern that matches whole names; POSIX 1003.1, 9.4.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from connectors.api.errors import ConfigError

__all__ = ["check_topics_regex", "subscription"]

_OPTION: Final = "topics.regex"
_CLASSES: Final = {"d": "0-9", "w": "A-Za-z0-9_", "s": " \t"}
_TOKEN: Final = re.compile(
    r"\\(?P<escape>.)|\[(?P<not>\^?)(?P<class>(?:\\.|[^]\\])+)\]|(?P<plain>\(\?:)|(?P<other>\(\?)"
    r"|(?P<twice>[*+?}][?+])|(?P<one>.)",
    re.DOTALL,
)


def subscription(regex: str, prefix: str = "") -> str:
    """Return what to subscribe to.

    Args:
        regex: Java's regular expression of whole names.
        prefix: What topics in Kafka have before the names that users see.

    Raises:
        ConfigError: It has something that POSIX's expressions do not know.
    """
    begin = "".join(map(_literal, prefix))
    return f"^{begin}({''.join(_translated(regex))})$"


def check_topics_regex(name: str, value: Any) -> None:
    """Allow regular expressions that a consumer can subscribe to."""
    try:
        re.compile(value)
    except re.error as error:
        raise ConfigError(f"Option {name}: {value!r} is no regular expression: {error}", key=name) from None
    subscription(value)


def _translated(regex: str) -> Iterator[str]:
    for found in _TOKEN.finditer(regex):
        if found["escape"] is not None:
            yield _escaped(found["escape"])
        elif found["class"] is not None:
            yield f"[{found['not']}{_class(found['class'])}]"
        elif found["plain"] is not None:
            yield "("
        elif found["other"] or found["twice"] or found["one"] == "[":
            raise _unknown(found[0])
        else:
            yield found[0]


def _escaped(letter: str) -> str:
    if letter.lower() in _CLASSES:
        return f"[{'^' if letter.isupper() else ''}{_CLASSES[letter.lower()]}]"
    if letter.isalnum():
        raise _unknown(f"\\{letter}")
    return _literal(letter)


def _literal(letter: str) -> str:
    return f"\\{letter}" if letter in ".[]()*+?{}|^$\\" else letter


def _class(text: str) -> str:
    """Return what stands in brackets, where POSIX takes a backslash for itself."""
    made, last = "", ""
    for escaped, letter in re.findall(r"\\(.)|(.)", text, re.DOTALL):
        if escaped in _CLASSES and escaped:
            made += _CLASSES[escaped]
        elif escaped == "-":
            last = "-"
        elif escaped.isalnum() or escaped in tuple("[]^\\") or letter in tuple("[&"):
            raise _unknown(f"[{text}]")
        else:
            made += escaped or letter
    return made + last


def _unknown(part: str) -> ConfigError:
    text = (
        f"Option {_OPTION}: {part} cannot be used in the expression of a subscription; write it without, or list topics"
    )
    return ConfigError(text, key=_OPTION)
