from __future__ import annotations

import base64
import re
import struct
import zlib
from typing import Any

import orjson
import pytest
import zstandard

from connectors import FatalError
from connectors.sources.mysql import events as e
from connectors.sources.mysql.changes import ChangeStream
from connectors.sources.mysql.filters import TableFilter, TopicName
from connectors.sources.mysql.plan import Plan
from connectors.sources.mysql.position import Position
from connectors.sources.mysql.rules import Rules
from tests.unit.sources.binlog import SERVER, Log, handle

SECOND = 1_000_000
COMMIT = 1_700_000_000_123_456


def make(position: Position | None = None, *, keyed: bool = True, **options: Any) -> ChangeStream:
    options.setdefault("rules", Rules(keyed=keyed))
    plan = Plan(source_partition={"server": "s"}, server="one", **options)
    return ChangeStream(plan, position or Position("binlog.000001", 4), now_ms=lambda: 1)


def transaction(log: Log, *rows: bytes) -> list[bytes]:
    return [log.query("BEGIN"), log.table_map("t"), *rows, log.xid()]


def feed(stream: ChangeStream, *events: bytes) -> ChangeStream:
    for event in events:
        handle(stream, event)
    return stream


def test_a_transaction_becomes_records_with_offsets() -> None:
    log = Log()
    events = [log.format()]
    start = log.pos
    events += [log.gtid(5, COMMIT), log.query("BEGIN"), log.table_map("t"), log.insert((1, "a"), (4294967295, None))]
    stream = feed(make(), *events)
    records = stream.take()
    assert [record.key for record in records] == [b'{"id":"1"}', b'{"id":"4294967295"}']
    assert [dict(record.headers) for record in records] == [
        {"connect.ts_us": b"%d" % (COMMIT + n), "connect.position": f"binlog.000001:{start}:{n}".encode()}
        for n in (0, 1)
    ]
    assert records[0].source_offset is None
    assert records[0].timestamp_ms is None
    assert records[1].source_offset == {
        "file": "binlog.000001",
        "pos": start,
        "events": 1,
        "rows": 2,
        "gtids": "",
        "ts_us": COMMIT + 1,
        "server": "one",
    }
    message = orjson.loads(records[1].value)
    assert message["data"] == [{"id": "4294967295", "name": None}]
    assert message["sqlType"] == {"id": -5, "name": 12}
    assert message["mysqlType"] == {"id": "int unsigned", "name": "varchar(20)"}
    assert message["gtid"] == f"{SERVER}:5"
    assert orjson.loads(records[0].value)["sqlType"] == {"id": 4, "name": 12}


@pytest.mark.parametrize(("change_time", "timestamp_ms"), [(False, None), (True, COMMIT // 1000)])
def test_kafka_keeps_records_from_when_they_are_sent_unless_the_time_of_the_change_is_asked_for(
    change_time: bool, timestamp_ms: int | None
) -> None:
    log = Log()
    stream = feed(
        make(change_time=change_time, transaction_topic="tx", statement_topic=TopicName("topic.statements", "sql")),
        *(log.format(), log.gtid(5, COMMIT), log.query("BEGIN"), log.rows_query("INSERT ..."), log.table_map("t")),
        *(log.insert((1, "a")), log.xid(), log.gtid(6, COMMIT), log.query("TRUNCATE TABLE t")),
    )
    records = stream.take()
    assert [record.topic for record in records] == ["sql", "tx", "d.t", "tx", "d.t"]
    times = {record.timestamp_ms for record in records if record.topic != "tx"}
    assert times == {timestamp_ms}
    assert all((record.timestamp_ms is None) != change_time for record in records)


def test_the_last_record_gets_the_boundary_after_it() -> None:
    log = Log()
    events = [log.format(), *transaction(log, log.insert((1, "a")))]
    stream = feed(make(), *events, log.gtid(2, COMMIT), log.query("BEGIN"), log.table_map("other", 8))
    (record,) = stream.take()
    assert record.source_offset is not None
    assert record.source_offset["events"] == 0
    assert record.source_offset["pos"] == log.pos - len(log_tail(log))


def log_tail(log: Log) -> bytes:
    """The events after the first transaction in the test above."""
    again = Log()
    return again.gtid(2, COMMIT) + again.query("BEGIN") + again.table_map("other", 8)


def test_what_is_done_is_left_out_on_resume() -> None:
    log = Log()
    events = [
        log.format(),
        log.gtid(1, COMMIT),
        log.query("BEGIN"),
        log.table_map("skip", 8),
        log.insert((7, "z"), table_id=8),
        log.table_map("t"),
        log.insert((1, "a"), (2, "b")),
        log.insert((3, "c")),
        log.xid(),
    ]
    options = {"filter": TableFilter(exclude=[r"d\.skip"])}
    whole = feed(make(**options), *events).take()
    assert len(whole) == 3
    offset = whole[1].source_offset
    assert offset is not None
    assert offset["events"] == 2
    rest = feed(make(Position.from_offset(offset), **options), *events).take()
    assert [(r.key, r.headers) for r in rest] == [(r.key, r.headers) for r in whole[2:]]


def test_the_clock_never_goes_back() -> None:
    log = Log()
    events = [log.format()]
    for number, commit_us in enumerate((COMMIT, COMMIT - 5 * SECOND, COMMIT + SECOND)):
        events += [
            log.gtid(number + 1, commit_us),
            log.query("BEGIN"),
            log.table_map("t"),
            log.insert((number, "a")),
            log.xid(),
        ]
    times = [int(record.headers[0][1]) for record in feed(make(), *events).take()]
    assert times == [COMMIT, COMMIT + 1, COMMIT + SECOND]


def test_a_message_of_many_rows_takes_many_ticks() -> None:
    log = Log()
    events = [
        log.format(),
        log.query("BEGIN"),
        log.table_map("t"),
        log.insert((1, "a"), (2, "b")),
        log.insert((3, "c")),
    ]
    records = feed(make(keyed=False, per_event=True), *events).take()
    first = log.seconds * SECOND
    assert [int(record.headers[0][1]) for record in records] == [first, first + 2]
    assert [len(orjson.loads(record.value)["data"]) for record in records] == [2, 1]


@pytest.mark.parametrize("keyed", [True, False])
def test_an_update_of_the_key(keyed: bool) -> None:
    log = Log()
    update = log.rows(31, [(1, "a"), (1, "b"), (2, "x"), (3, "x")])
    records = feed(make(keyed=keyed), log.format(), log.table_map("t"), update).take()
    got = [(m["type"], m["data"][0]["id"], m["old"]) for m in (orjson.loads(record.value) for record in records)]
    if keyed:
        assert got == [("UPDATE", "1", [{"name": "a"}]), ("DELETE", "2", None), ("INSERT", "3", None)]
    else:
        assert got == [("UPDATE", "1", [{"name": "a"}]), ("UPDATE", "3", [{"id": "2"}])]


def test_a_table_without_names_is_refused() -> None:
    log = Log()
    event = log.table_map("t")
    body = event[19:-4]
    cut = body[: body.index(b"\1\1\x80")]
    (record,) = feed(make(), log.format(), log.event(e.TABLE_MAP, cut), log.insert((1, "a"))).take()
    assert "SET GLOBAL binlog_row_metadata = FULL" in str(record.error)


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        (e.INCIDENT, b"\1\0", "lost binlog events"),
        (99, b"", "event type 99 is not known"),
        (30, (5).to_bytes(6, "little") + b"\0\0\2\0\2\3", "without the table map event"),
    ],
)
def test_events_that_may_hide_changes_stop_the_source(kind: int, body: bytes, message: str) -> None:
    log = Log()
    with pytest.raises(FatalError, match=message) as caught:
        feed(make(), log.format(), log.event(kind, body))
    assert "binlog.000001:4" in str(caught.value)


@pytest.mark.parametrize(("kind", "flags"), [(99, e.IGNORABLE), (e.HEARTBEAT, 0), (41, 0), (30, 0)])
def test_events_that_hold_nothing_are_left_out(kind: int, flags: int) -> None:
    log = Log()
    body = b"\xff\xff\xff\0\0\0" + b"\1\0\2\0\2\3"
    assert feed(make(), log.format(), log.event(kind, body, flags=flags)).take() == []


def test_rows_that_do_not_fit_are_refused_with_table_and_place() -> None:
    log = Log()
    broken = log.insert((1, "a"))
    broken = log.event(30, broken[19:-4] + b"\0")
    records = feed(make(), log.format(), log.table_map("t"), broken, log.insert((2, "b"))).take()
    assert "d.t at binlog.000001:4: a row cannot be decoded" in str(records[0].error)
    assert base64.b64decode(records[0].value) == broken
    assert dict(records[0].headers)["connect.table"] == b"t"
    assert records[0].source_offset is not None
    assert records[0].source_offset["events"] == 1
    assert [record.key for record in records[1:]] == [b'{"id":"2"}']


def test_a_statement_that_changes_rows_is_refused_only_for_chosen_tables() -> None:
    log = Log()
    options = {"filter": TableFilter(include=[r"d\.t"])}
    others = [
        log.query("INSERT INTO other VALUES (1)"),
        log.query("DELETE FROM x.t"),
        log.query("CREATE TABLE u SELECT 1"),
    ]
    assert feed(make(**options), log.format(), *others).take() == []
    for sql in (
        "UPDATE LOW_PRIORITY `t` SET a = 1",
        "DELETE t FROM other JOIN t",
        "WITH w AS (SELECT 1) DELETE FROM t",
    ):
        event = log.query(sql)
        (record,) = feed(make(**options), log.format(), event).take()
        assert re.search(r"rows of d\.t? ?were changed by a statement", str(record.error))
        assert base64.b64decode(record.value) == event
        assert record.source_offset is not None


def test_other_tables_go_on_behind_a_statement_that_changes_rows() -> None:
    log = Log()
    events = [
        log.format(),
        log.query("BEGIN"),
        log.query("UPDATE x SET a = 1"),
        log.table_map("t"),
        log.insert((1, "a")),
    ]
    refused, row = feed(make(), *events).take()
    assert dict(refused.headers)["connect.table"] == b"x"
    assert row.key == b'{"id":"1"}'
    offset = refused.source_offset
    assert offset is not None
    assert offset["events"] == 1
    (again,) = feed(make(Position.from_offset(offset)), *events).take()
    assert again.key == row.key


def test_a_table_that_is_made_with_rows_by_a_statement_is_refused_before_it_is_told_of() -> None:
    """Else a restart behind the message would leave the rows out without a word."""
    log = Log()
    refused, told = feed(make(), log.format(), log.query("CREATE TABLE q SELECT 1 AS id")).take()
    assert "rows of d.q were changed by a statement" in str(refused.error)
    assert refused.source_offset is None
    assert orjson.loads(told.value)["type"] == "CREATE"
    (refused,) = feed(make(ddl_topic=None, rules=Rules(skipped=frozenset({"ddl"}))), log.format(),
                      log.query("CREATE TABLE q SELECT 1 AS id")).take()  # fmt: skip
    assert refused.source_offset is not None


def test_a_new_file_moves_the_position() -> None:
    log = Log()
    stream = feed(make(), log.format(), log.rotate("binlog.000002"), log.format(), log.query("CREATE TABLE t (a int)"))
    (record,) = stream.take()
    assert record.source_offset is not None
    assert (record.source_offset["file"], record.source_offset["pos"]) == ("binlog.000002", log.pos)
    assert (record.key, record.partition, record.topic) == (None, 0, "d.t")


def test_schema_changes_of_a_database_need_a_topic_of_their_own() -> None:
    log = Log()
    events = [log.format(), log.query("CREATE DATABASE x")]
    assert feed(make(), *events).take() == []
    assert [r.topic for r in feed(make(ddl_topic=TopicName("topic.ddl", "ddl")), *events).take()] == ["ddl"]


def test_compressed_events_of_mariadb_are_inflated() -> None:
    log = Log()
    plain = log.insert((1, "a"), (2, "b"))[19:-4]
    v1 = plain[:8] + plain[10:]
    rows = v1[10:]
    packed = v1[:10] + b"\x81" + bytes([len(rows)]) + zlib.compress(rows)
    records = feed(make(flavor="mariadb"), log.format(), log.table_map("t"), log.event(166, packed)).take()
    assert [record.key for record in records] == [b'{"id":"1"}', b'{"id":"2"}']


def test_started_by_gtid_there_is_no_file_before_the_first_transaction() -> None:
    log = Log()
    stream = make(Position("", 0, gtids=f"{SERVER}:1-3"))
    stream.start_at("binlog.000009", 4)
    feed(stream, log.format())
    assert (stream.position().file, stream.position().gtids) == ("", f"{SERVER}:1-3")
    before = log.pos
    feed(stream, log.gtid(4, COMMIT), log.query("BEGIN"), log.table_map("t"), log.insert((1, "a")))
    assert (stream.position().file, stream.position().pos, stream.position().events) == ("binlog.000009", before, 1)
    feed(stream, log.xid())
    assert stream.position().gtids == f"{SERVER}:1-4"


def test_payload_events_come_out_of_the_compressed_transaction() -> None:
    log = Log()
    inner = b"".join(shorten(event) for event in transaction(Log(), Log().insert((1, "a"))))
    body = b"\2\1\0\1\1\x10\0" + zstandard.ZstdCompressor().compress(inner)
    stream = feed(make(), log.format(), log.event(e.PAYLOAD, body))
    (record,) = stream.take()
    assert record.key == b'{"id":"1"}'
    assert record.source_offset is not None
    assert record.source_offset["pos"] == log.pos


def test_records_of_a_compressed_transaction_may_be_taken_before_its_end() -> None:
    log, stream, taken = Log(), make(), []
    made = transaction(Log(), Log().insert((1, "a")), Log().insert((2, "b")))
    body = b"\2\1\0\1\1\x10\0" + zstandard.ZstdCompressor().compress(b"".join(map(shorten, made)))
    feed(stream, log.format()).begin(log.event(e.PAYLOAD, body))
    while stream.go_on():
        taken.append(stream.take())
    batches = [records for records in taken if records]
    assert [[record.key for record in records] for records in batches] == [[b'{"id":"1"}'], [b'{"id":"2"}']]
    offsets = [records[-1].source_offset for records in batches]
    assert [offset and offset["events"] for offset in offsets] == [1, 2]
    again = make(Position.from_offset(offsets[0] or {}))
    again.start_at("binlog.000001", 4)
    log = Log()
    (record,) = feed(again, log.format(), log.event(e.PAYLOAD, body)).take()
    assert record.key == b'{"id":"2"}'


def shorten(event: bytes) -> bytes:
    """Take the checksum off, as events inside a payload have none."""
    size = struct.pack("<I", len(event) - 4)
    return event[:9] + size + event[13:-4]


def test_positions_are_taken_from_the_end_of_a_transaction_alone() -> None:
    """MariaDB from 11.4 on writes 0 as the position behind row events (P5)."""
    log = Log()
    stream = make(flavor="mariadb")
    head = [log.format(), log.query("BEGIN")]
    start = log.pos
    inside = [log.event(e.TABLE_MAP, log.table_map("t")[19:-4], next_pos=0),
              log.event(30, log.insert((1, "a"))[19:-4], next_pos=0)]  # fmt: skip
    feed(stream, *head, *inside)
    assert stream.position().events == 1
    assert stream.position().pos < start
    end = log.xid()
    assert feed(stream, end).position().pos == log.pos


def test_a_table_with_an_unknown_type_does_not_stop_the_others() -> None:
    log = Log()
    strange = log.table_map("strange", 9)[19:-4].replace(b"\2\3\x0f", b"\2\x03\xc8", 1)
    events = [
        log.format(),
        log.event(e.TABLE_MAP, strange),
        log.insert((1, "a"), table_id=9),
        log.insert((2, "b"), table_id=9),
    ]
    records = feed(make(), *events, log.table_map("t"), log.insert((3, "c"))).take()
    assert ["has the unknown type 200" in str(record.error) for record in records[:2]] == [True, True]
    assert base64.b64decode(dict(records[0].headers)["connect.table.map"]) == strange
    assert [record.key for record in records[2:]] == [b'{"id":"3"}']
