from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sources.mysql import values

BYTES = (0, 1, 1, 2, 2, 3, 3, 4, 4, 4)


def encode_decimal(number: Decimal, precision: int, scale: int) -> bytes:
    """MySQL's storage format, written the plain way."""
    digits = plain(number.copy_abs(), scale)
    whole, _, fraction = digits.partition(".")
    whole = whole.zfill(precision - scale) if precision > scale else ""
    whole = whole[-(precision - scale) :] if precision > scale else ""
    head = len(whole) % 9
    groups = [whole[:head]] if head else []
    groups += [whole[n : n + 9] for n in range(head, len(whole), 9)]
    groups += [fraction[n : n + 9] for n in range(0, len(fraction), 9)]
    data = bytearray(b"".join(int(group).to_bytes(BYTES[len(group)], "big") for group in groups))
    if number < 0:
        data = bytearray(byte ^ 0xFF for byte in data)
    data[0] ^= 0x80
    return bytes(data)


def plain(number: Decimal, scale: int) -> str:
    sign, digits, _ = number.as_tuple()
    text = "".join(map(str, digits)).zfill(scale + 1)
    whole, fraction = text[: len(text) - scale], text[len(text) - scale :]
    return "-" * sign + (f"{whole}.{fraction}" if scale else whole)


@st.composite
def decimals(draw: st.DrawFn) -> tuple[Decimal, int, int]:
    precision = draw(st.integers(1, 65))
    scale = draw(st.integers(0, min(30, precision)))
    number = draw(st.integers(-(10**precision) + 1, 10**precision - 1))
    digits = tuple(int(digit) for digit in str(abs(number)))
    return Decimal((int(number < 0), digits, -scale)), precision, scale


@given(decimals())
def test_a_decimal_keeps_sign_digits_and_scale(case: tuple[Decimal, int, int]) -> None:
    number, precision, scale = case
    raw = encode_decimal(number, precision, scale)
    assert len(raw) == values.decimal_size(precision, scale)
    assert values.decimal_text(precision, scale)(raw) == plain(number, scale)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_reads_back_as_itself(number: float) -> None:
    text = values.double_text(number)
    assert float(text) == number
    assert "." in text
    scientific = number != 0 and not 1e-3 <= abs(number) < 1e7
    assert ("E" in text) == scientific


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_float_reads_back_as_itself(number: float) -> None:
    text = values.float_text(number)
    assert struct.unpack("<f", struct.pack("<f", float(text)))[0] == number
    assert len(text.partition("E")[0].strip("-0").replace(".", "").strip("0")) <= 9


@pytest.mark.parametrize(
    ("number", "text"),
    [(3.14, "3.14"), (1, "1.0"), (1e7, "1.0E7"), (12345678, "1.2345678E7"), (9e-4, "9.0E-4"), (123456.789, "123456.79"),
     (1e-45, "1.4E-45"), (-0.0, "-0.0")],
)  # fmt: skip
def test_floats_as_java_prints_them(number: float, text: str) -> None:
    assert values.float_text(struct.unpack("<f", struct.pack("<f", number))[0]) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(100, "100.0"), (1e10, "1.0E10"), (9e-4, "9.0E-4"), (0.001, "0.001"), (5e-324, "4.9E-324"), (2e23, "2.0E23"),
     (9999999, "9999999.0"), (12345678.9, "1.23456789E7"), (0.1 + 0.2, "0.30000000000000004")],
)  # fmt: skip
def test_doubles_as_java_prints_them(number: float, text: str) -> None:
    assert values.double_text(float(number)) == text


@given(st.integers(0, 6), st.integers(-(838 * 3600 + 59 * 60 + 59) * 10**6, (838 * 3600 + 59 * 60 + 59) * 10**6))
def test_a_time_keeps_its_sign_and_fraction(digits: int, micros: int) -> None:
    micros -= micros % 10 ** (6 - digits)
    seconds, fraction = divmod(abs(micros), 10**6)
    packed = (seconds // 3600 << 12 | seconds // 60 % 60 << 6 | seconds % 60) << 24 | fraction
    size = values.fraction_size(digits)
    stored = packed >> 24 << 8 * size | fraction // 10 ** (6 - 2 * size)
    raw = ((-stored if micros < 0 else stored) + (1 << (8 * (3 + size) - 1))).to_bytes(3 + size, "big")
    sign = "-" if micros < 0 else ""
    clock = f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    assert values.time_text(digits)(raw) == (f"{clock}.{f'{fraction:06d}'[:digits]}" if digits else clock)


@given(st.datetimes(), st.integers(0, 6))
def test_a_datetime_keeps_its_digits(moment: datetime, digits: int) -> None:
    size = values.fraction_size(digits)
    day = (moment.year * 13 + moment.month) << 5 | moment.day
    packed = day << 17 | moment.hour << 12 | moment.minute << 6 | moment.second
    stored = moment.microsecond // 10 ** (6 - digits) * 10 ** (6 - digits) // 10 ** (6 - 2 * size)
    raw = (packed + 0x8000000000).to_bytes(5, "big") + stored.to_bytes(size, "big")
    text = f"{moment.year:04d}-{moment:%m-%d %H:%M:%S}"
    fraction = f".{moment.microsecond:06d}"[: digits + 1] if digits else ""
    assert values.datetime_text(digits)(raw) == text + fraction


@pytest.mark.parametrize(
    ("zone", "seconds", "text"),
    [
        (UTC, 1_700_000_000, "2023-11-14 22:13:20"),
        (timezone(timedelta(hours=8)), 1_700_000_000, "2023-11-15 06:13:20"),
        (ZoneInfo("America/New_York"), 1_699_160_400, "2023-11-05 01:00:00"),
        (ZoneInfo("America/New_York"), 1_699_164_000, "2023-11-05 01:00:00"),
        (UTC, 4_294_967_295, "2106-02-07 06:28:15"),
        (timezone(timedelta(hours=8)), 0, "0000-00-00 00:00:00"),
    ],
)
def test_a_timestamp_is_written_in_the_zone(zone: tzinfo, seconds: int, text: str) -> None:
    assert values.timestamp_text(0, zone)(seconds.to_bytes(4, "big")) == text
    assert values.timestamp_text(3, zone)(seconds.to_bytes(4, "big") + (1230).to_bytes(2, "big")) == f"{text}.123"
    assert values.old_timestamp_text(zone)(seconds.to_bytes(4, "little")) == text


def test_the_old_formats() -> None:
    assert values.old_time_text((-8385959).to_bytes(3, "little", signed=True)) == "-838:59:59"
    assert values.old_datetime_text((20240102030405).to_bytes(8, "little")) == "2024-01-02 03:04:05"
    assert values.date_text((2024 << 9 | 2 << 5 | 29).to_bytes(3, "little")) == "2024-02-29"
