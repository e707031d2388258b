from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import DataError
from connectors.formats.temporal import EPOCH, TimestampParser, parse_date, zone_of

SHANGHAI = TimestampParser(zone_of("Asia/Shanghai"))


@pytest.mark.parametrize(
    ("given_value", "micros"),
    [
        ("1970-01-01 08:00:00.001", 1_000),
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01 00:00:00+00:00", 0),
        ("1970-01-01", -8 * 3600 * 1_000_000),
        (1_700_000_000_123, 1_700_000_000_123_000),
        ("1700000000123", 1_700_000_000_123_000),
        (Decimal("1.5"), 1_500),
    ],
)
def test_texts_and_epoch_milliseconds_become_microseconds(given_value: Any, micros: int) -> None:
    assert SHANGHAI.micros(given_value) == micros


@pytest.mark.parametrize("bad", ["", "yesterday", "0000-00-00 00:00:00", "2024-13-01", None, True, [], "nan", "inf"])
def test_anything_else_is_refused(bad: Any) -> None:
    with pytest.raises(DataError, match="is no time"):
        SHANGHAI.micros(bad)


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 1, 1)))  # noqa: DTZ001
def test_an_offset_zone_shifts_by_its_offset(moment: datetime) -> None:
    expected = (moment.replace(tzinfo=UTC) - timedelta(hours=8) - EPOCH) // timedelta(microseconds=1)
    assert TimestampParser(zone_of("+08:00")).micros(moment.isoformat(" ")) == expected


def test_a_day_is_read_also_before_a_time() -> None:
    assert parse_date("2024-01-02 03:04:05") == date(2024, 1, 2)
    with pytest.raises(DataError, match="is no day"):
        parse_date("2024-02-30")
