"""The row decoder: Python code written and compiled once for each table layout.

A general decoder spends its time on asking each value what it is. Here the layout is known, so the code for a row is
straight: neighbouring columns of fixed size are one `struct` call, and a row's JSON text is one f-string. Rows with a
NULL take a second path that asks for each column.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from json.encoder import encode_basestring
from typing import Any

from connectors.sources.mysql.column_types import SIGNED_MAXIMUM
from connectors.sources.mysql.columns import JSON, SET, Column
from connectors.sources.mysql.fields import Field, inflate
from connectors.sources.mysql.generated import indented, json_object

__all__ = ["ImageDecoder", "Part", "Parts", "TextDecoder", "compile_image", "compile_texts"]

TextDecoder = Callable[[bytes, int, int], tuple[list[Any], int]]
"""Takes a buffer, the position of the first row and the end; returns for each row its JSON object, its key's JSON
object, the mask of columns whose type code is not the usual one, and, where columns are looked at, a tuple of their
JSON texts; and the position reached."""

ImageDecoder = Callable[[bytes, int], tuple[tuple[str, ...], int, int]]
"""Takes a buffer and the position of a row; returns the JSON texts of the columns that are sent and then of those that
are looked at, the mask, and the position reached."""


@dataclass(frozen=True, slots=True)
class Part:
    """A column that the row holds, and what becomes of it.

    Attributes:
        index: Its position in the table.
        column: The column.
        field: How to read it.
        sent: Whether messages hold it.
        change: From its JSON text to the one that is sent; None: as it is.
    """

    index: int
    column: Column
    field: Field
    sent: bool = True
    change: Callable[[str], str] | None = None


Parts = Sequence[Part]


def compile_texts(
    parts: Parts, key: Sequence[int], looked_at: Sequence[int] = (), *, nulls: bool = False
) -> TextDecoder:
    """Write the decoder of INSERT and DELETE rows.

    Args:
        parts: The columns that the rows hold.
        key: Positions of the key's columns; without any, the key's text is None.
        looked_at: Positions of the columns whose texts, unchanged, come with each row.
        nulls: Whether the mask tells NULLs of SET and JSON.
    """
    writer = _Writer(parts, {*key, *looked_at}, nulls=nulls)
    names = {part.index: encode_basestring(part.column.name) for part in parts}

    def entry(part: Part, variable: str) -> tuple[str, str]:
        name = f"m{part.index}" if part.change is not None else variable.format(i=part.index)
        bare = part.change is None and _bare(variable, part.field)
        return names[part.index], f'"{{{name}}}"' if bare else f"{{{name}}}"

    def values(variable: str) -> str:
        row = json_object(entry(part, variable) for part in parts if part.sent)
        keys = [entry(part, variable) for part in parts if part.index in key]
        seen = f", {writer.texts(looked_at, variable)}" if looked_at else ""
        key_text = f"f'{json_object(keys)}'" if keys else "None"
        return f"append((f'{row}', {key_text}, {writer.mask(variable)}{seen}))"

    lines = [
        "def decode(b, p, end):",
        "    out = []",
        "    append = out.append",
        "    while p < end:",
        f"        nulls = b[p:p + {writer.bitmap}]",
        f"        p += {writer.bitmap}",
        "        if nulls == none:",
        *indented(writer.plain(), 3),
        *indented([values("c{i}")], 3),
        "        else:",
        *indented(writer.with_nulls(), 3),
        *indented([values("v{i}")], 3),
        "    return out, p",
    ]
    decoder: TextDecoder = writer.build(lines)
    return decoder


def compile_image(parts: Parts, looked_at: Sequence[int] = (), *, nulls: bool = False) -> ImageDecoder:
    """Write the decoder of one image of an UPDATE row.

    Args:
        parts: The columns that the image holds.
        looked_at: Positions of the columns whose texts, unchanged, come after those that are sent.
        nulls: Whether the mask tells NULLs of SET and JSON.
    """
    writer = _Writer(parts, set(looked_at), nulls=nulls)
    fast = writer.sent("c{i}") + writer.texts(looked_at, "c{i}")[1:-1]
    slow = writer.sent("v{i}") + writer.texts(looked_at, "v{i}")[1:-1]
    lines = [
        "def decode(b, p):",
        f"    nulls = b[p:p + {writer.bitmap}]",
        f"    p += {writer.bitmap}",
        "    if nulls == none:",
        *indented(writer.plain(), 2),
        f"        return ({fast}), {writer.mask('c{i}')}, p",
        *indented(writer.with_nulls(), 1),
        f"    return ({slow}), w, p",
    ]
    decoder: ImageDecoder = writer.build(lines)
    return decoder


def _bare(variable: str, field: Field) -> bool:
    """Whether the variable holds text that still needs quotes: `c` variables may, `v` variables never do."""
    return variable[0] == "c" and not field.quoted


@cache
def _struct(format_: str) -> Callable[..., tuple[Any, ...]]:
    return struct.Struct(format_).unpack_from


class _Writer:
    """Writes the source of a decoder and collects the names that it needs."""

    def __init__(self, parts: Parts, looked_at: set[int], *, nulls: bool) -> None:
        self._parts = parts
        self._by_index = {part.index: part for part in parts}
        self._read = looked_at | {part.index for part in parts if part.sent}
        self.bitmap = (len(parts) + 7) // 8
        self._names: dict[str, Any] = {
            "none": bytes(self.bitmap),
            "number": int.from_bytes,
            "quote": encode_basestring,
            "inflate": inflate,
            "zero": b"\0",
        }
        self._names |= {f"change{part.index}": part.change for part in parts if part.change is not None}
        self._wide = [
            (part.index, SIGNED_MAXIMUM[part.column.type])
            for part in parts
            if part.sent and part.column.unsigned and part.column.type in SIGNED_MAXIMUM
        ]
        self._null_codes = {part.index for part in parts if nulls and part.column.type in (SET, JSON)}

    def build(self, lines: list[str]) -> Any:
        # The source consists of our own fragments and JSON-encoded column names, escaped by `json_object`.
        exec(compile("\n".join(lines), "<row decoder>", "exec"), self._names)
        return self._names["decode"]

    def mask(self, variable: str) -> str:
        if variable[0] == "v":
            return "w"
        return " | ".join(f"((c{i} > {most}) << {i})" for i, most in self._wide) or "0"

    def sent(self, variable: str) -> str:
        """Return the JSON texts of the columns that are sent, a comma after each."""
        changed = {part.index for part in self._parts if part.change is not None}
        texts = (f"m{p.index}" if p.index in changed else self._text(p, variable) for p in self._parts if p.sent)
        return "".join(text + ", " for text in texts)

    def texts(self, indexes: Sequence[int], variable: str) -> str:
        """Return a tuple of the columns' JSON texts; a column that the row lacks is an empty text."""
        known = self._by_index
        texts = (self._text(known[index], variable) if index in known else "''" for index in indexes)
        return "(" + "".join(text + ", " for text in texts) + ")"

    @staticmethod
    def _text(part: Part, variable: str) -> str:
        name = variable.format(i=part.index)
        return f"f'\"{{{name}}}\"'" if _bare(variable, part.field) else name

    def plain(self) -> list[str]:
        """Return the lines that read a row without NULLs."""
        lines: list[str] = []
        run: list[tuple[int, Field]] = []
        for part in self._parts:
            if part.field.format:
                run.append((part.index, part.field))
                continue
            lines += self._fixed(run)
            run = []
            lines += self._variable(part.index, part.field)
        return lines + self._fixed(run) + self._changes("c{i}")

    def _changes(self, variable: str) -> list[str]:
        changed = [part for part in self._parts if part.change is not None]
        return [f"m{part.index} = change{part.index}({self._text(part, variable)})" for part in changed]

    def with_nulls(self) -> list[str]:
        """Return the lines that read a row with NULLs into variables that hold JSON."""
        wide = dict(self._wide)
        lines = ["n = number(nulls, 'little')", "w = 0"]
        for bit, part in enumerate(self._parts):
            index, field = part.index, part.field
            read = self._fixed([(index, field)]) if field.format else self._variable(index, field)
            if index not in self._read:
                lines += [f"if not n & {1 << bit}:", *indented(read, 1)]
                continue
            lines += [f"if n & {1 << bit}:", f"    v{index} = 'null'"]
            if index in self._null_codes:
                lines.append(f"    w |= {1 << index}")
            lines += ["else:", *indented([*read, f"v{index} = {self._text(part, 'c{i}')}"], 1)]
            if index in wide:
                lines.append(f"    if c{index} > {wide[index]}: w |= {1 << index}")
        return lines + self._changes("v{i}")

    def _fixed(self, run: list[tuple[int, Field]]) -> list[str]:
        if not run:
            return []
        read = [(index, field) for index, field in run if index in self._read]
        # A column that nobody wants is stepped over.
        formats = (f.format if i in self._read else f"{struct.calcsize('<' + f.format)}x" for i, f in run)
        format_ = "<" + "".join(formats)
        name = f"unpack{run[0][0]}_{len(run)}"
        self._names[name] = _struct(format_)
        targets = "".join(f"c{index}, " for index, _ in read)
        lines = [f"({targets}) = {name}(b, p)"] if read else []
        lines.append(f"p += {struct.calcsize(format_)}")
        return lines + [line for index, field in read for line in self._convert(index, field)]

    def _variable(self, index: int, field: Field) -> list[str]:
        if index not in self._read:
            return [f"p += {field.length} + number(b[p:p + {field.length}], 'little')"]
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
