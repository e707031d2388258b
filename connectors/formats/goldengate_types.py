"""Types of GoldenGate's columns as Canal's `mysqlType` and `sqlType`, and values in the text form of their type.

GoldenGate's JSON knows texts and numbers; the rest is declared in options, in MySQL's or in Oracle's words.
Codes are those of java.sql.Types.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Final

from connectors.api.errors import ConfigError, DataError, did_you_mean

__all__ = ["ColumnType", "Number", "column_type", "type_of_schema"]


class Number(str):
    """A JSON number as its digits."""

    __slots__ = ()


_CODES: Final = {
    "tinyint": -6,
    "smallint": 5,
    "mediumint": 4,
    "int": 4,
    "bigint": -5,
    "decimal": 3,
    "float": 7,
    "double": 8,
    "date": 91,
    "datetime": 93,
    "timestamp": 93,
    "time": 92,
    "char": 1,
    "varchar": 12,
    "text": 2005,
    "longtext": 2005,
    "json": 12,
    "binary": 2004,
    "varbinary": 2004,
    "blob": 2004,
    "longblob": 2004,
    "bit": -7,
}
# Oracle's words. Its DATE has a time of day.
_SYNONYMS: Final = {
    "number": "decimal",
    "numeric": "decimal",
    "integer": "int",
    "boolean": "tinyint",
    "varchar2": "varchar",
    "nvarchar2": "varchar",
    "nchar": "char",
    "clob": "longtext",
    "nclob": "longtext",
    "raw": "varbinary",
    "binary_float": "float",
    "binary_double": "double",
}
_TYPE: Final = re.compile(r"\s*(?P<name>[a-z_0-9]+)\s*(?:\(\s*(?P<arguments>[\d\s,]*)\s*\))?\s*", re.IGNORECASE)
_TIME: Final = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})(?:[ T:](?P<time>\d{2}:\d{2}:\d{2})(?:\.(?P<fraction>\d+))?)?(?P<zone>.*)"
)
_INTEGERS: Final = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
_BINARY: Final = frozenset({"binary", "varbinary", "blob", "longblob"})
_SCHEMA_TYPES: Final = {"string": "varchar", "number": "decimal", "integer": "bigint", "boolean": "tinyint(1)"}


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A column's type.

    Attributes:
        name: Base name, e.g. `decimal`.
        arguments: E.g. `(10, 2)`.
    """

    name: str
    arguments: tuple[int, ...] = ()

    @property
    def mysql_type(self) -> str:
        """Canal's type text."""
        return f"{self.name}({','.join(map(str, self.arguments))})" if self.arguments else self.name

    @property
    def sql_type(self) -> int:
        """Canal's type code."""
        return _CODES[self.name]

    def render(self, value: str, binary: str) -> str:
        """Return a value in the text form that Canal gives this type; no digit is lost.

        Args:
            value: The value as GoldenGate writes it.
            binary: `base64`, `latin1` or `hex`.

        Raises:
            DataError: It is no value of this type.
        """
        if self.name == "decimal":
            return self._number(value, self.arguments[1] if len(self.arguments) > 1 else 0, pad=bool(self.arguments))
        if self.name in _INTEGERS:
            return self._number(value, 0, pad=True)
        if self.name in ("datetime", "timestamp", "date"):
            return self._moment(value)
        if self.name in _BINARY and binary != "base64":
            return _bytes(value, binary)
        return value

    def _number(self, value: str, scale: int, *, pad: bool) -> str:
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise DataError(f"{value!r} is no {self.mysql_type}") from None
        if not number.is_finite():
            raise DataError(f"{value!r} is no {self.mysql_type}")
        text = format(number, "f")
        if not pad:
            return text
        whole, _, digits = text.partition(".")
        # Digits beyond the scale that are not zero are kept: the declared type is wrong, not the value.
        digits = digits[:scale].ljust(scale, "0") + digits[scale:].rstrip("0")
        return f"{whole}.{digits}" if digits else whole

    def _moment(self, value: str) -> str:
        match = _TIME.fullmatch(value)
        if match is None:
            raise DataError(f"{value!r} is no {self.mysql_type}: yyyy-MM-dd HH:mm:ss is needed")
        time = match["time"] or "00:00:00"
        digits = match["fraction"] or ""
        if self.name == "date":
            return match["day"] if time == "00:00:00" and not digits.strip("0") else value
        scale = self.arguments[0] if self.arguments else 0
        digits = digits[:scale].ljust(scale, "0") + digits[scale:].rstrip("0")
        return f"{match['day']} {time}{f'.{digits}' if digits else ''}{match['zone']}"


@lru_cache(maxsize=4096)
def column_type(text: str) -> ColumnType:
    """Read a type such as `decimal(10,2)`, `number(10,2)` or `varchar2(30)`.

    Raises:
        ConfigError: There is no such type.
    """
    match = _TYPE.fullmatch(text)
    given = match["name"].lower() if match else text
    name = _SYNONYMS.get(given, given)
    if match is None or name not in _CODES:
        near = did_you_mean(given, [*_CODES, *_SYNONYMS])
        raise ConfigError(f"{text!r} is no column type{near or '; write e.g. decimal(10,2), datetime(6), varchar(30)'}")
    arguments = tuple(int(each) for each in (match["arguments"] or "").split(",") if each.strip())
    return ColumnType(name, (1,) if given == "boolean" else arguments)


def type_of_schema(about: Mapping[str, Any]) -> ColumnType | None:
    """Return the type of a property of a JSON schema; None where it is no column's."""
    kinds = about.get("type")
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind in _SCHEMA_TYPES:
            return column_type(_SCHEMA_TYPES[kind])
    return None


def _bytes(value: str, binary: str) -> str:
    try:
        data = base64.b64decode(value, validate=True)
    except binascii.Error:
        raise DataError(f"{value[:40]!r} is no base64") from None
    return data.hex() if binary == "hex" else data.decode("latin-1")
