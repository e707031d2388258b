"""MySQL's binary values as Canal's texts.

Each maker returns a function from the bytes of one value to its text, without quotes. None of these texts needs
escaping in JSON. Source: MySQL's `my_time.cc` and `decimal.cc` for the storage formats, reference Canal 1.1.7 for the
texts.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from struct import Struct
from typing import Final

from connectors.formats.temporal import EPOCH

__all__ = [
    "Cache",
    "Text",
    "canal_decimal",
    "canal_decimal_text",
    "date_text",
    "datetime_text",
    "decimal_size",
    "decimal_text",
    "double_text",
    "float_text",
    "fraction_size",
    "moments",
    "old_datetime_text",
    "old_time_text",
    "old_timestamp_text",
    "time_text",
    "timestamp_text",
]

Text = Callable[[bytes], str]

_DIGIT_BYTES: Final = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)
_CACHE_LIMIT: Final = 100_000
_FLOAT: Final = Struct("<f")
_DOUBLE: Final = Struct("<d")


class Cache(dict[int, str]):
    """Texts by number, made once; emptied when it grows too large, so that its memory is bounded."""

    def __init__(self, make: Callable[[int], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, number: int) -> str:
        if len(self) >= _CACHE_LIMIT:
            self.clear()
        text = self[number] = self._make(number)
        return text


def _day(packed: int) -> str:
    """A DATETIME's date: year * 13 + month, five bits of day. Zero and partial dates keep their digits (P7)."""
    year, month = divmod(packed >> 5, 13)
    return f"{year:04d}-{month:02d}-{packed & 31:02d}"


def _clock(packed: int) -> str:
    return f" {packed >> 12:02d}:{packed >> 6 & 63:02d}:{packed & 63:02d}"


_DAYS: Final = Cache(_day)
_CLOCKS: Final = Cache(_clock)
_DATES: Final = Cache(lambda packed: f"{packed >> 9:04d}-{packed >> 5 & 15:02d}-{packed & 31:02d}")


def fraction_size(digits: int) -> int:
    """Return the bytes that a fraction of a second with so many digits takes."""
    return (digits + 1) // 2


def date_text(raw: bytes) -> str:
    """DATE."""
    return _DATES[int.from_bytes(raw, "little")]


def datetime_text(digits: int) -> Text:
    """DATETIME with so many digits of a second."""
    days, clocks, number = _DAYS, _CLOCKS, int.from_bytes

    def whole(raw: bytes) -> str:
        packed = number(raw, "big") - 0x8000000000
        return days[packed >> 17] + clocks[packed & 0x1FFFF]

    if not digits:
        return whole

    width = 2 * fraction_size(digits)

    def fractional(raw: bytes) -> str:
        packed = number(raw[:5], "big") - 0x8000000000
        fraction = f"{number(raw[5:], 'big'):0{width}d}"
        return f"{days[packed >> 17]}{clocks[packed & 0x1FFFF]}.{fraction[:digits]}"

    return fractional


def moments(zone: tzinfo) -> Cache:
    """TIMESTAMP without a fraction, in `zone`, by its seconds since 1970; zero is "no time", not 1970 (P8)."""

    def text(seconds: int) -> str:
        if not seconds:
            return "0000-00-00 00:00:00"
        if isinstance(zone, timezone):
            moment = EPOCH + timedelta(seconds=seconds) + zone.utcoffset(None)
        else:
            moment = datetime.fromtimestamp(seconds, UTC).astimezone(zone)
        return moment.strftime("%Y-%m-%d %H:%M:%S")

    return Cache(text)


def timestamp_text(digits: int, zone: tzinfo) -> Text:
    """TIMESTAMP with so many digits of a second, in `zone`."""
    texts, number = moments(zone), int.from_bytes
    if not digits:
        return lambda raw: texts[number(raw, "big")]

    width = 2 * fraction_size(digits)

    def fractional(raw: bytes) -> str:
        seconds = number(raw[:4], "big")
        fraction = f"{number(raw[4:], 'big'):0{width}d}"
        return f"{texts[seconds]}.{fraction[:digits]}"

    return fractional


def time_text(digits: int) -> Text:
    """TIME with so many digits of a second.

    The whole value, fraction included, is one big-endian number with an offset: only that reading is right for
    negative times with a fraction (P6).
    """
    size = 3 + fraction_size(digits)
    offset, shift, width = 1 << (8 * size - 1), 8 * (size - 3), 2 * (size - 3)
    mask = (1 << shift) - 1

    def text(raw: bytes) -> str:
        packed = int.from_bytes(raw, "big") - offset
        sign = ""
        if packed < 0:
            packed, sign = -packed, "-"
        whole = packed >> shift
        clock = f"{sign}{whole >> 12 & 1023:02d}:{whole >> 6 & 63:02d}:{whole & 63:02d}"
        return f"{clock}.{f'{packed & mask:0{width}d}'[:digits]}" if digits else clock

    return text


def old_timestamp_text(zone: tzinfo) -> Text:
    """TIMESTAMP as tables from before MySQL 5.6 store it."""
    texts = moments(zone)
    return lambda raw: texts[int.from_bytes(raw, "little")]


def old_time_text(raw: bytes) -> str:
    """TIME as tables from before MySQL 5.6 store it: decimal hhmmss."""
    number = int.from_bytes(raw, "little", signed=True)
    sign, number = ("-", -number) if number < 0 else ("", number)
    return f"{sign}{number // 10000:02d}:{number // 100 % 100:02d}:{number % 100:02d}"


def old_datetime_text(raw: bytes) -> str:
    """DATETIME as tables from before MySQL 5.6 store it: decimal yyyymmddhhmmss."""
    digits = f"{int.from_bytes(raw, 'little'):014d}"
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]} {digits[8:10]}:{digits[10:12]}:{digits[12:]}"


def decimal_size(precision: int, scale: int) -> int:
    """Return the bytes of a DECIMAL."""
    whole, fraction = precision - scale, scale
    return whole // 9 * 4 + _DIGIT_BYTES[whole % 9] + fraction // 9 * 4 + _DIGIT_BYTES[fraction % 9]


def decimal_text(precision: int, scale: int) -> Text:
    """DECIMAL: plain digits, full scale.

    The bytes are groups of nine digits in four bytes, a shorter group first and last. The first bit is inverted, and
    all bits are where the number is negative.
    """
    size = decimal_size(precision, scale)
    half, mask = 1 << (8 * size - 1), (1 << 8 * size) - 1
    fraction_bytes = scale // 9 * 4 + _DIGIT_BYTES[scale % 9]
    shift, low = 8 * fraction_bytes, (1 << 8 * fraction_bytes) - 1
    whole_groups = (precision - scale) // 9
    simple = whole_groups == 0 or precision - scale == 9
    small = scale <= 9

    def text(raw: bytes) -> str:
        number = int.from_bytes(raw, "big")
        if number < half:
            number, sign = mask - number - half, "-"
        else:
            number, sign = number - half, ""
        whole = number >> shift
        digits = whole if simple else _join_whole(whole, whole_groups)
        if not scale:
            return f"{sign}{digits}"
        fraction = f"{number & low:0{scale}d}" if small else _join_fraction(number & low, scale)
        return f"{sign}{digits}.{fraction}"

    return text


def canal_decimal(text: str, scale: int) -> str:
    """Take off what Canal does not print: the last group of fraction digits where it is shorter than nine and zero."""
    rest = scale % 9
    if not rest or not text.endswith("0" * rest):
        return text
    text = text[:-rest]
    return f"{text}0" if scale < 9 else text


def canal_decimal_text(precision: int, scale: int) -> Text:
    """DECIMAL as Canal 1.1.7 prints it."""
    plain = decimal_text(precision, scale)
    return lambda raw: canal_decimal(plain(raw), scale)


def _join_whole(packed: int, groups: int) -> int:
    value = packed >> 32 * groups
    for index in range(groups - 1, -1, -1):
        value = value * 1_000_000_000 + (packed >> 32 * index & 0xFFFFFFFF)
    return value


def _join_fraction(packed: int, scale: int) -> str:
    groups, rest = divmod(scale, 9)
    rest_bits = 8 * _DIGIT_BYTES[rest]
    text = "".join(f"{packed >> (rest_bits + 32 * n) & 0xFFFFFFFF:09d}" for n in range(groups - 1, -1, -1))
    return f"{text}{packed & (1 << rest_bits) - 1:0{rest}d}" if rest else text


def _digits(text: str) -> tuple[str, str, int]:
    """Return sign, digits without zeros around them, and the exponent of the first digit."""
    mantissa, _, exponent = text.partition("e")
    sign, mantissa = ("-", mantissa[1:]) if mantissa[0] == "-" else ("", mantissa)
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    return sign, digits.rstrip("0") or "0", int(exponent or 0) + len(digits) - len(fraction) - 1


def _java(sign: str, digits: str, exponent: int) -> str:
    """Return the form of Java's `Double.toString`."""
    if not -3 <= exponent < 7:
        return f"{sign}{digits[0]}.{digits[1:] or '0'}E{exponent}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    digits = digits.ljust(exponent + 2, "0")
    return f"{sign}{digits[: exponent + 1]}.{digits[exponent + 1 :]}"


def double_text(number: float) -> str:
    """DOUBLE: the shortest digits that stand for the number, as Java 19 and later print it."""
    text = repr(number)
    if not number or ("e" not in text and 1e-3 <= abs(number) < 1e7):
        return text
    sign, digits, exponent = _digits(text)
    # Java takes two digits at least, and among those the nearest: 4.9E-324.
    return _java(sign, digits, exponent) if len(digits) > 1 else _java(*_digits(f"{number:.1e}"))


def float_text(number: float) -> str:
    """FLOAT: the shortest digits that stand for the number among those of 32 bits (P10)."""
    if not number:
        return repr(number)
    for precision in range(5 if abs(number) >= 2**-126 else 1, 9):
        text = f"{number:.{precision}e}"
        if _FLOAT.unpack(_FLOAT.pack(float(text)))[0] == number:
            break
    return _java(*_digits(text))
