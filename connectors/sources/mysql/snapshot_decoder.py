"""The snapshot's row decoder: rows as the server sends them for a SELECT, straight to Canal's texts.

Like the decoder of row events it is Python code written and compiled once for each table; it works on whole buffers
from the socket, because a call for each row, or an object for each value, would cost more than all the rest. A row
without NULLs and long values is taken in one step, its values cut out of the buffer where its text is put together.
Source: MySQL's text protocol: packets of three bytes length and one byte number, in them values with their lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any, Final, NamedTuple

from connectors.sources.mysql import columns as c
from connectors.sources.mysql.column_types import SIGNED_MAXIMUM
from connectors.sources.mysql.columns import Table, read_length
from connectors.sources.mysql.generated import indented, json_object
from connectors.sources.mysql.rules import TableRules

__all__ = ["LARGEST_PACKET", "Around", "RowDecoder", "Text", "compile_rows", "frame", "raw_values"]

LARGEST_PACKET: Final = 0xFFFFFF
"""A packet of this size goes on in the next one."""


class Around(NamedTuple):
    """What a message holds besides its row, where the decoder makes messages.

    Attributes:
        head: What stands before the row.
        tails: What stands behind it, by the row's mask.
        partition: Where all rows go; None: the key decides.
    """

    head: str
    tails: Mapping[int, str]
    partition: int | None


RowDecoder = Callable[[bytes, str, int, int, Around | None], tuple[list[Any], int, int]]
"""Takes whole packets, the same as characters of the same numbers, the position of the first row, a position behind
which no row is begun, and what is put around a row. Returns a tuple for each row, the position after the last of them,
and the position of the last one's values. The tuples are what `TextDecoder` returns or, of a decoder that makes
messages, the message, the key's text and the partition."""


@dataclass(frozen=True, slots=True)
class Text:
    """How a value becomes JSON text.

    Attributes:
        code: A Python expression, in which `{b}` is the value's bytes, `{t}` the same as characters of the same numbers
            and `{f}` the function.
        function: The function, or texts by number.
        bare: Whether quotes belong around what the expression gives.
    """

    code: str
    function: Callable[[Any], str] | Mapping[int, str] | None = None
    bare: bool = False


def frame(data: bytes) -> tuple[int, int, int]:
    """Find the rows that are there as a whole.

    Returns:
        Their number, the position after them, and that of the last one's values.
    """
    count = at = last = 0
    end, number = len(data), int.from_bytes
    while end - at > 4:
        size = number(data[at : at + 3], "little")
        # One that goes on in the next packet, or one that is no row.
        if size == LARGEST_PACKET or at + 4 + size > end or data[at + 4] == 255 or (data[at + 4] == 254 and size < 9):
            break
        last = at + 4
        at = last + size
        count += 1
    return count, at, last


def raw_values(data: bytes, at: int, count: int) -> list[bytes | None]:
    """Return a row's values as they were sent."""
    found: list[bytes | None] = []
    for _ in range(count):
        if data[at] == 251:
            found.append(None)
            at += 1
            continue
        length, at = read_length(data, at)
        found.append(data[at : at + length])
        at += length
    return found


def compile_rows(table: Table, rules: TableRules, texts: Mapping[int, Text], *, whole: bool) -> RowDecoder:
    """Write the decoder of a selection's rows.

    Args:
        table: The layout.
        rules: What is done with the rows.
        texts: The columns of the selection by their position in the table, in the order selected.
        whole: Whether it makes messages.
    """
    return _Writer(table, rules, texts, whole=whole).build()


class _Writer:
    """Writes the source of a decoder and collects the names that it needs."""

    def __init__(self, table: Table, rules: TableRules, texts: Mapping[int, Text], *, whole: bool) -> None:
        self._rules, self._texts, self._whole = rules, texts, whole
        self._columns = {n: table.columns[n] for n in texts}
        self._names: dict[str, Any] = {
            "quote": encode_basestring,
            "length": read_length,
            "zero": b"\0",
        }
        self._names |= {f"f{n}": text.function for n, text in texts.items() if text.function is not None}
        self._names |= {f"change{n}": change for n, change in rules.changed.items()}
        self._sent = {n: column for n, column in self._columns.items() if n not in rules.dropped}
        # Where the type code depends on the value: the largest number that has the usual one.
        self._wide = {
            n: SIGNED_MAXIMUM[column.type]
            for n, column in self._sent.items()
            if column.unsigned and column.type in SIGNED_MAXIMUM
        }
        of_nulls = (c.SET, c.JSON) if rules.exact else ()
        self._null_codes = {n for n, column in self._sent.items() if column.type in of_nulls}
        elsewhere = {*rules.key, *rules.looked_at, *rules.changed, *self._wide, *self._null_codes}
        # Whose value goes nowhere but into the row.
        self._as_they_are = {n for n in self._sent if texts[n].bare and n not in elsewhere}
        self._mask = " | ".join(self._masks())

    def build(self) -> RowDecoder:
        constants = []
        if self._whole:
            constants = ["head, tails, to = around", *([] if self._mask else ["tail = tails[0]"])]
        source = _SOURCE.format(
            constants="\n".join(indented(constants, 1)),
            usual=" and ".join(self._usual()) or "False",
            fast="\n".join(indented(self._fast(), 3)),
            slow="\n".join(indented(self._slow(), 3)),
        )
        # The source consists of our own fragments and JSON-encoded column names, escaped by `json_object`.
        exec(compile(source, "<snapshot decoder>", "exec"), self._names)
        decoder: RowDecoder = self._names["decode"]
        return decoder

    def _usual(self) -> list[str]:
        """Return the conditions, one a column, of a row with short values alone; they find where each value ends."""
        conditions, place, end = [], "p", "p"
        for n in self._texts:
            # Of a value of less than 251 bytes the first byte is the length.
            conditions.append(f"(k := b[{place}]) < 251")
            place, end = f"e{n} := {end} + 1 + k", f"e{n}"
        return conditions

    def _fast(self) -> list[str]:
        lines, inline, end = [], {}, "p"
        for n in self._texts:
            span, before, end = f"{end} + 1:e{n}", end, f"e{n}"
            if n in self._as_they_are:
                inline[n] = f"t[{span}]"
            elif n in self._sent or n in self._rules.looked_at:
                lines.append(f"c{n} = {self._json(n, span)}")
        return [f"{end} = {before} + 1 + k", *lines, *self._append(inline), f"p = {end}"] if self._texts else ["pass"]

    def _slow(self) -> list[str]:
        lines: list[str] = []
        for n in self._texts:
            value = ["    p = s + k", f"    c{n} = {self._json(n, 's:p')}"]
            lines += ["k = b[p]", "if k < 251:", "    s = p + 1", *value]
            lines += ["elif k == 251:", "    p += 1", f"    c{n} = 'null'", "else:", "    k, s = length(b, p)", *value]
        # Where no column was asked for, a row is a 1.
        return [*(lines or ["p += 2"]), *self._append({})]

    def _json(self, n: int, span: str) -> str:
        text = self._texts[n]
        code = text.code.format(b=f"b[{span}]", t=f"t[{span}]", f=f"f{n}")
        return f"f'\"{{{code}}}\"'" if text.bare else code

    def _masks(self) -> list[str]:
        return [
            *(f"((c{n} != 'null' and int(c{n}[1:-1]) > {most}) << {n})" for n, most in self._wide.items()),
            *(f"((c{n} == 'null') << {n})" for n in self._null_codes),
        ]

    def _append(self, inline: Mapping[int, str]) -> list[str]:
        """Return the lines that add a row, given the expressions of values that are in no variable."""
        rules = self._rules

        def entry(n: int) -> tuple[str, str]:
            label = encode_basestring(self._columns[n].name)
            return label, f'"{{{inline[n]}}}"' if n in inline else f"{{{'m' if n in rules.changed else 'c'}{n}}}"

        lines = [f"m{n} = change{n}(c{n})" for n in self._texts if n in rules.changed]
        row = json_object(map(entry, self._sent))
        key = f"f'{json_object(map(entry, rules.key))}'" if rules.key else "None"
        if not self._whole:
            seen = "".join(f"c{n}, " for n in rules.looked_at)
            return [*lines, f"append((f'{row}', {key}, {self._mask or '0'}{f', ({seen})' if seen else ''}))"]
        if self._mask:
            lines.append(f"tail = tails[{self._mask}]")
        return [*lines, f"append((f'{{head}}{row}{{tail}}', {key}, to))"]


_SOURCE: Final = """
def decode(b, t, p, end, around):
{constants}
    out = []
    append = out.append
    last = p
    while p < end:
        p += 4
        last = p
        if {usual}:
{fast}
        else:
{slow}
    return out, p, last
"""
