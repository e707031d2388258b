"""Values of messages to the bytes of a CQL type, compiled once for each column.

A message holds Canal's text, plain JSON values or, from look-ups, Python values; the target column's type decides what
they mean. Nothing is guessed: what does not fit exactly is a `DataError` that names table, column, value and type.

Source: CQL binary protocol v5, sections "notations" and "data type serialization formats".
"""

from __future__ import annotations

import base64
import ipaddress
import re
import reprlib
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import orjson

from connectors.api.errors import ConfigError, DataError
from connectors.clients.cassandra.durations import encode_duration
from connectors.clients.cassandra.errors import ReasonError
from connectors.clients.cassandra.nested import UserTypes, nested_encoder

__all__ = ["BINARY_MODES", "Encode", "Micros", "compile_encoder", "fast_encoder", "is_supported"]

Encode = Callable[[Any], bytes]
"""Turns a value that is not None into the bytes of a column."""

Micros = Callable[[Any], int]
"""Turns a time as it stands in a message into microseconds since 1970."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_MILLISECOND: Final = timedelta(milliseconds=1)
_PLAIN_DECIMAL: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?")
_TIME: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?")
_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_TIMES_KEPT: Final = 4096
_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60

_int32 = struct.Struct(">i").pack
_uint32 = struct.Struct(">I").pack
_int64 = struct.Struct(">q").pack
_float = struct.Struct(">f").pack
_double = struct.Struct(">d").pack


def compile_encoder(
    table: str,
    column: str,
    cql_type: str,
    micros: Micros,
    *,
    binary: str = "latin1",
    user_types: UserTypes | None = None,
) -> Encode:
    """Return the function that encodes values for a column.

    Args:
        table: Keyspace and table, for messages.
        column: Name of the column.
        cql_type: Its type as the schema tells it, e.g. `decimal`.
        micros: Reads times; knows the zone of texts without one.
        binary: How texts hold bytes: one of `BINARY_MODES`.
        user_types: The keyspace's.

    Raises:
        ConfigError: The type is not supported.
    """
    convert = _encoder(cql_type, micros, binary, user_types)
    if convert is None:
        raise ConfigError(f"column {table}.{column}: type {cql_type} is not supported")

    def encoder(value: Any) -> bytes:
        try:
            return convert(value)
        except (ValueError, TypeError, AttributeError, ArithmeticError, struct.error, DataError) as error:
            reason = f": {error}" if isinstance(error, ReasonError) else ""
            raise DataError(f"column {table}.{column}: {_SHORT.repr(value)} is no {cql_type}{reason}") from None

    return encoder


def fast_encoder(
    cql_type: str, micros: Micros, *, binary: str = "latin1", user_types: UserTypes | None = None
) -> Encode:
    """Return an encoder for the usual case: it may raise anything where `compile_encoder`'s is to be asked.

    Args:
        cql_type: A type that is supported.
        micros: Reads times.
        binary: How texts hold bytes.
        user_types: The keyspace's.
    """
    if cql_type == "timestamp":
        # A row often holds one time in several columns, and neighbours hold the same.
        return lru_cache(_TIMES_KEPT, typed=True)(_timestamp_encoder(micros))
    found = _FAST.get(cql_type) or _encoder(cql_type, micros, binary, user_types)
    assert found is not None
    return found


def is_supported(cql_type: str, user_types: UserTypes | None = None) -> bool:
    """Tell whether values can be encoded for a type."""
    return _encoder(cql_type, int, "latin1", user_types) is not None


def _encoder(cql_type: str, micros: Micros, binary: str, user_types: UserTypes | None) -> Encode | None:
    def scalar(name: str) -> Encode | None:
        if name == "timestamp":
            return _timestamp_encoder(micros)
        return BINARY_MODES[binary] if name == "blob" else _ENCODERS.get(name)

    return nested_encoder(cql_type, scalar, user_types or {})


def _text(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int | Decimal):
        return str(value).encode()
    if isinstance(value, float | dict | list):
        return orjson.dumps(value)
    raise ReasonError("a text is needed")


def _ascii(value: Any) -> bytes:
    return _text(value).decode().encode("ascii")


def _whole(value: Any) -> int:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if isinstance(value, bool):
        raise ReasonError("a whole number is needed")
    if isinstance(value, int):
        return value
    if isinstance(value, float | Decimal) and value == (number := int(value)):
        return number
    raise ReasonError("a whole number is needed")


def _plain_integer(pack: Callable[[int], bytes]) -> Encode:
    def encode(value: Any) -> bytes:
        number = int(value)
        if str(number) != value:
            raise ValueError(value)
        return pack(number)

    return encode


def _plain_decimal(value: Any) -> bytes:
    whole, _, fraction = value.partition(".")
    digits = whole + fraction
    if not (digits.isascii() and digits.removeprefix("-").isdigit()):
        raise ValueError(value)
    return _int32(len(fraction)) + _pack_varint(int(digits))


def _integer(bits: int) -> Encode:
    low, high, size = -(1 << bits - 1), (1 << bits - 1) - 1, bits // 8

    def encode(value: Any) -> bytes:
        number = _whole(value)
        if not low <= number <= high:
            raise ReasonError(f"it is outside of {low} to {high}")
        return number.to_bytes(size, "big", signed=True)

    return encode


def _varint(value: Any) -> bytes:
    return _pack_varint(_whole(value))


def _pack_varint(number: int) -> bytes:
    """Two's complement in the fewest bytes, as keys are compared byte by byte."""
    return number.to_bytes((number + (number < 0)).bit_length() // 8 + 1, "big", signed=True)


def _decimal(value: Any) -> bytes:
    if isinstance(value, str) and _PLAIN_DECIMAL.fullmatch(value):
        whole, _, fraction = value.partition(".")
        return _int32(len(fraction)) + _pack_varint(int(whole + fraction))
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise ReasonError("a number is needed")
    if isinstance(value, str) and "_" in value:
        raise ReasonError("a number is needed")
    # repr of a float is the shortest text that means it: 0.1 stays 0.1.
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    sign, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int):
        raise ReasonError("a decimal cannot be NaN or infinite")
    unscaled = int("".join(map(str, digits)))
    return _int32(-exponent) + _pack_varint(-unscaled if sign else unscaled)


def _number(value: Any) -> float:
    if isinstance(value, bool) or (isinstance(value, str) and "_" in value):
        raise ReasonError("a number is needed")
    return float(value)


def _float32(value: Any) -> bytes:
    return _float(_number(value))


def _float64(value: Any) -> bytes:
    return _double(_number(value))


_BOOLEANS: Final = {"true": b"\1", "1": b"\1", "false": b"\0", "0": b"\0"}


def _boolean(value: Any) -> bytes:
    found = _BOOLEANS.get(str(value).lower()) if isinstance(value, str | int) else None
    if found is None:
        raise ReasonError("true, false, 1 or 0 is needed")
    return found


def _timestamp_encoder(micros: Micros) -> Encode:
    def encode(value: Any) -> bytes:
        if isinstance(value, datetime):
            # The driver hands out times of Cassandra without a zone; they are UTC.
            moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
            return _int64((moment - _EPOCH) // _MILLISECOND)
        return _int64(micros(value) // 1000)

    return encode


def _date(value: Any) -> bytes:
    if isinstance(value, date):
        day = value
    elif isinstance(value, str) and (len(value) == 10 or value[10:11] in (" ", "T")):
        day = date.fromisoformat(value[:10])
    else:
        raise ReasonError("yyyy-MM-dd is needed")
    return _uint32(day.toordinal() - _EPOCH_DAY + (1 << 31))


def _time(value: Any) -> bytes:
    text = value.isoformat() if isinstance(value, time) else value
    match = _TIME.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ReasonError("HH:mm:ss.SSS is needed")
    hour, minute, second = (int(part or 0) for part in match.groups()[:3])
    if hour > 23 or minute > 59 or second > 59:
        raise ReasonError("a time of day is needed")
    nanos = int((match[4] or "0").ljust(9, "0"))
    return _int64((hour * 3600 + minute * 60 + second) * 1_000_000_000 + nanos)


def _uuid(value: Any) -> bytes:
    return value.bytes if isinstance(value, UUID) else UUID(value).bytes


def _timeuuid(value: Any) -> bytes:
    data = _uuid(value)
    if data[6] >> 4 != 1:
        raise ReasonError("a version 1 UUID is needed")
    return data


def _inet(value: Any) -> bytes:
    if not isinstance(value, str):
        raise ReasonError("an address is needed")
    return ipaddress.ip_address(value).packed


def _latin1(value: Any) -> bytes:
    """Canal writes binary columns as text with a character for each byte."""
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ReasonError("a text is needed")
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        raise ReasonError("it has a character that stands for no byte; is binary.mode right?") from None


def _base64(value: Any) -> bytes:
    try:
        return value if isinstance(value, bytes) else base64.b64decode(value, validate=True)
    except (ValueError, TypeError):
        raise ReasonError("base64 is needed, see option binary.mode") from None


def _hex(value: Any) -> bytes:
    try:
        return value if isinstance(value, bytes) else bytes.fromhex(value.removeprefix("0x"))
    except (ValueError, AttributeError):
        raise ReasonError("hexadecimal digits are needed, see option binary.mode") from None


BINARY_MODES: Final[dict[str, Encode]] = {"latin1": _latin1, "base64": _base64, "hex": _hex}
"""How texts hold bytes; the names are those of the MySQL source."""

_ENCODERS: Final[dict[str, Encode]] = {
    "text": _text,
    "varchar": _text,
    "ascii": _ascii,
    "tinyint": _integer(8),
    "smallint": _integer(16),
    "int": _integer(32),
    "bigint": _integer(64),
    "varint": _varint,
    "decimal": _decimal,
    "float": _float32,
    "double": _float64,
    "boolean": _boolean,
    "date": _date,
    "time": _time,
    "uuid": _uuid,
    "timeuuid": _timeuuid,
    "inet": _inet,
    "duration": encode_duration,
}

_FAST: Final[dict[str, Encode]] = {
    "text": str.encode,
    "varchar": str.encode,
    "int": _plain_integer(_int32),
    "bigint": _plain_integer(_int64),
    "decimal": _plain_decimal,
}
"""Encoders for what Canal writes in these columns: texts, and whole numbers as text."""
