"""Tables as the server's catalogue describes them now: what a snapshot needs, where no event describes them."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any, Final

from connectors.api.errors import FatalError
from connectors.sources.mysql import columns as c
from connectors.sources.mysql import values
from connectors.sources.mysql.charsets import Charset, charset_named
from connectors.sources.mysql.columns import Column, Table
from connectors.sources.mysql.fields import Rendering
from connectors.sources.mysql.preflight import Ask

__all__ = ["Selection", "describe", "selection"]

_INTEGERS: Final = {
    "tinyint": c.TINY,
    "smallint": c.SHORT,
    "mediumint": c.INT24,
    "int": c.LONG,
    "bigint": c.LONGLONG,
}
_PLAIN: Final = {"float": c.FLOAT, "double": c.DOUBLE, "year": c.YEAR, "date": c.DATE, "json": c.JSON}
_FRACTIONAL: Final = {"timestamp": c.TIMESTAMP2, "datetime": c.DATETIME2, "time": c.TIME2}
_STRINGS: Final = {"char": c.STRING, "binary": c.STRING, "varchar": c.VARCHAR, "varbinary": c.VARCHAR}
_BLOBS: Final = {
    f"{prefix}{kind}": size
    for size, prefix in enumerate(("tiny", "", "medium", "long"), 1)
    for kind in ("text", "blob")
}
_SPECIALS: Final = ("uuid", "inet4", "inet6")
_LABEL: Final = re.compile(r"'((?:[^']|'')*)'")
_COLUMNS: Final = (
    "SELECT COLUMN_NAME, LOWER(DATA_TYPE), LOWER(COLUMN_TYPE), COLUMN_TYPE, CHARACTER_SET_NAME, CHARACTER_OCTET_LENGTH,"
    " NUMERIC_PRECISION, NUMERIC_SCALE, DATETIME_PRECISION FROM information_schema.COLUMNS"
    " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION"
)
_KEY: Final = (
    "SELECT COLUMN_NAME FROM information_schema.STATISTICS"
    " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND INDEX_NAME = 'PRIMARY'"
)


def describe(ask: Ask, database: str, name: str) -> Table:
    """Return a table's layout in the form that events give it.

    Raises:
        FatalError: A column has a type that is not known.
    """
    columns = [_column(row, f"{database}.{name}") for row in ask(_COLUMNS, database, name)]
    key = {str(row[0]) for row in ask(_KEY, database, name)}
    return Table(database, name, columns, [n for n, column in enumerate(columns) if column.name in key])


def _column(row: Sequence[Any], table: str) -> Column:
    name, type_, full, exact, charset_name, octets, precision, scale, digits = row
    charset = charset_named(charset_name) if charset_name and charset_name != "binary" else None
    unsigned = "unsigned" in full or "zerofill" in full
    if type_ in _INTEGERS:
        return Column(_INTEGERS[type_], name=name, unsigned=unsigned)
    if type_ in _PLAIN:
        return Column(_PLAIN[type_], name=name, unsigned=unsigned)
    if type_ == "decimal":
        return Column(c.NEWDECIMAL, (int(precision), int(scale)), name, unsigned)
    if type_ in _FRACTIONAL:
        return Column(_FRACTIONAL[type_], (int(digits or 0), 0), name)
    if type_ == "bit":
        return Column(c.BIT, (int(precision) % 8, int(precision) // 8), name)
    if type_ in ("enum", "set"):
        labels = tuple(label.replace("''", "'") for label in _LABEL.findall(exact))
        return Column(c.ENUM if type_ == "enum" else c.SET, (1, 0), name, charset=charset, labels=labels)
    return _bytes_column(name, type_, full, charset, octets, table)


def _bytes_column(name: str, type_: str, full: str, charset: Charset | None, octets: Any, table: str) -> Column:
    if type_ in _STRINGS:
        return Column(_STRINGS[type_], (int(octets), 0), name, charset=charset)
    if type_ in _BLOBS:
        return Column(c.BLOB, (_BLOBS[type_], 0), name, charset=charset)
    if type_ == "vector":
        return Column(c.VECTOR, (4, 0), name, shape=int(re.sub(r"\D", "", full) or 0))
    if type_ in _SPECIALS:
        return Column(c.STRING, (16, 0), name, special=type_)
    shape = {"geometrycollection": "geomcollection"}.get(type_, type_)
    if shape in c.GEOMETRIES:
        return Column(c.GEOMETRY, (4, 0), name, shape=c.GEOMETRIES.index(shape))
    raise FatalError(f"{table}: column {name} has the type {full}, which cannot be read; exclude the table")


@dataclass(frozen=True, slots=True)
class Selection:
    """How to read a table's rows.

    Attributes:
        sql: The statement.
        texts: For each column, from the value that is not NULL to its JSON text.
    """

    sql: str
    texts: list[Callable[[Any], str]]


def selection(table: Table, rendering: Rendering) -> Selection:
    """Return how to read a table's rows so that their texts are those of the binlog."""
    pairs = [_expression(column, rendering) for column in table.columns]
    expressions = ", ".join(expression for expression, _ in pairs)
    sql = f"SELECT {expressions} FROM {_name(table.database)}.{_name(table.name)}"
    return Selection(sql, [text for _, text in pairs])


def _name(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _plain(value: str) -> str:
    return f'"{value}"'


def _expression(column: Column, rendering: Rendering) -> tuple[str, Callable[[Any], str]]:
    name = _name(column.name)
    if column.type == c.FLOAT:
        # As FLOAT the server prints six digits only; as DOUBLE all of them.
        return f"CAST({name} AS DOUBLE)", lambda value: f'"{values.float_text(float(value))}"'
    if column.type == c.DOUBLE:
        return name, lambda value: f'"{values.double_text(float(value))}"'
    if column.type == c.TIMESTAMP2:
        return f"UNIX_TIMESTAMP({name})", _timestamp(column.meta[0], rendering)
    if column.type in (c.ENUM, c.SET):
        return (name, encode_basestring) if rendering.enum_mode == "label" else (f"{name} + 0", _plain)
    if column.type == c.BIT or column.unsigned:
        return f"{name} + 0", _plain  # without the zeros of ZEROFILL
    if column.special:
        return name, _plain
    is_bytes = column.type in (c.STRING, c.VARCHAR, c.BLOB, c.GEOMETRY) and column.charset is None
    if column.type == c.VECTOR:
        return f"CAST({name} AS BINARY)", _BYTES[rendering.binary_mode]  # PyMySQL does not know the type
    if is_bytes:
        return name, _BYTES[rendering.binary_mode]
    return name, _plain if column.type in (c.DATE, c.TIME2, c.DATETIME2, c.YEAR, c.NEWDECIMAL) else encode_basestring


def _timestamp(digits: int, rendering: Rendering) -> Callable[[str], str]:
    whole = values.timestamp_text(0, rendering.zone)

    def text(value: str) -> str:
        seconds, _, fraction = value.partition(".")
        moment = whole(int(seconds).to_bytes(8, "big"))
        return f'"{moment}.{fraction[:digits].ljust(digits, "0")}"' if digits else f'"{moment}"'

    return text


_BYTES: Final[dict[str, Callable[[bytes], str]]] = {
    "latin1": lambda value: encode_basestring(value.decode("latin-1")),
    "base64": lambda value: f'"{base64.b64encode(value).decode()}"',
    "hex": lambda value: f'"{value.hex()}"',
}
