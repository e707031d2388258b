"""The row decoder: Python code written and compiled once for each table layout.

A general decoder spends its time on asking each value what it is. Here the layout is known, so the code for a row is
straight: neighbouring columns of fixed size are one `struct` call, and a row's JSON text is one f-string. Rows with a
NULL take a second path that asks for each column.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import cache
from json.encoder import encode_basestring
from typing import Any

from connectors.sources.mysql.column_types import SIGNED_MAXIMUM
from connectors.sources.mysql.columns import Column
from connectors.sources.mysql.fields import Field, inflate

__all__ = ["ImageDecoder", "TextDecoder", "compile_image", "compile_texts"]

TextDecoder = Callable[[bytes, int, int], tuple[list[tuple[str, str | None, int]], int]]
"""Takes a buffer, the position of the first row and the end; returns for each row its JSON object, its key's JSON
object and the mask of unsigned columns whose value is above the signed maximum; and the position reached."""

ImageDecoder = Callable[[bytes, int], tuple[tuple[str, ...], int, int]]
"""Takes a buffer and the position of a row; returns each column's JSON text, the mask, and the position reached."""

Parts = Sequence[tuple[int, Column, Field]]
"""The columns that the row holds, each with its position in the table."""


def compile_texts(parts: Parts, key: Sequence[int]) -> TextDecoder:
    """Write the decoder of INSERT and DELETE rows.

    Args:
        parts: The columns that the rows hold.
        key: Positions of the key's columns; without any, the key's text is None.
    """
    writer = _Writer(parts)
    names = {index: encode_basestring(column.name) for index, column, _ in parts}

    def values(variable: str) -> str:
        row = _object([(names[i], variable.format(i=i), _bare(variable, f)) for i, _, f in parts])
        keys = [(names[i], variable.format(i=i), _bare(variable, f)) for i, _, f in parts if i in key]
        return f"append(({row}, {_object(keys) if keys else 'None'}, {writer.mask(variable)}))"

    lines = [
        "def decode(b, p, end):",
        "    out = []",
        "    append = out.append",
        "    while p < end:",
        f"        nulls = b[p:p + {writer.bitmap}]",
        f"        p += {writer.bitmap}",
        "        if nulls == none:",
        *_indent(writer.plain(), 3),
        *_indent([values("c{i}")], 3),
        "        else:",
        *_indent(writer.with_nulls(), 3),
        *_indent([values("v{i}")], 3),
        "    return out, p",
    ]
    decoder: TextDecoder = writer.build(lines)
    return decoder


def compile_image(parts: Parts) -> ImageDecoder:
    """Write the decoder of one image of an UPDATE row.

    Args:
        parts: The columns that the image holds.
    """
    writer = _Writer(parts)
    fast = ", ".join(f"c{i}" if f.quoted else f"f'\"{{c{i}}}\"'" for i, _, f in parts)
    slow = ", ".join(f"v{i}" for i, _, _ in parts)
    lines = [
        "def decode(b, p):",
        f"    nulls = b[p:p + {writer.bitmap}]",
        f"    p += {writer.bitmap}",
        "    if nulls == none:",
        *_indent(writer.plain(), 2),
        f"        return ({fast},), {writer.mask('c{i}')}, p",
        *_indent(writer.with_nulls(), 1),
        f"    return ({slow},), w, p",
    ]
    decoder: ImageDecoder = writer.build(lines)
    return decoder


def _bare(variable: str, field: Field) -> bool:
    """Whether the variable holds text that still needs quotes: `c` variables may, `v` variables never do."""
    return variable[0] == "c" and not field.quoted


def _object(entries: list[tuple[str, str, bool]]) -> str:
    """Return the source of an f-string that is a JSON object."""
    pieces = []
    for name, variable, bare in entries:
        literal = name.replace("\\", "\\\\").replace("'", "\\'").replace("{", "{{").replace("}", "}}")
        pieces.append(f'{literal}:"{{{variable}}}"' if bare else f"{literal}:{{{variable}}}")
    return "f'{{" + ",".join(pieces) + "}}'"


def _indent(lines: list[str], levels: int) -> list[str]:
    return ["    " * levels + line for line in lines]


@cache
def _struct(format_: str) -> Callable[..., tuple[Any, ...]]:
    return struct.Struct(format_).unpack_from


class _Writer:
    """Writes the source of a decoder and collects the names that it needs."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.bitmap = (len(parts) + 7) // 8
        self._names: dict[str, Any] = {
            "none": bytes(self.bitmap),
            "number": int.from_bytes,
            "quote": encode_basestring,
            "inflate": inflate,
            "zero": b"\0",
        }
        self._wide = [(i, SIGNED_MAXIMUM[c.type]) for i, c, _ in parts if c.unsigned and c.type in SIGNED_MAXIMUM]

    def build(self, lines: list[str]) -> Any:
        # The source consists of our own fragments and JSON-encoded column names, escaped by `_object`.
        exec(compile("\n".join(lines), "<row decoder>", "exec"), self._names)
        return self._names["decode"]

    def mask(self, variable: str) -> str:
        if variable[0] == "v":
            return "w"
        return " | ".join(f"((c{i} > {most}) << {i})" for i, most in self._wide) or "0"

    def plain(self) -> list[str]:
        """Return the lines that read a row without NULLs."""
        lines: list[str] = []
        run: list[tuple[int, Field]] = []
        for index, _, field in self._parts:
            if field.format:
                run.append((index, field))
                continue
            lines += self._fixed(run)
            run = []
            lines += self._variable(index, field)
        return lines + self._fixed(run)

    def with_nulls(self) -> list[str]:
        """Return the lines that read a row with NULLs into variables that hold JSON."""
        wide = dict(self._wide)
        lines = ["n = number(nulls, 'little')", "w = 0"]
        for bit, (index, _, field) in enumerate(self._parts):
            read = self._fixed([(index, field)]) if field.format else self._variable(index, field)
            value = f"c{index}" if field.quoted else f"f'\"{{c{index}}}\"'"
            lines += [f"if n & {1 << bit}:", f"    v{index} = 'null'", "else:"]
            lines += _indent([*read, f"v{index} = {value}"], 1)
            if index in wide:
                lines.append(f"    if c{index} > {wide[index]}: w |= {1 << index}")
        return lines

    def _fixed(self, run: list[tuple[int, Field]]) -> list[str]:
        if not run:
            return []
        format_ = "<" + "".join(field.format for _, field in run)
        name = f"unpack{run[0][0]}_{len(run)}"
        self._names[name] = _struct(format_)
        targets = "".join(f"c{index}, " for index, _ in run)
        lines = [f"({targets}) = {name}(b, p)", f"p += {struct.calcsize(format_)}"]
        return lines + [line for index, field in run for line in self._convert(index, field)]

    def _variable(self, index: int, field: Field) -> list[str]:
        if field.length == 1:
            head = ["e = p + 1 + b[p]", f"c{index} = b[p + 1:e]"]
        else:
            start = f"p + {field.length}"
            head = [f"e = {start} + number(b[p:{start}], 'little')", f"c{index} = b[{start}:e]"]
        return [*head, "p = e", *self._convert(index, field)]

    def _convert(self, index: int, field: Field) -> list[str]:
        if field.expression == "{v}":
            return []
        if field.function is not None:
            self._names[f"f{index}"] = field.function
        return [f"c{index} = {field.expression.format(v=f'c{index}', f=f'f{index}')}"]
