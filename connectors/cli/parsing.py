"""The syntax of configuration files: YAML, JSON or .properties, with values as they are written."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import YAMLError
from ruamel.yaml.resolver import VersionedResolver

from connectors.cli.errors import USAGE, CommandError

__all__ = ["STDIN", "parse"]

STDIN: Final = Path("-")
"""Stands for standard input; what comes from there is YAML, of which JSON is a part."""

_PAIR = re.compile(r"((?:\\.|[^\\=:\s])+)\s*[=:]\s*(.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_LINE_END = re.compile(r"\r\n|\r|\n")
_TRAILING = re.compile(r"(?<!\\)\s+$")  # an escaped space at the end belongs to the value
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f"}


def parse(file: Path) -> list[Any]:
    """Return the documents in a file, scalars as text, boolean or None; by its suffix, YAML where that says nothing.

    Raises:
        CommandError: It cannot be read or parsed; names file and line.
    """
    try:
        data = sys.stdin.buffer.read() if file == STDIN else file.read_bytes()
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise CommandError(f"{file}: cannot be read: {error.strerror}", USAGE) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise CommandError(f"{file}:{line}: is not UTF-8", USAGE) from None
    try:
        if file.suffix == ".json":
            return [_json(text)]
        if file.suffix == ".properties":
            return [_properties(file, text)]
        return list(_yaml().load_all(text))
    except json.JSONDecodeError as error:
        raise CommandError(f"{file}:{error.lineno}: {error.msg}", USAGE) from None
    except YAMLError as error:
        _refuse_yaml(file, error)
    except RecursionError:
        raise CommandError(f"{file}: nested too deeply", USAGE) from None


def _json(text: str) -> Any:
    # Numbers stay as they are written, as in YAML.
    return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)


def _yaml() -> YAML:
    yaml = YAML(typ="safe", pure=True)
    yaml.Resolver = _AsWritten
    return yaml


class _AsWritten(VersionedResolver):
    """Keeps values as they are written: 0123, 1e3 and `on` are passwords or names here, no numbers or booleans."""

    _BOOLEAN = ("tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)\Z"))
    _NULL = ("tag:yaml.org,2002:null", re.compile(r"(?:~|null|Null|NULL|)\Z"))
    _MERGE = ("tag:yaml.org,2002:merge", re.compile(r"<<\Z"))

    @property
    def versioned_resolver(self) -> dict[str, list[Any]]:
        """The rules for values without quotes, by their first character."""
        rules = dict.fromkeys("tTfF", self._BOOLEAN) | dict.fromkeys(["~", "n", "N", ""], self._NULL)
        return {first: [rule] for first, rule in (rules | {"<": self._MERGE}).items()}


def _refuse_yaml(file: Path, error: YAMLError) -> NoReturn:
    mark = getattr(error, "problem_mark", None)
    line = f":{mark.line + 1}" if mark else ""
    problem = getattr(error, "problem", None) or str(error)
    if isinstance(error, DuplicateKeyError):
        problem = problem.partition(" with value ")[0]  # both values follow, and may be passwords
    raise CommandError(f"{file}{line}: {problem}", USAGE) from None


def _properties(file: Path, text: str) -> dict[str, str]:
    """Read pairs as `java.util.Properties.load` does: continued lines, `=` or `:`, backslash escapes."""
    props: dict[str, str] = {}
    for number, line in _logical_lines(text):
        found = _PAIR.fullmatch(line)
        if found is None:
            # The line is not repeated: it may be half of a password.
            raise CommandError(f"{file}:{number}: no `key = value`", USAGE)
        key = _unescaped(found[1])
        if key in props:
            raise CommandError(f"{file}:{number}: option {key} is there twice", USAGE)
        props[key] = _unescaped(found[2])
    return props


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    held, first = "", 0
    for number, line in enumerate(_LINE_END.split(text), 1):
        part = _TRAILING.sub("", line.lstrip())
        if not first and (not part or part[0] in "#!"):
            continue
        held, first = held + part, first or number
        if (len(part) - len(part.rstrip("\\"))) % 2:  # an odd number of backslashes: the line goes on
            held = held[:-1]
            continue
        yield first, held
        held, first = "", 0
    if held:
        yield first, held


def _unescaped(text: str) -> str:
    def plain(found: re.Match[str]) -> str:
        code = found[1]
        return chr(int(code[1:], 16)) if len(code) == 5 else _CONTROLS.get(code, code)

    return _ESCAPE.sub(plain, text)
