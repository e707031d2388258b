"""Values to CQL bytes, read back by the driver's own deserialisers."""

from __future__ import annotations

import math
import struct
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid1

import pytest
from cassandra import cqltypes
from hypothesis import given
from hypothesis import strategies as st

from connectors.api.errors import ConfigError, DataError
from connectors.clients.cassandra.types import compile_encoder, fast_encoder, is_supported
from connectors.formats.temporal import TimestampParser

SHANGHAI = timezone(timedelta(hours=8))
V5 = 5


def encode(cql_type: str, value: Any) -> bytes:
    return compile_encoder("k.t", "c", cql_type, TimestampParser(SHANGHAI).micros)(value)


def through(cql_type: str, value: Any) -> Any:
    return cqltypes.lookup_casstype_simple(NAMES[cql_type]).deserialize(encode(cql_type, value), V5)


NAMES = {
    "text": "UTF8Type",
    "tinyint": "ByteType",
    "smallint": "ShortType",
    "int": "Int32Type",
    "bigint": "LongType",
    "varint": "IntegerType",
    "decimal": "DecimalType",
    "float": "FloatType",
    "double": "DoubleType",
    "boolean": "BooleanType",
    "timestamp": "DateType",
    "date": "SimpleDateType",
    "time": "TimeType",
    "uuid": "UUIDType",
    "timeuuid": "TimeUUIDType",
    "inet": "InetAddressType",
    "blob": "BytesType",
}
BITS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}
plain_decimals = st.decimals(allow_nan=False, allow_infinity=False, places=4)


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_keeps_its_value(number: Decimal) -> None:
    for value in (number, str(number)):
        assert through("decimal", value).compare(number) == 0


@given(plain_decimals)
def test_the_scale_of_a_decimal_is_that_of_its_text(number: Decimal) -> None:
    assert through("decimal", format(number, "f")).as_tuple().exponent == number.as_tuple().exponent


@pytest.mark.parametrize(
    ("value", "expected"),
    [("12.30", "12.30"), ("-0.05", "-0.05"), ("100", "100"), ("5.", "5"), ("1E+3", "1E+3"), (0.1, "0.1"), (7, "7")],
)
def test_decimals_of_messages(value: Any, expected: str) -> None:
    assert str(through("decimal", value)) == expected


@given(st.sampled_from(sorted(BITS)), st.integers(-(2**65), 2**65))
def test_whole_numbers_fit_or_are_refused(cql_type: str, number: int) -> None:
    fits = -(2 ** (BITS[cql_type] - 1)) <= number < 2 ** (BITS[cql_type] - 1)
    for value in (number, str(number)):
        if fits:
            assert through(cql_type, value) == number
        else:
            with pytest.raises(DataError, match="outside of"):
                encode(cql_type, value)


@given(st.integers())
def test_varints_take_the_fewest_bytes(number: int) -> None:
    assert through("varint", str(number)) == number
    assert encode("varint", number) == cqltypes.IntegerType.serialize(number, V5)


@given(st.text())
def test_texts_pass(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        with pytest.raises(DataError):
            encode("text", text)
    else:
        assert through("text", text) == text


@given(st.binary())
def test_blobs_are_text_with_a_character_for_each_byte(data: bytes) -> None:
    assert encode("blob", data) == encode("blob", data.decode("latin-1")) == data


@given(st.floats(allow_nan=False))
def test_doubles_pass(number: float) -> None:
    assert through("double", number) == number
    assert through("double", repr(number)) == number


@given(st.datetimes(datetime(1970, 1, 2), datetime(9999, 12, 30)))  # noqa: DTZ001 - as MySQL writes them
def test_times_without_a_zone_are_of_the_configured_one(moment: datetime) -> None:
    millis = struct.unpack(">q", encode("timestamp", moment.isoformat(" ")))[0]
    assert millis == (moment.replace(tzinfo=SHANGHAI) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


@given(st.dates())
def test_dates_pass(day: date) -> None:
    assert through("date", day.isoformat()).date() == day
    assert encode("date", f"{day.isoformat()} 23:59:59") == encode("date", day)


@pytest.mark.parametrize(
    ("cql_type", "value", "expected"),
    [
        ("timestamp", "2019-11-22 10:00:00.123", datetime(2019, 11, 22, 2, 0, 0, 123000)),  # noqa: DTZ001
        ("timestamp", "2019-11-22T02:00:00Z", datetime(2019, 11, 22, 2)),  # noqa: DTZ001
        ("timestamp", 1000, datetime(1970, 1, 1, 0, 0, 1)),  # noqa: DTZ001
        ("timestamp", datetime(1970, 1, 1, 0, 0, 1), datetime(1970, 1, 1, 0, 0, 1)),  # noqa: DTZ001
        ("boolean", "0", False),
        ("boolean", "1", True),
        ("boolean", "TRUE", True),
        ("boolean", False, False),
        ("boolean", 1, True),
        ("int", 13.0, 13),
        ("int", Decimal("13.00"), 13),
        ("float", "1.5", 1.5),
        ("inet", "10.1.2.3", "10.1.2.3"),
        ("inet", "::1", "::1"),
        ("uuid", "00000000-0000-0000-0000-00000000000a", UUID(int=10)),
        ("text", 12, "12"),
        ("text", True, "true"),
        ("text", {"a": [1]}, '{"a":[1]}'),
    ],
)
def test_values_of_messages(cql_type: str, value: Any, expected: Any) -> None:
    assert through(cql_type, value) == expected


def test_times_of_day_have_nanoseconds() -> None:
    assert str(through("time", "23:59:59.123456789")) == "23:59:59.123456789"
    assert str(through("time", "1:02")) == "01:02:00.000000000"


@pytest.mark.parametrize(
    ("cql_type", "value"),
    [
        ("decimal", "NaN"),
        ("decimal", float("inf")),
        ("decimal", "1_0"),
        ("decimal", True),
        ("decimal", ""),
        ("int", "13.00"),
        ("int", "1_0"),
        ("int", " 1"),
        ("int", True),
        ("int", 1.5),
        ("int", math.inf),
        ("int", None),
        ("float", 1e300),
        ("double", "many"),
        ("boolean", "yes"),
        ("boolean", 2),
        ("boolean", 1.0),
        ("timestamp", "0000-00-00 00:00:00"),
        ("timestamp", True),
        ("timestamp", 10**30),
        ("date", "0000-00-00"),
        ("date", "20191122"),
        ("date", 5),
        ("time", "24:00:00"),
        ("time", "-01:00:00"),
        ("time", 5),
        ("uuid", "no"),
        ("timeuuid", "00000000-0000-0000-0000-00000000000a"),
        ("inet", "1.2.3"),
        ("inet", 5),
        ("blob", "\u4e2d"),
        ("blob", 5),
        ("ascii", "\u4e2d"),
        ("text", "\ud800"),
        ("text", b"bytes"),
    ],
)
def test_what_does_not_fit_is_a_data_error(cql_type: str, value: Any) -> None:
    with pytest.raises(DataError, match=rf"^column k\.t\.c: .* is no {cql_type}"):
        encode(cql_type, value)


def test_a_time_uuid_passes() -> None:
    identifier = uuid1()
    assert through("timeuuid", str(identifier)) == identifier


def test_a_long_value_is_shortened_in_the_message() -> None:
    with pytest.raises(DataError) as caught:
        encode("int", "x" * 10_000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "cql_type", ["counter", "list<counter>", "frozen<address>", "vector<text, 3>", "map<int, tuple<int, x>>"]
)
def test_types_that_are_not_supported_are_named(cql_type: str) -> None:
    assert not is_supported(cql_type)
    with pytest.raises(ConfigError, match=r"column k\.t\.c: type .* is not supported"):
        compile_encoder("k.t", "c", cql_type, TimestampParser(UTC).micros)


@given(
    st.one_of(
        st.from_regex(r"[-+]?[0-9_]{0,25}\.?[0-9_]{0,9}", fullmatch=True),
        st.text(max_size=5),
        st.integers(),
        st.booleans(),
    ),
    st.sampled_from(["text", "int", "bigint", "decimal", "timestamp", "boolean"]),
)
def test_the_fast_encoder_agrees_or_gives_up(value: Any, cql_type: str) -> None:
    micros = TimestampParser(SHANGHAI).micros
    try:
        fast = fast_encoder(cql_type, micros)(value)
    except Exception:
        return
    assert fast == compile_encoder("k.t", "c", cql_type, micros)(value)
