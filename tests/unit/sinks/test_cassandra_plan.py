"""Options of `CassandraSink`, and which writes a change becomes."""

from __future__ import annotations

import time
from datetime import timedelta, timezone
from typing import Any

import pytest

from connectors.api.errors import ConfigError, DataError
from connectors.api.record import SinkRecord
from connectors.clients.cassandra import UNSET, TableSchema
from connectors.formats.canal import RowChange
from connectors.formats.mapping import ColumnSource, parse_mapping
from connectors.sinks.cassandra import CassandraSink, CassandraSinkTask
from connectors.sinks.cassandra.config import TableOptions, parse_settings
from connectors.sinks.cassandra.flight import Clock, set_order
from connectors.sinks.cassandra.plan import TablePlan, mapping_errors

ZONE = timezone(timedelta(hours=8))
SCHEMA = TableSchema("k", "t", {"id": "text", "at": "timestamp", "n": "int", "v": "text"}, ("id",), ("at",))
AT = "2019-11-22 10:00:00.123"
ROW = {"ID": "x", "at": AT, "n": "5", "v": None, "other": "o"}
MAPPING = "id = value.ID, at = value.at, n = value.n, v = value.v"


def plan(mapping: str | None = None, **options: Any) -> TablePlan:
    sources = parse_mapping("o", mapping) if mapping else None
    return TablePlan(TableOptions("a", "k", "t", sources, **options), SCHEMA, ZONE)


def record(**fields: Any) -> SinkRecord:
    return SinkRecord("a", 0, 0, fields.pop("key", None), None, fields.pop("headers", []), 1500)


def change(op: Any, row: dict[str, Any], old: dict[str, Any] | None = None) -> RowChange:
    return RowChange(op, "m", "t", row, old)


@pytest.mark.parametrize("mapping", [None, MAPPING])
def test_an_upsert(mapping: str | None) -> None:
    [write] = plan(mapping).writes(record(), change("INSERT", ROW), 9)
    assert write.cells == [b"x", (1574388000123).to_bytes(8, "big"), (5).to_bytes(4, "big"), None]
    assert (write.ts_us, write.ttl_s) == (9, None)
    assert write.key == (b"x", (1574388000123).to_bytes(8, "big"))


@pytest.mark.parametrize("mapping", [None, MAPPING])
def test_null_and_absent(mapping: str | None) -> None:
    row = {"ID": "x", "at": AT, "v": None}
    [write] = plan(mapping).writes(record(), change("UPDATE", row), 9)
    assert write.cells is not None
    assert write.cells[2:] == [UNSET, None]
    [write] = plan(mapping, null_to_unset=True).writes(record(), change("UPDATE", row), 9)
    assert write.cells is not None
    assert write.cells[2:] == [UNSET, UNSET]


@pytest.mark.parametrize("mapping", [None, MAPPING])
def test_a_delete_needs_the_key_only(mapping: str | None) -> None:
    [write] = plan(mapping).writes(record(), change("DELETE", ROW | {"n": "no number"}), 9)
    assert write.cells is None
    assert write.ts_us == 9
    assert plan(mapping, deletes_enabled=False).writes(record(), change("DELETE", ROW), 9) == []


@pytest.mark.parametrize("mapping", [None, MAPPING])
def test_a_key_change_is_a_delete_and_an_upsert(mapping: str | None) -> None:
    before, after = plan(mapping).writes(record(), change("UPDATE", ROW, {"ID": "w"}), 9)
    assert (before.cells, before.key[0], before.ts_us) == (None, b"w", 9)
    assert after.key[0] == b"x"
    same = plan(mapping).writes(record(), change("UPDATE", ROW, {"at": "2019-11-22 10:00:00.1230", "n": "4"}), 9)
    assert len(same) == 1


def test_all_sources() -> None:
    text = "id = key.k, at = timestamp, n = value.deep.n, v = header.h"
    row = {"deep": {"n": 3}}
    [write] = plan(text).writes(record(key={"k": "K"}, headers=[("h", b"H")]), change("UPSERT", row), 9)
    assert write.cells == [b"K", (1500).to_bytes(8, "big"), (3).to_bytes(4, "big"), b"H"]
    [write] = plan("id = key, at = now(), v = header.h").writes(record(key=b"K"), change("UPSERT", {}), 9)
    assert write.cells is not None
    assert (write.cells[0], write.cells[2]) == (b"K", UNSET)
    [write] = plan('id = key, at = timestamp, v = value."a.b"').writes(
        record(key="K"), change("UPSERT", {"a.b": "dots"}), 9
    )
    assert write.cells is not None
    assert write.cells[2] == b"dots"


def test_time_to_live() -> None:
    [write] = plan(ttl=60).writes(record(), change("INSERT", ROW), 9)
    assert write.ttl_s == 60
    own = plan(ttl=ColumnSource("value", "n"))
    assert own.writes(record(), change("INSERT", ROW), 9)[0].ttl_s == 5
    assert own.writes(record(), change("INSERT", ROW | {"n": None}), 9)[0].ttl_s is None
    with pytest.raises(DataError, match="seconds to live"):
        plan(ttl=ColumnSource("value", "other")).writes(record(), change("INSERT", ROW), 9)


def test_own_timestamp() -> None:
    at = plan(timestamp=ColumnSource("value", "at"))
    assert at.writes(record(), change("INSERT", ROW), 9)[0].ts_us == 1574388000123000
    number = plan(timestamp=ColumnSource("value", "n"))
    assert number.writes(record(), change("INSERT", ROW), 9)[0].ts_us == 5
    with pytest.raises(DataError, match="beyond 64 bits"):
        plan().writes(record(), change("INSERT", ROW), 10**30)
    with pytest.raises(DataError, match=r"topic\.a\.k\.t\.timestamp names a missing field"):
        plan(timestamp=ColumnSource("value", "gone")).writes(record(), change("INSERT", ROW), 9)


def test_the_last_two_segments_are_keyspace_and_table() -> None:
    settings = parse_settings(
        {
            "name": "x",
            "value.converter": "canal-json",
            "topics": "m.pojo",
            "topic.m.pojo.ks.tbl.mapping": "id=value.id",
            "topic.m.pojo.ks.tbl.null.to.unset": "true",
            "topic.m.pojo.ks.tbl.deletes.enabled": "false",
            "topic.m.pojo.ks.tbl.ttl": "value.ttl",
            "topic.m.pojo.ks.tbl.timestamp": "header.ts",
        }
    )
    [table] = settings.tables
    assert (table.topic, table.keyspace, table.table) == ("m.pojo", "ks", "tbl")
    assert table.mapping == {"id": ColumnSource("value", "id")}
    assert (table.null_to_unset, table.deletes_enabled) == (True, False)
    assert (table.ttl, table.timestamp) == (ColumnSource("value", "ttl"), ColumnSource("header", "ts"))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "No table is given"),
        ({"topics": "a,b"}, "topic b has no table; set topic.b.<keyspace>.<table>.mapping"),
        ({"topics": "aa"}, "a is not one of the topics"),
        ({"cassandra.consistency": "QUORUMS"}, "did you mean QUORUM?"),
        ({"cassandra.max.in.flight": "5000"}, "cassandra.max.in.flight"),
        ({"cassandra.contact.points": "a:9042"}, "give it in cassandra.port"),
        ({"cassandra.batch": "all"}, "cassandra.batch"),
        ({"time.zone": "Mars/Base"}, "time.zone"),
        ({"topic.a.k.t.ttl": "soon"}, "topic.a.k.t.ttl"),
        ({"topic.a.k.t.ttl": "700000000"}, "20 years"),
        ({"topic.a.k.t.mapping": "id"}, "topic.a.k.t.mapping"),
        ({"topic.a.k.t.timestamp": "when"}, "topic.a.k.t.timestamp"),
    ],
)
def test_options_are_checked(options: dict[str, str], text: str) -> None:
    given = (options and {"topic.a.k.t.mapping": "*"}) | options
    with pytest.raises(ConfigError, match="(?s)" + text.replace(".", r"\.").replace("?", r"\?")):
        parse_settings(given)
    assert any(text in error for value in CassandraSink.validate(given) for error in value.errors)


def test_the_password_is_hidden() -> None:
    settings = parse_settings({"topic.a.k.t.mapping": "*", "cassandra.username": "u", "cassandra.password": "hunter2"})
    assert "hunter2" not in repr(settings)


def test_an_unknown_option_is_refused() -> None:
    found = CassandraSink.validate({"topic.a.k.t.mapping": "*", "cassandra.contact.point": "x"})
    assert any("did you mean cassandra.contact.points?" in text for value in found for text in value.errors)


def test_every_task_gets_the_configuration() -> None:
    connector = CassandraSink()
    connector.start({"topics": "a"})
    assert connector.task_configs(3) == [{"topics": "a"}] * 3
    assert CassandraSink.task_class() is CassandraSinkTask


def test_records_of_one_millisecond_stay_in_order() -> None:
    clock: Clock = {}

    def order(timestamp_ms: int, rows: int = 1) -> list[int | None]:
        changes = [change("UPSERT", {}) for _ in range(rows)]
        set_order(SinkRecord("a", 0, 0, None, None, [], timestamp_ms), changes, clock)
        return [each.ts_us for each in changes]

    found = [order(5), order(5, rows=3), order(5), order(6), order(5), order(9)]
    assert found == [[5000], [5001, 5002, 5003], [5004], [6000], [5000], [9000]]
    assert order(20, rows=2000)[0] == 20000
    assert [order(21), order(22)] == [[22000], [22001]]


@pytest.mark.parametrize("level", ["SERIAL", "LOCAL_SERIAL"])
def test_serial_consistency_is_refused_with_the_reason(level: str) -> None:
    with pytest.raises(ConfigError, match=f"{level} is for conditional statements, and those take no timestamp"):
        parse_settings({"topics": "a", "topic.a.k.t.mapping": "*", "cassandra.consistency": level})


def test_a_key_cannot_be_now() -> None:
    options = TableOptions("a", "k", "t", parse_mapping("o", "id = value.id, at = now(), n = now()"))
    assert mapping_errors(options, SCHEMA) == [
        "Option topic.a.k.t.mapping: key column at of k.t cannot be now(): a replay would make another row"
    ]


def test_now_is_a_time_or_a_time_uuid() -> None:
    schema = TableSchema("k", "t", {"id": "text", "u": "timeuuid", "n": "timestamp"}, ("id",))
    made = TablePlan(TableOptions("a", "k", "t", parse_mapping("o", "id=key, u=now(), n=now()")), schema, ZONE)
    [write] = made.writes(record(key="x"), change("UPSERT", {}), 1)
    assert write.cells is not None
    assert (len(write.cells[1]), write.cells[1][6] >> 4) == (16, 1)
    assert abs(int.from_bytes(write.cells[2], "big") / 1000 - time.time()) < 60


def test_the_offset_orders_records_of_a_millisecond_the_same_after_a_crash() -> None:
    def orders(first: int) -> list[int | None]:
        clock: Clock = {}
        found = []
        for offset in range(first, 8):
            changes = [change("UPSERT", {})]
            set_order(SinkRecord("a", 0, offset, None, None, [], 5), changes, clock)
            found.append(changes[0].ts_us)
        return found

    assert orders(0)[3:] == orders(3) == [5003, 5004, 5005, 5006, 5007]


@pytest.mark.parametrize("key", [{"id": "x"}, '{"id": "x"}', b'{"id": "x"}'])
def test_fields_of_a_key_are_found_in_objects_and_their_text(key: Any) -> None:
    made = plan("id = key.id, at = value.at, n = value.n, v = value.v")
    [write] = made.writes(record(key=key), change("UPSERT", ROW), 1)
    assert write.key[0] == b"x"


def test_a_key_without_fields_leaves_the_key_column_missing() -> None:
    made = plan("id = key.id, at = value.at")
    for key in (None, {}, 5):
        with pytest.raises(DataError, match=r"key column k\.t\.id is missing"):
            made.writes(record(key=key), change("UPSERT", ROW), 1)
    with pytest.raises(DataError, match="malformed JSON"):
        made.writes(record(key="x"), change("UPSERT", ROW), 1)
