"""Canal's `mysqlType` and `sqlType` of a column.

The type text is rebuilt from the event, so it is right for the event's own time. Display width and zerofill, which
events do not carry, are taken from the catalogue where what it says now is otherwise the same type. Codes are those of
java.sql.Types.
"""

from __future__ import annotations

import re
from typing import Final

from connectors.sources.mysql import columns as c
from connectors.sources.mysql.columns import Column

__all__ = ["SIGNED_MAXIMUM", "mysql_type", "sql_type", "with_width"]

_INTEGERS: Final = {
    c.TINY: ("tinyint", -6, 5, 127),
    c.SHORT: ("smallint", 5, 4, 32767),
    c.INT24: ("mediumint", 4, 4, 8388607),
    c.LONG: ("int", 4, -5, 2147483647),
    c.LONGLONG: ("bigint", -5, 3, 9223372036854775807),
}
"""Name, code, code of a value above the signed maximum, signed maximum."""

SIGNED_MAXIMUM: Final = {type_: entry[3] for type_, entry in _INTEGERS.items()}
_PLAIN: Final = {
    c.FLOAT: ("float", 7),
    c.DOUBLE: ("double", 8),
    c.DATE: ("date", 91),
    c.NEWDATE: ("date", 91),
    c.TIMESTAMP: ("timestamp", 93),
    c.DATETIME: ("datetime", 93),
    c.TIME: ("time", 92),
    c.YEAR: ("year", 12),
    c.JSON: ("json", 12),
    c.VECTOR: ("vector", 2004),
}
_FRACTIONAL: Final = {c.TIMESTAMP2: ("timestamp", 93), c.DATETIME2: ("datetime", 93), c.TIME2: ("time", 92)}
_ODD_CODES: Final = {c.SET: 2004, c.JSON: 1111} | {type_: entry[2] for type_, entry in _INTEGERS.items()}
_CODES: Final = {type_: entry[1] for type_, entry in (_INTEGERS | _PLAIN | _FRACTIONAL).items()} | {
    c.NEWDECIMAL: 3,
    c.ENUM: 4,
    c.BIT: -7,
    c.SET: -7,
}
_BLOB_PREFIX: Final = {1: "tiny", 2: "", 3: "medium", 4: "long"}


def with_width(column: Column, catalogue: str | None) -> str | None:
    """Return what the catalogue calls a number's type where that is the same type with a width or zerofill.

    Args:
        column: The column as the event describes it.
        catalogue: COLUMN_TYPE of the column of that name now, or None.
    """
    if catalogue is None or column.type not in (*_INTEGERS, c.FLOAT, c.DOUBLE, c.NEWDECIMAL, c.YEAR):
        return None
    text = catalogue.lower()
    bare = text.replace(" zerofill", "")
    if column.type != c.NEWDECIMAL:
        bare = re.sub(r"\(.*?\)", "", bare)
    return text if bare == mysql_type(column) else None


def mysql_type(column: Column) -> str:
    """Return the type as SHOW CREATE TABLE writes it, e.g. `decimal(10,2) unsigned`."""
    if column.full_type is not None:
        return column.full_type
    sign = " unsigned" if column.unsigned and column.type != c.YEAR else ""
    if column.type in _INTEGERS:
        return _INTEGERS[column.type][0] + sign
    if column.type == c.NEWDECIMAL:
        return f"decimal({column.meta[0]},{column.meta[1]}){sign}"
    if column.type == c.VECTOR and column.shape:
        return f"vector({column.shape})"
    if column.type in _PLAIN:
        return _PLAIN[column.type][0] + sign
    if column.type in _FRACTIONAL:
        return _FRACTIONAL[column.type][0] + (f"({column.meta[0]})" if column.meta[0] else "")
    if column.type in (c.ENUM, c.SET):
        labels = ",".join("'" + label.replace("'", "''") + "'" for label in column.labels)
        return f"{'enum' if column.type == c.ENUM else 'set'}({labels})"
    if column.type == c.BIT:
        return f"bit({column.meta[0] + 8 * column.meta[1]})"
    if column.type == c.GEOMETRY:
        return c.GEOMETRIES[column.shape] if column.shape < len(c.GEOMETRIES) else c.GEOMETRIES[0]
    return column.special or _string_type(column)


def _string_type(column: Column) -> str:
    text = column.charset is not None
    if column.type in (c.BLOB, c.BLOB_COMPRESSED):
        return _BLOB_PREFIX.get(column.meta[0], "") + ("text" if text else "blob")
    size = column.meta[0] - (column.type == c.VARCHAR_COMPRESSED)
    length = size // column.charset.max_bytes if column.charset is not None else size
    if column.type == c.STRING:
        return f"{'char' if text else 'binary'}({length})"
    return f"{'varchar' if text else 'varbinary'}({length})"


def sql_type(column: Column, *, odd: bool = False, bit_codes: bool = False) -> int:
    """Return the code.

    Args:
        column: The column.
        odd: Whether the value is an unsigned one above the signed maximum, or a NULL of SET or JSON: for these Canal
            has another code.
        bit_codes: Whether TINYINT(1) has the code of BIT.
    """
    if bit_codes and column.full_type == "tinyint(1)":
        return -7
    if odd and column.type in _ODD_CODES:
        return _ODD_CODES[column.type]
    if column.type in _CODES:
        return _CODES[column.type]
    if column.charset is None and not column.special:
        return 2004
    if column.type in (c.BLOB, c.BLOB_COMPRESSED):
        return 2005
    return 1 if column.type == c.STRING else 12
