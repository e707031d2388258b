"""What a snapshot selects: for each column the SQL that gives its value, and the Python that makes Canal's text of it.

The texts are those of the binlog's decoder; `snapshot_decoder` puts them together.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from connectors.sources.mysql import columns as c
from connectors.sources.mysql import values
from connectors.sources.mysql.columns import Column, Table
from connectors.sources.mysql.fields import Rendering
from connectors.sources.mysql.rules import TableRules
from connectors.sources.mysql.snapshot_decoder import Text, compile_rows

__all__ = ["Selection", "name"]


class Selection:
    """How to read a table's rows so that their texts are those of the binlog.

    Args:
        table: The layout.
        rules: What is done with its rows.
        rendering: Choices of text form.
        whole: Whether the decoder makes messages of the rows; see `RowDecoder`.
    """

    def __init__(self, table: Table, rules: TableRules, rendering: Rendering, *, whole: bool) -> None:
        wanted = [n for n in range(len(table.columns)) if n not in rules.dropped or n in rules.looked_at]
        # The key's values say where the next chunk begins, whether they are sent or not.
        self.indexes = sorted({*wanted, *table.key})
        found = [_expression(table.columns[n], rendering) for n in self.indexes]
        # Of a table of which nothing is sent the rows are counted.
        values = ", ".join(sql for sql, _ in found) or "1"
        self.sql = f"SELECT {values} FROM {name(table.database)}.{name(table.name)}"
        texts = dict(zip(self.indexes, (text for _, text in found), strict=True))
        self.decode = compile_rows(table, rules, texts, whole=whole)


def name(text: str) -> str:
    """Return a name in backticks."""
    return "`" + text.replace("`", "``") + "`"


# In the expressions `{b}` is the value's bytes and `{t}` the same as characters of the same numbers.

_PLAIN: Final = Text("{t}", bare=True)
# Most values are ASCII, and then the characters are those of the buffer.
_UTF8: Final = Text("quote(a) if (a := {t}).isascii() else quote({b}.decode())")
_BYTES: Final = {
    "latin1": Text("quote({t})"),
    "base64": Text("{f}({b})", lambda raw: f'"{base64.b64encode(raw).decode()}"'),
    "hex": Text("{f}({b})", lambda raw: f'"{raw.hex()}"'),
}
_CALL: Final = "{f}({t})"
Selected = tuple[str, Text]
"""SQL expression, and its JSON text."""


def _expression(column: Column, rendering: Rendering) -> Selected:
    maker = _MAKERS.get(column.type)
    if maker is not None:
        return maker(column, rendering)
    quoted = name(column.name)
    if column.type == c.BIT or column.unsigned:
        return f"{quoted} + 0", _PLAIN  # without the zeros of ZEROFILL
    if column.special or column.type not in _STRINGS:
        return quoted, _PLAIN
    return _string(column, rendering)


def _string(column: Column, rendering: Rendering) -> Selected:
    quoted = name(column.name)
    if column.charset is not None:
        if rendering.exact and not column.charset.name.startswith("utf8"):
            return f"CAST({quoted} AS BINARY)", Text("quote({b}.decode('utf-8', 'replace'))")
        return quoted, _UTF8
    text = _BYTES[rendering.binary_mode]
    if column.type == c.STRING and rendering.exact:
        stripped = text.code.replace("{t}", "{t}.rstrip('\\0')").replace("{b}", "{b}.rstrip(zero)")
        text = replace(text, code=stripped)
    return (f"CAST({quoted} AS BINARY)" if column.type == c.VECTOR else quoted), text


def _float(column: Column, _: Rendering) -> Selected:
    # As FLOAT the server prints six digits only; as DOUBLE all of them.
    function = lambda text: f'"{values.float_text(float(text))}"'  # noqa: E731
    return f"CAST({name(column.name)} AS DOUBLE)", Text(_CALL, function)


def _double(column: Column, _: Rendering) -> Selected:
    return name(column.name), Text(_CALL, lambda text: f'"{values.double_text(float(text))}"')


def _decimal(column: Column, rendering: Rendering) -> Selected:
    sql = f"{name(column.name)} + 0" if column.unsigned else name(column.name)
    if not rendering.exact:
        return sql, _PLAIN
    return sql, Text(_CALL, lambda text: f'"{values.canal_decimal(text, column.meta[1])}"')


def _labels(column: Column, rendering: Rendering) -> Selected:
    if rendering.enum_mode == "label":
        return name(column.name), _UTF8
    return f"{name(column.name)} + 0", _PLAIN


def _timestamp(column: Column, rendering: Rendering) -> Selected:
    sql, digits = f"UNIX_TIMESTAMP({name(column.name)})", column.meta[0]
    moments = values.moments(rendering.zone)
    if not digits:
        return sql, Text("{f}[int({t})]", values.Cache(lambda seconds: f'"{moments[seconds]}"'))

    def text(value: str) -> str:
        seconds, _, fraction = value.partition(".")
        return f'"{moments[int(seconds)]}.{fraction[:digits].ljust(digits, "0")}"'

    return sql, Text(_CALL, text)


def _json(column: Column, _: Rendering) -> Selected:
    return name(column.name), _UTF8


_STRINGS: Final = frozenset({c.STRING, c.VARCHAR, c.BLOB, c.GEOMETRY, c.VECTOR})
_MAKERS: Final[dict[int, Callable[[Column, Rendering], Selected]]] = {
    c.FLOAT: _float,
    c.DOUBLE: _double,
    c.NEWDECIMAL: _decimal,
    c.ENUM: _labels,
    c.SET: _labels,
    c.TIMESTAMP2: _timestamp,
    c.JSON: _json,
}
