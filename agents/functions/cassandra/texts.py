"""Values of Cassandra as they stand in messages: text in Canal's, JSON in plain objects."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, Literal

from agents.message import Message
from connectors.api.errors import DataError
from connectors.formats.canal import is_flat_message

__all__ = ["TIME_FORMATS", "Renderer", "TimeFormat", "add_columns"]

TimeFormat = Literal["text", "iso", "millis"]
TIME_FORMATS: Final = ("text", "iso", "millis")
"""`2019-11-22 10:00:00.123` in the zone, `2019-11-22T10:00:00.123+08:00`, milliseconds since 1970."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

# CQL type -> what the column would be in MySQL, and its number in java.sql.Types.
_MYSQL_TYPES: Final = {
    "timestamp": ("timestamp(3)", 93),
    "date": ("date", 91),
    "time": ("time(6)", 92),
    "tinyint": ("tinyint", -6),
    "smallint": ("smallint", 5),
    "int": ("int", 4),
    "bigint": ("bigint", -5),
    "varint": ("decimal(65,0)", 3),
    "decimal": ("decimal(65,30)", 3),
    "float": ("float", 7),
    "double": ("double", 8),
    "boolean": ("tinyint(1)", -7),
    "blob": ("blob", 2004),
}
_TEXT: Final = ("varchar(255)", 12)


class Renderer:
    """Writes values as messages hold them.

    Args:
        zone: Zone of times.
        time_format: How times are written.
    """

    def __init__(self, zone: tzinfo, time_format: TimeFormat) -> None:
        self._zone = zone
        self._format = time_format

    def time(self, millis: int) -> str | int:
        """Return a point in time, given in milliseconds since 1970.

        Raises:
            DataError: It lies beyond the year 9999.
        """
        if self._format == "millis":
            return millis
        try:
            moment = (_EPOCH + timedelta(milliseconds=millis)).astimezone(self._zone)
        except OverflowError:
            raise DataError(f"{millis} ms since 1970 is beyond the years that can be written") from None
        if self._format == "iso":
            return moment.isoformat("T", "milliseconds")
        return moment.replace(tzinfo=None).isoformat(" ", "milliseconds")

    def value(self, value: Any, cql_type: str) -> Any:
        """Return a value that was read from a column, as JSON can hold it."""
        if value is None:
            return None
        if cql_type == "timestamp":
            return self.time(value)
        if isinstance(value, bytes):
            return value.decode("latin-1")
        if isinstance(value, str | bool | int | float):
            return value
        return str(value)


def add_columns(message: Message, added: list[dict[str, Any]], types: Mapping[str, str]) -> None:
    """Write columns into the rows of a message; a Canal message stays one: values are text, columns have types.

    Args:
        message: The message.
        added: Columns for each row.
        types: Field added to its CQL type.
    """
    canal = is_flat_message(message.value)
    for row, columns in zip(message.rows, added, strict=True):
        row.update({name: _canal(value) for name, value in columns.items()} if canal else columns)
    if canal:
        names = {name for columns in added for name in columns}
        _add_types(message.value, {name: types[name] for name in types if name in names})


def _add_types(value: dict[str, Any], types: Mapping[str, str]) -> None:
    for place, kind in enumerate(("mysqlType", "sqlType")):
        known = value.get(kind)
        if isinstance(known, dict):
            for name, cql_type in types.items():
                known.setdefault(name, _MYSQL_TYPES.get(cql_type, _TEXT)[place])


def _canal(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value)
