from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

import pytest

from connectors.api.errors import ConfigError, DataError
from connectors.api.record import SourceRecord
from connectors.formats.canal import RowChange
from connectors.transforms.simple_date_format import SimpleDateFormat
from connectors.transforms.timestamp_converter import TimestampConverter

MOMENT = datetime(1970, 1, 2, 0, 0, 0, 1234, tzinfo=UTC)
MILLIS = 86_400_001


def convert(value: Any, target: str, **options: str) -> Any:
    transform = TimestampConverter()
    transform.configure({"target.type": target} | {name.replace("_", "."): text for name, text in options.items()})
    result = transform.apply(SourceRecord("t", value))
    assert result is not None
    return result.value


@pytest.mark.parametrize(
    ("value", "target", "options", "wanted"),
    [
        (MOMENT, "unix", {}, MILLIS),
        (MOMENT, "unix", {"unix_precision": "seconds"}, 86_400),
        (MOMENT, "unix", {"unix_precision": "microseconds"}, 86_400_001_234),
        (MOMENT, "unix", {"unix_precision": "nanoseconds"}, 86_400_001_234_000),
        (MOMENT, "string", {"format": "yyyy MM dd HH mm ss SSS z"}, "1970 01 02 00 00 00 001 UTC"),
        (MOMENT, "Date", {}, date(1970, 1, 2)),
        (MOMENT, "Time", {}, time(0, 0, 0, 1234)),
        (MILLIS, "Timestamp", {}, datetime(1970, 1, 2, 0, 0, 0, 1000, tzinfo=UTC)),
        (86_400, "Timestamp", {"unix_precision": "seconds"}, datetime(1970, 1, 2, tzinfo=UTC)),
        ("1970 01 02", "unix", {"format": "yyyy MM dd"}, 86_400_000),
        ("1970-01-02T08:00:00+0800", "unix", {"format": "yyyy-MM-dd'T'HH:mm:ssZ"}, 86_400_000),
        ("86400001", "unix", {"unix_precision": "milliseconds"}, MILLIS),
        (date(1970, 1, 2), "unix", {}, 86_400_000),
        (time(0, 0, 1), "unix", {}, 1000),
        (-1, "Timestamp", {}, datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)),
        (None, "unix", {}, None),
    ],
)
def test_a_whole_value_is_converted(value: Any, target: str, options: dict[str, str], wanted: Any) -> None:
    assert convert(value, target, **options) == wanted


def test_one_field_is_converted() -> None:
    assert convert({"ts": MOMENT, "b": 1}, "unix", field="ts") == {"ts": MILLIS, "b": 1}
    assert convert({"b": 1, "ts": None}, "unix", field="ts") == {"b": 1, "ts": None}
    nested = convert({"a": {"ts": MOMENT}}, "unix", field="a.ts", field_syntax_version="V2")
    assert nested == {"a": {"ts": MILLIS}}


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("string", {}),
        ("invalid", {}),
        ("unix", {"unix_precision": "days"}),
        ("string", {"format": "bad"}),
        ("string", {"format": "yyyy'"}),
        ("string", {"format": "ss.SSSSSS"}),
    ],
)
def test_wrong_options_are_refused(target: str, options: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        convert(1, target, **options)


@pytest.mark.parametrize(
    ("value", "options"),
    [("x", {"format": "yyyy"}), ("2020-13-01", {"format": "yyyy-MM-dd"}), ("2020-01-01", {}), (True, {}), (10**30, {})],
)
def test_a_value_that_is_no_time_is_an_error(value: Any, options: dict[str, str]) -> None:
    with pytest.raises(DataError, match=r"field a: .* no time"):
        convert({"a": value}, "unix", field="a", **options)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("yyyyMMddHHmmssSSS", "20240229134501007"),
        ("EEE, d MMM yyyy h:mm:ss.SSS a", "Thu, 29 Feb 2024 1:45:01.007 PM"),
        ("EEEE MMMM dd yy KK:mm:ss.SSS a XXX", "Thursday February 29 24 01:45:01.007 PM Z"),
        ("yyyy-DDD kk:mm:ss.SSS 'o''clock'", "2024-060 13:45:01.007 o'clock"),
    ],
)
def test_texts_are_written_and_read_by_java_patterns(pattern: str, text: str) -> None:
    moment = datetime(2024, 2, 29, 13, 45, 1, 7000, tzinfo=UTC)
    compiled = SimpleDateFormat("format", pattern)
    assert compiled.format(moment) == text
    assert compiled.parse(text) == moment


def test_text_behind_the_pattern_does_not_count() -> None:
    assert SimpleDateFormat("format", "yyyy-MM-dd").parse("2024-02-29 13:45") == datetime(2024, 2, 29, tzinfo=UTC)


def test_years_of_two_digits_are_near_to_now() -> None:
    compiled = SimpleDateFormat("format", "yy")
    assert compiled.parse("99").year == 1999
    assert compiled.parse("20").year == 2020


def test_a_text_in_a_numeric_column_is_a_number_also_where_a_format_is_set() -> None:
    change = RowChange("INSERT", "m", "p", {"a": "86400000", "b": "5"}, mysql_type={"a": "bigint(20)", "b": "text"})
    options = {"field": "a", "format": "yyyy-MM-dd"}
    assert convert([change], "string", **options)[0].row == {"a": "1970-01-02", "b": "5"}
