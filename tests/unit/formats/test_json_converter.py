"""The JSON converter, and the converters of single numbers."""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.api.errors import DataError
from connectors.formats import numbers
from connectors.formats.json import JsonConverter

FIELDS = [
    {"field": "id", "type": "int64"},
    {"field": "name", "type": "string", "optional": True, "default": "nobody"},
    {"field": "price", "type": "bytes", "name": "org.apache.kafka.connect.data.Decimal", "parameters": {"scale": "2"}},
    {"field": "day", "type": "int32", "name": "org.apache.kafka.connect.data.Date"},
    {"field": "hour", "type": "int32", "name": "org.apache.kafka.connect.data.Time"},
    {"field": "at", "type": "int64", "name": "org.apache.kafka.connect.data.Timestamp"},
    {"field": "raw", "type": "bytes"},
    {"field": "tags", "type": "array", "items": {"type": "string"}},
    {"field": "more", "type": "map", "keys": {"type": "string"}, "values": {"type": "int32"}},
]
PAYLOAD = {
    "id": 7,
    "name": None,
    "price": base64.b64encode((-12345).to_bytes(3, "big", signed=True)).decode(),
    "day": 19849,
    "hour": 3_661_001,
    "at": 1_714_979_289_123,
    "raw": "AAEC",
    "tags": ["a", "b"],
    "more": {"x": 1},
}


def made(**options: str) -> Any:
    converter = JsonConverter()
    converter.configure({name.replace("__", "."): value for name, value in options.items()}, is_key=False)
    return converter


def read(converter: Any, payload: Any, **schema: Any) -> Any:
    return converter.to_connect("t", [], orjson.dumps({"schema": schema, "payload": payload}))


def test_plain_json_keeps_every_digit_both_ways() -> None:
    data = b'{"price":0.1234567890123456789012345}'
    value = made().to_connect("t", [], data)
    assert value == {"price": Decimal("0.1234567890123456789012345")}
    assert made().from_connect("t", [], value) == data


def test_envelope_is_read_by_its_schema() -> None:
    assert read(made(schemas__enable="true"), PAYLOAD, type="struct", fields=FIELDS) == {
        "id": 7,
        "name": "nobody",
        "price": Decimal("-123.45"),
        "day": date(2024, 5, 6),
        "hour": time(1, 1, 1, 1000),
        "at": datetime(2024, 5, 6, 7, 8, 9, 123000, tzinfo=UTC),
        "raw": b"\0\1\2",
        "tags": ["a", "b"],
        "more": {"x": 1},
    }


def test_null_stays_null_where_defaults_are_not_wanted() -> None:
    converter = made(schemas__enable="true", replace__null__with__default="false")
    assert read(converter, PAYLOAD, type="struct", fields=FIELDS)["name"] is None


def test_value_is_written_in_an_envelope_without_a_schema() -> None:
    converter = made(schemas__enable="true")
    data = converter.from_connect("t", [], {"a": Decimal("1.50")})
    assert data == b'{"schema":null,"payload":{"a":1.50}}'
    assert converter.to_connect("t", [], data) == {"a": Decimal("1.50")}


@pytest.mark.parametrize(
    ("payload", "schema", "message"),
    [
        (None, {"type": "int32"}, "payload is null"),
        (2**31, {"type": "int32"}, "out of range"),
        ("1", {"type": "int64"}, "does not fit"),
        (True, {"type": "int64"}, "does not fit"),
        ("~", {"type": "bytes"}, "no base64"),
        ({"id": "x"}, {"type": "struct", "fields": FIELDS}, r"payload\.id: 'x' does not fit"),
        (1, {"type": "int128"}, "no schema type 'int128'"),
        (1, {"type": "struct"}, "list of fields"),
        ([[1]], {"type": "map", "keys": {"type": "int8"}, "values": {"type": "int8"}}, "list of pairs"),
        ("AA==", {"type": "bytes", "name": "org.apache.kafka.connect.data.Decimal"}, r"parameters\.scale"),
        (2**60, {"type": "int64", "name": "org.apache.kafka.connect.data.Timestamp"}, "out of range"),
    ],
)
def test_payload_that_does_not_fit_its_schema_is_refused(payload, schema, message) -> None:
    with pytest.raises(DataError, match=message):
        read(made(schemas__enable="true"), payload, **schema)


def test_plain_json_where_an_envelope_is_expected_says_what_to_set() -> None:
    with pytest.raises(DataError, match=r"schemas\.enable=false"):
        made(schemas__enable="true").to_connect("t", [], b'{"a":1}')


def test_malformed_json_is_refused() -> None:
    with pytest.raises(DataError, match="malformed JSON"):
        made().to_connect("t", [], b"{")


@given(st.integers(-(2**63), 2**63 - 1))
def test_long_comes_back(value: int) -> None:
    converter = numbers.LongConverter()
    assert converter.to_connect("t", [], converter.from_connect("t", [], value)) == value


@pytest.mark.parametrize(
    ("kind", "value", "data"),
    [
        (numbers.BooleanConverter, True, b"\1"),
        (numbers.ShortConverter, -2, b"\xff\xfe"),
        (numbers.IntegerConverter, 258, b"\0\0\1\2"),
        (numbers.FloatConverter, 1.5, b"\x3f\xc0\0\0"),
        (numbers.DoubleConverter, -1.5, b"\xbf\xf8\0\0\0\0\0\0"),
    ],
)
def test_numbers_are_written_as_kafka_writes_them(kind, value, data) -> None:
    converter = kind()
    assert converter.from_connect("t", [], value) == data
    assert converter.to_connect("t", [], data) == value
    assert converter.from_connect("t", [], None) is None
    assert converter.to_connect("t", [], None) is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (numbers.ShortConverter, 40_000),
        (numbers.LongConverter, True),
        (numbers.LongConverter, 1.0),
        (numbers.BooleanConverter, 1),
        (numbers.FloatConverter, 1e300),
        (numbers.DoubleConverter, "1"),
    ],
)
def test_value_of_another_type_or_range_is_refused(kind, value) -> None:
    with pytest.raises(DataError, match="topic t"):
        kind().from_connect("t", [], value)


def test_bytes_of_another_length_are_refused() -> None:
    with pytest.raises(DataError, match="needs 8 bytes, not 3"):
        numbers.LongConverter().to_connect("t", [], b"abc")
    with pytest.raises(DataError, match="0 or 1"):
        numbers.BooleanConverter().to_connect("t", [], b"\2")
