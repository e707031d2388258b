"""Tables as the server's catalogue describes them now: what a snapshot needs, where no event describes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from connectors.api.errors import FatalError
from connectors.sources.mysql import columns as c
from connectors.sources.mysql.charsets import Charset, charset_named
from connectors.sources.mysql.column_types import with_width
from connectors.sources.mysql.columns import Column, Table
from connectors.sources.mysql.preflight import Ask

__all__ = ["describe"]

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
    rows = ask(_COLUMNS, database, name)
    columns = [_column(row, f"{database}.{name}") for row in rows]
    for column, row in zip(columns, rows, strict=True):
        column.full_type = with_width(column, str(row[3]))
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
