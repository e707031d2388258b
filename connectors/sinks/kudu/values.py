"""Values of a message to Kudu's storage form, by the type of the target column.

Everything is checked here, before a client sees it: kudu-python stores a decimal of another scale wrongly and crashes
on a row it refuses, the Java client cuts a VARCHAR that is too long.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow
from functools import lru_cache
from typing import Any, Final

from connectors.clients.kudu.port import ColumnSpec
from connectors.formats.canal import encode_object
from connectors.formats.temporal import EPOCH, TimestampParser, parse_date

__all__ = ["MAX_CELL_BYTES", "Converter", "cached_micros", "converter_for", "supported"]

Converter = Callable[[Any], Any]
"""Takes a value that is not None; raises ValueError, TypeError or DataError with the reason."""

Micros = Callable[[Any], int]
"""Takes a time as it stands in a message; returns microseconds since 1970."""

MAX_CELL_BYTES: Final = 64 * 1024

_INT_BITS: Final = {"INT8": 8, "INT16": 16, "INT32": 32, "INT64": 64}
_MAX_FLOAT32: Final = 3.4028234663852886e38
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?", re.ASCII)
_EXACT: Final = Context(prec=200, traps=[Inexact, InvalidOperation, Overflow])
_MOST_DIGITS: Final = 60
_TRUE: Final = frozenset({"1", "true", "t", "yes"})
_FALSE: Final = frozenset({"0", "false", "f", "no"})


def supported(column: ColumnSpec) -> bool:
    """Tell whether values of the column's type can be written."""
    return column.type in _MAKERS or column.type == "BINARY"


def converter_for(column: ColumnSpec, micros: Micros, binary: str = "latin1") -> Converter:
    """Return the function that turns a message's value into the column's storage form.

    Args:
        column: Target column.
        micros: Reads times, see `cached_micros`.
        binary: How texts hold bytes: latin1, base64 or hex.
    """
    if column.type == "BINARY":
        return _binary(_BYTES_OF[binary])
    return _MAKERS[column.type](column, micros)


def cached_micros(parser: TimestampParser) -> Micros:
    """Return the parser's function with a memory: a row often says one moment several times, as its neighbours do."""
    of_text: Callable[[str], int] = lru_cache(maxsize=2048)(parser.micros)

    def micros(value: Any) -> int:
        # Numbers are left out: 1, 1.0 and True would be one key.
        if type(value) is str:
            return of_text(value)
        return of_text(value.isoformat(" ")) if isinstance(value, datetime) else parser.micros(value)

    return micros


def _integer(column: ColumnSpec, _: Micros) -> Converter:
    bits = _INT_BITS[column.type]
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1

    def convert(value: Any) -> int:
        if type(value) is str:
            # Canal's text; twice as fast as the general way, which knows what int() itself lets pass: 1_000, 007
            try:
                number = int(value)
            except ValueError:
                number = _plain_int(value)
            else:
                if str(number) != value:
                    number = _plain_int(value)
        else:
            number = _plain_int(value)
        if not low <= number <= high:
            raise ValueError(f"out of range {low} to {high}")
        return number

    return convert


def _plain_int(value: Any) -> int:
    if type(value) is int:
        return value
    exact = _number(value)
    if exact != exact.to_integral_value():
        raise ValueError("not a whole number")
    return int(exact)


def _number(value: Any) -> Decimal:
    if isinstance(value, str):
        if _NUMBER.fullmatch(value.strip()) is None:
            raise ValueError("not a number")
        number = Decimal(value.strip())
    elif isinstance(value, float):
        number = Decimal(repr(value))
    elif isinstance(value, int | Decimal) and not isinstance(value, bool):
        number = Decimal(value)
    else:
        raise TypeError("not a number")
    if not number.is_finite() or number.adjusted() > _MOST_DIGITS:
        raise ValueError("out of range")
    return number


def _decimal(column: ColumnSpec, _: Micros) -> Converter:
    scale, limit = column.scale, 10**column.precision

    def convert(value: Any) -> int:
        number = _unscaled(value, scale)
        if not -limit < number < limit:
            raise ValueError(f"more than {column.precision} digits")
        return number

    return convert


def _unscaled(value: Any, scale: int) -> int:
    if type(value) is str:
        whole, _, fraction = value.partition(".")
        digits = whole + fraction
        # Canal's text, e.g. -12.30; the general way below takes five times as long
        if len(fraction) <= scale and digits.lstrip("-").isdigit() and digits.isascii():
            return int(digits) * _POWERS[scale - len(fraction)]
    try:
        scaled = _EXACT.scaleb(_number(value), scale)
    except (Inexact, InvalidOperation, Overflow):
        raise ValueError("too many digits") from None
    if scaled != scaled.to_integral_value():
        raise ValueError(f"more than {scale} digits after the point")
    return int(scaled)


_POWERS: Final[tuple[int, ...]] = tuple(10**i for i in range(40))


def _float(column: ColumnSpec, _: Micros) -> Converter:
    limit = _MAX_FLOAT32 if column.type == "FLOAT" else math.inf

    def convert(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
            raise TypeError("not a number")
        if isinstance(value, str) and "_" in value:
            raise ValueError("not a number")
        try:
            number = float(value)
        except OverflowError:
            raise ValueError("out of range") from None
        if math.isfinite(number) and abs(number) > limit:
            raise ValueError("out of range")
        return number

    return convert


def _boolean(_: ColumnSpec, __: Micros) -> Converter:
    def convert(value: Any) -> bool:
        text = str(value).lower() if isinstance(value, bool | int | str) else ""
        if text in _TRUE:
            return True
        if text in _FALSE:
            return False
        raise ValueError("neither true nor false")

    return convert


def _string(_: ColumnSpec, __: Micros) -> Converter:
    return _text


def _text(value: Any) -> bytes:
    if type(value) is str:
        data = value.encode()
    elif isinstance(value, bytes):
        value.decode()
        data = value
    elif isinstance(value, date):
        data = str(value).encode()
    else:  # numbers, arrays and objects of plain JSON keep their JSON text
        data = encode_object(value)
    if len(data) > MAX_CELL_BYTES:
        raise ValueError(f"{len(data):,} bytes, at most {MAX_CELL_BYTES:,} are possible")
    return data


def _varchar(column: ColumnSpec, _: Micros) -> Converter:
    def convert(value: Any) -> bytes:
        data = _text(value)
        if len(data) > column.length and len(data.decode()) > column.length:
            raise ValueError(f"{len(data.decode())} characters")
        return data

    return convert


def _binary(bytes_of: Callable[[str], bytes]) -> Converter:
    def convert(value: Any) -> bytes:
        if not isinstance(value, str | bytes):
            raise TypeError("a text is needed, see option binary.mode")
        data = value if isinstance(value, bytes) else bytes_of(value)
        if len(data) > MAX_CELL_BYTES:
            raise ValueError(f"{len(data):,} bytes, at most {MAX_CELL_BYTES:,} are possible")
        return data

    return convert


def _of_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("base64 is needed, see option binary.mode") from None


def _of_hex(text: str) -> bytes:
    try:
        return binascii.unhexlify(text)
    except (binascii.Error, ValueError):
        raise ValueError("hexadecimal digits are needed, see option binary.mode") from None


_BYTES_OF: Final[dict[str, Callable[[str], bytes]]] = {
    # Canal writes bytes as ISO 8859-1 text; a character above U+00FF cannot come from there.
    "latin1": lambda text: text.encode("latin-1"),
    "base64": _of_base64,
    "hex": _of_hex,
}


def _timestamp(_: ColumnSpec, micros: Micros) -> Converter:
    def convert(value: Any) -> int:
        number = micros(value)
        if not -(1 << 63) <= number < 1 << 63:
            raise ValueError("out of range")
        return number

    return convert


def _date(_: ColumnSpec, __: Micros) -> Converter:
    first = EPOCH.toordinal()

    def convert(value: Any) -> int:
        return (value if isinstance(value, date) else parse_date(value)).toordinal() - first

    return convert


_MAKERS: Final[dict[str, Callable[[ColumnSpec, Micros], Converter]]] = {
    "BOOL": _boolean,
    "INT8": _integer,
    "INT16": _integer,
    "INT32": _integer,
    "INT64": _integer,
    "FLOAT": _float,
    "DOUBLE": _float,
    "DECIMAL": _decimal,
    "STRING": _string,
    "VARCHAR": _varchar,
    "DATE": _date,
    "UNIXTIME_MICROS": _timestamp,
}
