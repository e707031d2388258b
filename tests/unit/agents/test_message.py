from __future__ import annotations

from typing import Any

import orjson
import pytest

from agents.message import Message
from connectors.api.errors import DataError

FLAT = {"database": "m", "table": "pojo", "isDdl": False, "old": None}


def message(value: Any, headers: list[tuple[str, bytes]] | None = None) -> Message:
    raw = None if value is None else orjson.dumps(value)
    return Message.decode("m.pojo", 2, 7, b"k", raw, headers or [], 1700000000123)


@pytest.mark.parametrize(
    ("value", "op"),
    [
        ({**FLAT, "type": "INSERT", "data": [{"a": "1"}]}, "INSERT"),
        ({**FLAT, "type": "INIT", "data": [{"a": "1"}]}, "INSERT"),
        ({**FLAT, "type": "UPDATE", "data": [{"a": "1"}]}, "UPDATE"),
        ({**FLAT, "type": "DELETE", "data": [{"a": "1"}]}, "DELETE"),
        ({**FLAT, "type": "ALTER", "isDdl": True, "data": None}, "DDL"),
        ({**FLAT, "type": "QUERY", "data": None}, "OTHER"),
        ({"aid": "ID000-1", "type": "x"}, "UPSERT"),
    ],
)
def test_op(value, op) -> None:
    assert message(value).op == op


def test_rows_are_the_message() -> None:
    flat = message({**FLAT, "type": "UPDATE", "data": [{"a": "1"}, {"a": "2"}], "old": [{"a": "0"}]})
    flat.rows[1]["b"] = "new"
    assert orjson.loads(flat.encode() or b"")["data"] == [{"a": "1"}, {"a": "2", "b": "new"}]
    assert flat.old_rows == [{"a": "0"}, {}]
    plain = message({"a": 1})
    plain.rows[0]["b"] = 2
    assert plain.encode() == b'{"a":1,"b":2}'
    assert plain.old_rows == [{}]
    assert message({**FLAT, "type": "ALTER", "isDdl": True, "data": None}).rows == []


def test_rows_that_are_no_objects_are_an_error() -> None:
    with pytest.raises(DataError, match="array of objects"):
        _ = message({**FLAT, "type": "INSERT", "data": ["x"]}).rows


def test_ts_us() -> None:
    assert message({}).ts_us == 1700000000123000
    assert message({}, [("connect.ts_us", b"42")]).ts_us == 42
    with pytest.raises(DataError, match="microseconds"):
        _ = message({}, [("connect.ts_us", b"soon")]).ts_us


@pytest.mark.parametrize("raw", [b"{", b"[1]", b"5", b"null", b"\xff", b""])
def test_value_that_is_no_object_is_refused(raw) -> None:
    with pytest.raises(DataError):
        Message.decode("t", 0, 0, None, raw, [], 0)


def test_tombstone_stays_one() -> None:
    assert message(None).encode() is None


def test_each_attempt_sees_the_message_as_it_was_read() -> None:
    read = message({"a": 1})
    first = read.for_attempt()
    assert first is read
    first.value["a"] = "spoilt"
    assert read.for_attempt().value == {"a": 1}


def test_derive_keeps_what_is_not_given() -> None:
    read = message({"a": 1}, [("h", b"1")])
    out = read.derive({"b": 2})
    assert (out.key, out.headers, out.timestamp_ms, out.partition) == (b"k", [("h", b"1")], 1700000000123, 2)
    assert read.derive({}, key=None).key is None


def test_value_that_json_cannot_say() -> None:
    out = message({"a": 1}).derive({"a": object()})
    with pytest.raises(DataError, match="JSON"):
        out.encode()
