"""The snapshot's row decoder: rows as the server sends them for a SELECT, straight to Canal's texts.

Like the decoder of row events it is Python code written and compiled once for each table; it works on whole buffers
from the socket, because a call for each row, or an object for each value, would cost more than all the rest.
Source: MySQL's text protocol: packets of three bytes length and one byte number, in them values with their lengths.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from json.encoder import encode_basestring
from typing import Any, Final

from connectors.sources.mysql import columns as c
from connectors.sources.mysql import values
from connectors.sources.mysql.column_types import SIGNED_MAXIMUM
from connectors.sources.mysql.columns import Column, Table, read_length
from connectors.sources.mysql.fields import Rendering
from connectors.sources.mysql.rules import TableRules

__all__ = ["LARGEST_PACKET", "RowDecoder", "Selection", "raw_values", "selection"]

LARGEST_PACKET: Final = 0xFFFFFF
"""A packet of this size goes on in the next one."""

RowDecoder = Callable[[bytes, str, int, bool], tuple[list[Any], int, int]]
"""Takes a buffer, the same as characters of the same numbers, the position of the first packet, and whether the buffer
is one row without packets. Returns for each row that is there as a whole what `TextDecoder` returns, the position after
the last of them, and the position of the last one's values, -1 without any."""


class Selection:
    """How to read a table's rows so that their texts are those of the binlog.

    Args:
        table: The layout.
        rules: What is done with its rows.
        rendering: Choices of text form.
    """

    def __init__(self, table: Table, rules: TableRules, rendering: Rendering) -> None:
        wanted = [n for n in range(len(table.columns)) if n not in rules.dropped or n in rules.looked_at]
        # The key's values say where the next chunk begins, whether they are sent or not.
        self.indexes = sorted({*wanted, *table.key})
        self.key_at = [self.indexes.index(n) for n in table.key]
        pairs = [_expression(table.columns[n], rendering) for n in self.indexes]
        self.sql = (
            f"SELECT {', '.join(sql for sql, _, _ in pairs) or '1'} FROM {name(table.database)}.{name(table.name)}"
        )
        self.decode = _compile(table, rules, self.indexes, [(text, function) for _, text, function in pairs])


def selection(table: Table, rules: TableRules, rendering: Rendering) -> Selection:
    """Return how to read a table; see `Selection`."""
    return Selection(table, rules, rendering)


def name(text: str) -> str:
    """Return a name in backticks."""
    return "`" + text.replace("`", "``") + "`"


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


# In the expressions `{b}` is the value's bytes and `{t}` the same as characters of the same numbers.

_PLAIN: Final = "f'\"{{{t}}}\"'"
# Most values are ASCII, and then the characters are those of the buffer.
_UTF8: Final = "quote(a) if (a := {t}).isascii() else quote({b}.decode())"
_CALL: Final = "{f}({t})"
_BYTES: Final[dict[str, tuple[str, Callable[[Any], str] | None]]] = {
    "latin1": ("quote({t})", None),
    "base64": ("{f}({b})", lambda raw: f'"{base64.b64encode(raw).decode()}"'),
    "hex": ("{f}({b})", lambda raw: f'"{raw.hex()}"'),
}
Function = Callable[[Any], str] | Mapping[int, str]
Text = tuple[str, str, Function | None]
"""SQL expression, Python expression of its JSON text, and the function in it, or the texts by number."""


def _expression(column: Column, rendering: Rendering) -> Text:
    maker = _MAKERS.get(column.type)
    if maker is not None:
        return maker(column, rendering)
    quoted = name(column.name)
    if column.type == c.BIT or column.unsigned:
        return f"{quoted} + 0", _PLAIN, None  # without the zeros of ZEROFILL
    if column.special or column.type not in _STRINGS:
        return quoted, _PLAIN, None
    return _string(column, rendering)


def _string(column: Column, rendering: Rendering) -> Text:
    quoted = name(column.name)
    if column.charset is not None:
        if rendering.exact and not column.charset.name.startswith("utf8"):
            return f"CAST({quoted} AS BINARY)", "quote({b}.decode('utf-8', 'replace'))", None
        return quoted, _UTF8, None
    text, function = _BYTES[rendering.binary_mode]
    if column.type == c.STRING and rendering.exact:
        text = text.replace("{t}", "{t}.rstrip('\\0')").replace("{b}", "{b}.rstrip(zero)")
    return (f"CAST({quoted} AS BINARY)" if column.type == c.VECTOR else quoted), text, function


def _float(column: Column, _: Rendering) -> Text:
    # As FLOAT the server prints six digits only; as DOUBLE all of them.
    function = lambda text: f'"{values.float_text(float(text))}"'  # noqa: E731
    return f"CAST({name(column.name)} AS DOUBLE)", _CALL, function


def _double(column: Column, _: Rendering) -> Text:
    return name(column.name), _CALL, lambda text: f'"{values.double_text(float(text))}"'


def _decimal(column: Column, rendering: Rendering) -> Text:
    sql = f"{name(column.name)} + 0" if column.unsigned else name(column.name)
    if not rendering.exact:
        return sql, _PLAIN, None
    return sql, _CALL, lambda text: f'"{values.canal_decimal(text, column.meta[1])}"'


def _labels(column: Column, rendering: Rendering) -> Text:
    return (
        (name(column.name), _UTF8, None)
        if rendering.enum_mode == "label"
        else (f"{name(column.name)} + 0", _PLAIN, None)
    )


def _timestamp(column: Column, rendering: Rendering) -> Text:
    sql, digits = f"UNIX_TIMESTAMP({name(column.name)})", column.meta[0]
    moments = values.moments(rendering.zone)
    if not digits:
        return sql, "{f}[int({t})]", values.Cache(lambda seconds: f'"{moments[seconds]}"')

    def text(value: str) -> str:
        seconds, _, fraction = value.partition(".")
        return f'"{moments[int(seconds)]}.{fraction[:digits].ljust(digits, "0")}"'

    return sql, _CALL, text


def _json(column: Column, _: Rendering) -> Text:
    return name(column.name), _UTF8, None


_STRINGS: Final = frozenset({c.STRING, c.VARCHAR, c.BLOB, c.GEOMETRY, c.VECTOR})
_MAKERS: Final[dict[int, Callable[[Column, Rendering], Text]]] = {
    c.FLOAT: _float,
    c.DOUBLE: _double,
    c.NEWDECIMAL: _decimal,
    c.ENUM: _labels,
    c.SET: _labels,
    c.TIMESTAMP2: _timestamp,
    c.JSON: _json,
}


def _compile(
    table: Table,
    rules: TableRules,
    indexes: Sequence[int],
    texts: Sequence[tuple[str, Function | None]],
) -> RowDecoder:
    """Write the decoder of the rows of a selection."""
    names: dict[str, Any] = {"number": int.from_bytes, "quote": encode_basestring, "length": read_length, "zero": b"\0"}
    lines = []
    masks = []
    for index, (text, function) in zip(indexes, texts, strict=True):
        if function is not None:
            names[f"f{index}"] = function
        value = text.format(b="b[s:p]", t="t[s:p]", f=f"f{index}")
        lines += [
            "k = b[p]",
            "if k < 251:",
            "    s = p + 1",
            "    p = s + k",
            f"    c{index} = {value}",
            "elif k == 251:",
            "    p += 1",
            f"    c{index} = 'null'",
            "else:",
            "    k, s = length(b, p)",
            "    p = s + k",
            f"    c{index} = {value}",
        ]
        column = table.columns[index]
        if column.unsigned and column.type in SIGNED_MAXIMUM:
            most = SIGNED_MAXIMUM[column.type]
            masks.append(f"((c{index} != 'null' and int(c{index}[1:-1]) > {most}) << {index})")
        if rules.exact and column.type in (c.SET, c.JSON):
            masks.append(f"((c{index} == 'null') << {index})")
        if index in rules.changed:
            names[f"change{index}"] = rules.changed[index]
            lines.append(f"m{index} = change{index}(c{index})")
    source = _SOURCE.format(body="\n        ".join(lines), row=_row(table, rules, indexes, " | ".join(masks) or "0"))
    # The source consists of our own fragments and JSON-encoded column names, escaped by `_object`.
    exec(compile(source, "<snapshot decoder>", "exec"), names)
    decoder: RowDecoder = names["decode"]
    return decoder


def _row(table: Table, rules: TableRules, indexes: Sequence[int], mask: str) -> str:
    def entry(index: int) -> tuple[str, str]:
        return encode_basestring(table.columns[index].name), f"{'m' if index in rules.changed else 'c'}{index}"

    row = _object([entry(n) for n in indexes if n not in rules.dropped])
    key = _object([entry(n) for n in rules.key]) if rules.key else "None"
    seen = "".join(f"c{n}, " for n in rules.looked_at)
    return f"({row}, {key}, {mask}{f', ({seen})' if seen else ''})"


def _object(entries: Sequence[tuple[str, str]]) -> str:
    pieces = []
    for label, variable in entries:
        literal = label.replace("\\", "\\\\").replace("'", "\\'").replace("{", "{{").replace("}", "}}")
        pieces.append(f"{literal}:{{{variable}}}")
    return "f'{{" + ",".join(pieces) + "}}'"


_SOURCE: Final = """
def decode(b, t, p, whole):
    out = []
    append = out.append
    end = len(b)
    last = -1
    while p < end:
        if not whole:
            if end - p < 5:
                break
            n = number(b[p:p + 3], 'little')
            # No whole packet, one that goes on in the next, or one that is no row.
            if end - p - 4 < n or n == 16777215 or b[p + 4] == 255 or (b[p + 4] == 254 and n < 9):
                break
            p += 4
        last = p
        {body}
        append({row})
    return out, p, last
"""
