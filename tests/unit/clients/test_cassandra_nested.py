"""Values with values in them to CQL bytes, read back by the driver's own deserialisers."""

from __future__ import annotations

import base64
from datetime import UTC
from decimal import Decimal
from typing import Any

import orjson
import pytest
from cassandra import cqltypes
from cassandra.util import Duration
from hypothesis import given
from hypothesis import strategies as st

from connectors.api.errors import DataError
from connectors.clients.cassandra.types import compile_encoder, fast_encoder
from connectors.formats.temporal import TimestampParser

ADDRESS = {"address": {"street": "text", "number": "int", "tags": "set<text>"}, "Pair": {"a": "int", "b": "int"}}
MICROS = TimestampParser(UTC).micros
V5 = 5

READERS = {
    "list<int>": "org.apache.cassandra.db.marshal.ListType(Int32Type)",
    "set<text>": "SetType(UTF8Type)",
    "map<text, frozen<list<int>>>": "MapType(UTF8Type, ListType(Int32Type))",
    "map<int, decimal>": "MapType(Int32Type, DecimalType)",
    "frozen<tuple<int, text, timestamp>>": "TupleType(Int32Type, UTF8Type, TimestampType)",
    "list<frozen<map<text, boolean>>>": "ListType(MapType(UTF8Type, BooleanType))",
}


def encode(cql_type: str, value: Any, **options: Any) -> bytes:
    return compile_encoder("k.t", "c", cql_type, MICROS, user_types=ADDRESS, **options)(value)


def through(cql_type: str, value: Any) -> Any:
    return cqltypes.lookup_casstype(READERS[cql_type]).deserialize(encode(cql_type, value), V5)


@pytest.mark.parametrize(
    ("cql_type", "value", "read"),
    [
        ("list<int>", [3, "1", 3], [3, 1, 3]),
        ("list<int>", [], []),
        ("set<text>", ["b", "a", "b"], {"a", "b"}),
        ("map<text, frozen<list<int>>>", {"x": [1, 2], "y": []}, {"x": [1, 2], "y": []}),
        ("map<int, decimal>", {"1": "12.30", "2": 5}, {1: Decimal("12.30"), 2: Decimal(5)}),
        ("list<frozen<map<text, boolean>>>", [{"a": True}, {}], [{"a": True}, {}]),
    ],
)
def test_collections(cql_type: str, value: Any, read: Any) -> None:
    for given_value in (value, orjson.dumps(value).decode()):
        found = through(cql_type, given_value)
        assert (dict(found) if isinstance(read, dict) else found) == read
    assert fast_encoder(cql_type, MICROS)(value) == encode(cql_type, value)


def test_a_tuple_may_hold_null() -> None:
    value = through("frozen<tuple<int, text, timestamp>>", [1, None, "2019-11-22 10:00:00"])
    assert (value[0], value[1], str(value[2])) == (1, None, "2019-11-22 10:00:00")


def test_a_user_type_takes_its_fields_whatever_their_order_and_case() -> None:
    data = encode("frozen<address>", {"Number": "7", "street": "Main", "tags": ["x"]})
    tags = encode("set<text>", ["x"])
    expected = b"\0\0\0\4Main" + b"\0\0\0\4" + (7).to_bytes(4, "big") + len(tags).to_bytes(4, "big") + tags
    assert data == expected
    missing = encode("address", {"street": "Main"})
    assert missing == b"\0\0\0\4Main" + b"\xff" * 8
    assert encode('frozen<"Pair">', {"a": 1, "b": None}) == b"\0\0\0\4\0\0\0\1" + b"\xff" * 4


def test_a_vector_is_its_elements() -> None:
    assert encode("vector<float, 2>", [1, "0.5"]) == bytes.fromhex("3f8000003f000000")


@pytest.mark.parametrize(
    ("cql_type", "value", "reason"),
    [
        ("list<int>", {"a": 1}, "an array is needed"),
        ("list<int>", "[1", "JSON is needed"),
        ("list<int>", [None], "a collection cannot hold null"),
        ("list<int>", ["x"], "a whole number is needed"),
        ("map<text, decimal>", [1], "an object is needed"),
        ("frozen<tuple<int, int>>", [1], "2 values are needed, not 1"),
        ("address", {"street": "x", "stret": "y"}, "the type has no field stret"),
        ("vector<float, 2>", [1, 2, 3], "2 values are needed, not 3"),
        ("duration", "1 day", "1mo2d3h4m5s"),
        ("duration", "", "1mo2d3h4m5s"),
        ("duration", 5, "1mo2d3h4m5s"),
        ("duration", f"{1 << 40}d", "it is too long"),
    ],
)
def test_what_does_not_fit_is_told(cql_type: str, value: Any, reason: str) -> None:
    with pytest.raises(DataError, match=rf"column k\.t\.c: .*{reason}"):
        encode(cql_type, value)


@pytest.mark.parametrize(
    ("text", "months", "days", "nanos"),
    [
        ("1y2mo3w4d5h6m7s8ms9us10ns", 14, 25, 18_367_008_009_010),
        ("P1Y2M3DT4H5M6.5S", 14, 3, 14_706_500_000_000),
        ("P4W", 0, 28, 0),
        ("-2d", 0, -2, 0),
        ("0s", 0, 0, 0),
        ("12H", 0, 0, 43_200_000_000_000),
    ],
)
def test_durations(text: str, months: int, days: int, nanos: int) -> None:
    read = cqltypes.DurationType.deserialize(encode("duration", text), V5)
    assert read == Duration(months, days, nanos)


@given(st.binary(max_size=50))
def test_binary_modes_say_the_same(data: bytes) -> None:
    assert encode("blob", base64.b64encode(data).decode(), binary="base64") == data
    assert encode("blob", data.hex(), binary="hex") == data
    assert encode("blob", data.decode("latin-1")) == data
    assert encode("list<blob>", [data.hex()], binary="hex")[8:] == data


@pytest.mark.parametrize(
    ("mode", "text"), [("base64", "a b"), ("base64", "é"), ("hex", "0x1"), ("hex", "zz"), ("latin1", "中")]
)
def test_binary_text_of_another_mode_is_refused(mode: str, text: str) -> None:
    with pytest.raises(DataError, match=r"binary\.mode"):
        encode("blob", text, binary=mode)
