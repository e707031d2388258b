"""Casts of single values, by Kafka Connect's type names."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final

from connectors.api.errors import DataError
from connectors.formats.canal import encode_object
from connectors.formats.temporal import EPOCH

__all__ = ["CASTS", "epoch_micros", "millis_of_day"]

_WHOLE = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)


def epoch_micros(moment: datetime) -> int:
    """Return microseconds since 1970; a time without a zone counts as UTC."""
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    difference = moment - EPOCH
    return (difference.days * 86_400 + difference.seconds) * 1_000_000 + difference.microseconds


def millis_of_day(moment: time) -> int:
    """Return milliseconds since midnight."""
    return ((moment.hour * 60 + moment.minute) * 60 + moment.second) * 1000 + moment.microsecond // 1000


def _number(value: Any) -> int | float | Decimal:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float | Decimal):
        return value
    # Kafka Connect's numbers for its logical types: milliseconds since 1970, days since 1970, milliseconds of the day.
    if isinstance(value, datetime):
        return epoch_micros(value) // 1000
    if isinstance(value, date):
        return (value - EPOCH.date()).days
    if isinstance(value, time):
        return millis_of_day(value)
    raise DataError("it is neither a number nor text, boolean or time")


def _integer(bits: int) -> Callable[[Any], int]:
    limit = 1 << (bits - 1)

    def cast(value: Any) -> int:
        value = _utf8(value)
        if isinstance(value, str):
            if not _WHOLE.fullmatch(value):
                raise DataError("the text is no whole number")
            number = int(value)
        else:
            number = int(_number(value))
        if not -limit <= number < limit:
            raise DataError(f"a whole number of {bits} bits is needed")
        return number

    return cast


def _float64(value: Any) -> float:
    value = _utf8(value)
    if not isinstance(value, str):
        return float(_number(value))
    try:
        return float(value)
    except ValueError:
        raise DataError("the text is no number") from None


def _float32(value: Any) -> float:
    try:
        number: float = struct.unpack("f", struct.pack("f", _float64(value)))[0]
    except OverflowError:
        raise DataError("it is too large") from None
    return number


def _boolean(value: Any) -> bool:
    value = _utf8(value)
    if isinstance(value, str):
        # MySQL's tinyint(1) stands as 1 and 0 in Canal messages.
        found = {"true": True, "1": True, "false": False, "0": False}.get(value.strip().lower())
        if found is None:
            raise DataError("the text is neither true nor false")
        return found
    return _number(value) != 0


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date | time):
        return value.isoformat()
    return encode_object(value).decode() if isinstance(value, dict | list) else str(value)


def _utf8(value: Any) -> Any:
    # Keys without a converter of their own are the bytes of a text.
    return value.decode() if isinstance(value, bytes) else value


CASTS: Final[dict[str, Callable[[Any], Any]]] = {
    "int8": _integer(8),
    "int16": _integer(16),
    "int32": _integer(32),
    "int64": _integer(64),
    "float32": _float32,
    "float64": _float64,
    "boolean": _boolean,
    "string": _string,
}
