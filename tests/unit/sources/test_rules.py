"""Columns, row filters and routing, driven through the change stream by events built by hand."""

from __future__ import annotations

import struct
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import ConfigError
from connectors.sources.mysql.changes import ChangeStream
from connectors.sources.mysql.columns import DOUBLE, LONG, NEWDECIMAL, VARCHAR, Column, Table
from connectors.sources.mysql.options import read_settings
from connectors.sources.mysql.plan import Plan
from connectors.sources.mysql.position import Position
from connectors.sources.mysql.predicate import Condition, compile_condition
from connectors.sources.mysql.routing import DynamicTopics, PartitionCounts, PartitionRule, java_hash
from tests.unit.sources.binlog import Log, handle

BASE = {"database.hostname": "h", "database.user": "u"}


def stream(position: Position | None = None, **options: str) -> ChangeStream:
    props = {name.replace("__", "$").replace("_", ".").replace("$", "_"): value for name, value in options.items()}
    settings = read_settings(BASE | props, "c")
    plan = Plan(
        settings.source_partition,
        settings.filter,
        settings.rules,
        settings.ddl_topic,
        settings.transaction_topic,
        settings.per_event,
        settings.rendering,
    )
    return ChangeStream(plan, position or Position("binlog.000001", 4), now_ms=lambda: 1)


def run(made: ChangeStream, *events: bytes) -> list[Any]:
    for event in events:
        handle(made, event)
    return made.take()


def messages(records: list[Any]) -> list[Any]:
    return [(m["type"], m["data"], m["old"]) for m in (orjson.loads(record.value) for record in records)]


def insert(log: Log, *rows: tuple[int, str | None]) -> list[bytes]:
    return [log.format(), log.table_map("t"), log.insert(*rows)]


def update(log: Log, *images: tuple[int, str | None]) -> list[bytes]:
    return [log.format(), log.table_map("t"), log.rows(31, images)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"column_exclude_list": r"d\.t\.name"}, {"id": "1"}),
        ({"column_include_list": r".*\.name"}, {"name": 'he"llo'}),
        ({"column_mask_with_3_chars": r"d\.t\.name"}, {"id": "1", "name": "***"}),
        ({"column_truncate_to_3_chars": r".*"}, {"id": "1", "name": 'he"'}),
        ({"column_truncate_to_6_chars": r".*"}, {"id": "1", "name": 'he"llo'}),
        ({"column_mask_hash": r".*\.id", "column_mask_hash_salt": "s"},
         {"id": "b6a4d5f2f8e4c3cd", "name": 'he"llo'}),
    ],
)  # fmt: skip
def test_columns_are_left_out_or_changed(options: dict[str, str], expected: dict[str, str]) -> None:
    (record,) = run(stream(message_key="none", **options), *insert(Log(), (1, 'he"llo')))
    (row,) = orjson.loads(record.value)["data"]
    if "column_mask_hash" in options:
        assert len(row["id"]) == 64
        row["id"] = expected["id"]
    assert row == expected
    assert list(orjson.loads(record.value)["mysqlType"]) == list(expected)
    assert list(orjson.loads(record.value)["sqlType"]) == list(expected)


def test_a_null_stays_null_whatever_is_done_to_its_column() -> None:
    options = {"column_mask_with_3_chars": ".*name", "column_mask_hash": ".*name", "column_mask_hash_salt": "s"}
    (record,) = run(stream(**options), *insert(Log(), (1, None)))
    assert orjson.loads(record.value)["data"] == [{"id": "1", "name": None}]


def test_a_key_that_is_left_out_of_the_row_stays_the_kafka_key() -> None:
    options = {"column_exclude_list": r".*\.id"}
    for log, events in ((Log(), insert(Log(), (1, "a"))), (Log(), update(Log(), (1, "b"), (1, "a")))):
        (record,) = run(stream(**options), *events)
        assert record.key == b'{"id":"1"}', log
        message = orjson.loads(record.value)
        assert (message["data"], message["pkNames"]) == ([{"name": "a"}], None)


def test_updates_without_a_change_of_what_is_sent_can_be_left_out() -> None:
    options = {"column_exclude_list": r".*\.name", "skip_messages_without_change": "true"}
    records = run(stream(**options), *update(Log(), (1, "a"), (1, "b"), (2, "a"), (3, "a")))
    assert [(kind, data) for kind, data, _ in messages(records)] == [
        ("DELETE", [{"id": "2"}]),
        ("INSERT", [{"id": "3"}]),
    ]


def test_a_row_filter_shows_rows_enter_and_leave() -> None:
    chosen = stream(**{"row.filter.d.*": "name LIKE 'a%' AND id < 10"})
    images = [(1, "a"), (1, "ab"), (1, "a"), (1, "b"), (2, "b"), (2, "a"), (3, "b"), (3, "c"), (11, "a"), (11, "b")]
    assert messages(run(chosen, *update(Log(), *images))) == [
        ("UPDATE", [{"id": "1", "name": "ab"}], [{"name": "a"}]),
        ("DELETE", [{"id": "1", "name": "a"}], None),
        ("INSERT", [{"id": "2", "name": "a"}], None),
    ]
    assert [m[1] for m in messages(run(chosen, *insert(Log(), (1, "a"), (2, None), (3, "x"), (10, "a"))))] == [
        [{"id": "1", "name": "a"}]
    ]


def test_a_row_filter_sees_columns_that_are_left_out_and_true_values_of_masked_ones() -> None:
    options = {"row.filter.d.t": "name = 'a'", "column.mask.with.1.chars": r".*\.name"}
    assert messages(run(stream(**options), *insert(Log(), (1, "a"), (2, "b"))))[0][1] == [{"id": "1", "name": "*"}]
    options = {"row.filter.d.t": "name = 'a'", "column.exclude.list": r".*\.name"}
    assert messages(run(stream(**options), *insert(Log(), (1, "a"), (2, "b"))))[0][1] == [{"id": "1"}]


def test_a_filter_that_does_not_fit_the_table_is_an_error_of_that_table() -> None:
    (record,) = run(stream(**{"row.filter.d.t": "nosuch = 1"}), *insert(Log(), (1, "a")))
    assert "row.filter.d.t: d.t has no column nosuch" in str(record.error)


@pytest.mark.parametrize("operation", ["insert", "update", "delete", "truncate", "ddl"])
def test_operations_are_left_out(operation: str) -> None:
    log = Log()
    records = run(
        stream(skipped_operations=operation),
        *insert(log, (1, "a")),
        log.rows(31, [(1, "a"), (1, "b")]),
        log.rows(32, [(1, "b")]),
        log.query("TRUNCATE TABLE t"),
        log.query("ALTER TABLE t ADD x int"),
    )
    everything = ["INSERT", "UPDATE", "DELETE", "TRUNCATE", "ALTER"]
    gone = {"TRUNCATE", "ALTER"} if operation == "ddl" else {operation.upper()}
    assert [orjson.loads(record.value)["type"] for record in records] == [k for k in everything if k not in gone]


# Predicates

TABLE = Table("d", "t", [Column(LONG, name="i"), Column(VARCHAR, name="s"), Column(NEWDECIMAL, (9, 2), "n"),
                         Column(DOUBLE, name="f")])  # fmt: skip


def holds(condition: str, **values: Any) -> bool:
    predicate = compile_condition(Condition("row.filter.d.t", condition), TABLE, labels=False)
    texts = [values.get(TABLE.columns[n].name) for n in predicate.columns]
    return predicate.holds(["null" if text is None else orjson.dumps(str(text)).decode() for text in texts])


@pytest.mark.parametrize(
    ("condition", "values", "expected"),
    [
        ("i = 1", {"i": 1}, True),
        ("i = '1'", {"i": 1}, True),
        ("i <> 1", {"i": None}, False),
        ("NOT i = 1", {"i": None}, False),
        ("i IS NULL OR i > 5", {"i": None}, True),
        ("i IS NOT NULL", {"i": 3}, True),
        ("i <=> NULL", {"i": None}, True),
        ("i IN (1, 2, 3)", {"i": 2}, True),
        ("i NOT IN (1, NULL)", {"i": 2}, False),
        ("i BETWEEN 2 AND 4", {"i": 4}, True),
        ("n >= 10.50", {"n": "10.50"}, True),
        ("n * 2 - 1 > i", {"n": "2.00", "i": 2}, True),
        ("f > 1e3", {"f": "1.0E10"}, True),
        ("s LIKE 'a\\%_'", {"s": "a%b"}, True),
        ("s LIKE 'a%'", {"s": "b"}, False),
        ("s REGEXP '^[0-9]+$'", {"s": "123"}, True),
        ("s REGEXP '[0-9]'", {"s": "a1b"}, True),
        ("LOWER(s) = 'abc' AND (i = 1 OR i = 2)", {"s": "AbC", "i": 2}, True),
        ("s >= '2024-01-01'", {"s": "2024-03-01 00:00:00"}, True),
        ("(i = 1) IS TRUE", {"i": 2}, False),
        ("`I` = -1", {"i": -1}, True),
        ("i", {"i": 0}, False),
        ("TRUE", {}, True),
    ],
)  # fmt: skip
def test_conditions_are_those_of_sql(condition: str, values: dict[str, Any], expected: bool) -> None:
    assert holds(condition, **values) is expected


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("SELECT 1", "is not supported"),
        ("i = (SELECT 1)", "is not supported"),
        ("SLEEP(1) = 0", "is not supported"),
        ("i = ", "is no condition"),
        ("s LIKE s", "must be a literal"),
        ("'x'", "where a comparison is needed"),
    ],
)
def test_what_is_no_condition_is_refused_at_once(condition: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Condition("row.filter.d.t", condition)


def test_a_number_is_not_compared_with_a_text() -> None:
    with pytest.raises(ConfigError, match="is compared with a number, and is none"):
        holds("i = 'x'", i=1)


@given(st.integers(-50, 50), st.one_of(st.none(), st.integers(-50, 50)))
def test_logic_has_three_values(limit: int, value: int | None) -> None:
    assert holds(f"i < {limit} OR i >= {limit}", i=value) is (value is not None)
    assert holds(f"NOT (i < {limit}) AND i < {limit}", i=value) is False


# Routing; the figures are those that Canal 1.1.7 was seen to give


def test_the_hash_is_that_of_java() -> None:
    assert [java_hash(text) for text in ("", "a", "中", "😀")] == [0, 97, 20013, 0xD83D * 31 + 0xDE00]
    assert java_hash("polygenelubricants") == 0x80000000


@pytest.mark.parametrize(
    ("database", "database_hash", "expected"),
    [("inventory", "true", {101: 2, 102: 1, 103: 2}), ("inventory", "false", {101: 2, 102: 0, 103: 1}),
     ("c36", "true", {101: 0, 102: 1, 103: 1})],
)  # fmt: skip
def test_rows_go_to_canals_partitions(database: str, database_hash: str, expected: dict[int, int]) -> None:
    log = Log()
    made = stream(
        partition_hash=r".*\.p:id", partition_count="3", partition_hash_database=database_hash, message_key="none"
    )
    events = [log.format(), log.table_map("p", database=database), log.insert(*((n, "x") for n in expected))]
    records = run(made, *events)
    found = {int(row["id"]): r.partition for r in records for row in orjson.loads(r.value)["data"]}
    assert found == expected
    assert len(records) == len(set(expected.values()))


def test_a_table_hash_and_the_columns_of_a_rule() -> None:
    log = Log()
    made = stream(partition_hash=r"d.products2,test.t:id^name,x\..*:$pk$", partition_count="3")
    (record,) = run(made, log.format(), log.table_map("products2"), log.insert((1, "a")))
    assert (record.partition, record.key) == (2, b'{"id":"1"}')
    (record,) = run(made, log.table_map("t", database="test"), log.insert((1, "abc")))
    assert record.partition == 2
    (record,) = run(made, log.table_map("t"), log.insert((1, "abc")))
    assert record.partition is None


def test_a_row_that_changes_its_partition_is_a_delete_and_an_insert_unless_exact() -> None:
    images = [(101, "a"), (103, "a"), (101, "a"), (102, "a"), (102, "a"), (102, "b")]
    options = {"partition_hash": "d.t:id", "partition_count": "3", "partition_hash_database": "false",
               "message_key": "none"}  # fmt: skip
    records = run(stream(**options), *update(Log(), *images))
    got = [(m[0], [row["id"] for row in m[1]], r.partition) for r, m in zip(records, messages(records), strict=True)]
    assert got == [
        ("DELETE", ["101"], 2),
        ("INSERT", ["103"], 1),
        ("DELETE", ["101"], 2),
        ("INSERT", ["102"], 0),
        ("UPDATE", ["102"], 0),
    ]
    records = run(stream(canal_compat="exact", **options), *update(Log(), *images))
    assert [(m[0], r.partition) for r, m in zip(records, messages(records), strict=True)] == [
        ("UPDATE", 1),
        ("UPDATE", 0),
    ]


def minimal_update(log: Log, before: bytes, after: bytes, *, columns: bytes = b"\1\1") -> list[bytes]:
    """An UPDATE whose images hold only some of the columns `id`, `name`, as `binlog_row_image=MINIMAL` logs it."""
    body = (7).to_bytes(6, "little") + b"\1\0\2\0\2" + columns + b"\0" + before + b"\0" + after
    return [log.format(), log.table_map("t"), log.event(31, body)]


@pytest.mark.parametrize("key", ["primary-key", "none"])
def test_a_row_that_moves_is_deleted_where_it_was_also_where_the_image_is_minimal(key: str) -> None:
    made = stream(partition_hash="d.t:id", partition_count="3", partition_hash_database="false", message_key=key)
    events = minimal_update(Log(), struct.pack("<I", 101), struct.pack("<I", 103))
    records = run(made, *events)
    got = [(m[0], m[1], r.partition) for r, m in zip(records, messages(records), strict=True)]
    assert got == [("DELETE", [{"id": "101"}], 2), ("INSERT", [{"id": "103"}], 1)]


def test_a_row_filter_sees_a_row_leave_also_where_the_image_is_minimal() -> None:
    options = {"row.filter.d.t": "id < 10"}
    moves = {(1, 11): [("DELETE", [{"id": "1"}], None)], (11, 1): [("INSERT", [{"id": "1"}], None)], (11, 12): []}
    for (before, after), expected in moves.items():
        events = minimal_update(Log(), struct.pack("<I", before), struct.pack("<I", after))
        assert messages(run(stream(**options), *events)) == expected
    # A column that neither image holds may fulfil the condition, so the row is sent.
    events = minimal_update(Log(), struct.pack("<I", 1), b"\1x", columns=b"\1\2")
    assert messages(run(stream(**{"row.filter.d.t": "name = 'x' AND id = 1"}), *events)) == [
        ("UPDATE", [{"id": "1", "name": "x"}], [{}])
    ]


def test_partitions_of_a_topic() -> None:
    counts = PartitionCounts("partition.count", "3,orders:12,log_.*:1")
    assert [counts.of(topic) for topic in ("x", "orders", "log_a")] == [3, 12, 1]
    with pytest.raises(ConfigError, match="neither a number nor topic:number"):
        PartitionCounts("partition.count", "orders:0")
    with pytest.raises(ConfigError, match="names no columns"):
        PartitionRule.parse("partition.hash", "a.b:")


@pytest.mark.parametrize(
    ("rules", "name", "topic"),
    [
        ("d.t", "D.t", "d_t"),
        (r"d\..*", "d.x", "d_x"),
        (r"hot:d\.t.*,d", "d.t1", "hot"),
        (r"hot:d\.t.*,d", "d.a", "d"),
        ("shop_.*", "shop_1.t", "shop_1"),
        (r"a:d\.x;b:d\.t", "d.t", "b"),
        (r"e\..*", "d.t", None),
    ],
)
def test_dynamic_topics(rules: str, name: str, topic: str | None) -> None:
    assert DynamicTopics("dynamic.topic", rules).of(*name.split(".")) == topic


def test_topics_and_keys_by_rule() -> None:
    made = stream(dynamic_topic=r"hot:d\.t", message_key_columns="d.t:name")
    (record,) = run(made, *insert(Log(), (1, "a")))
    assert (record.topic, record.key) == ("hot", b'{"name":"a"}')


# Transactions


def transaction(log: Log) -> list[bytes]:
    return [log.format(), log.gtid(7, 1_700_000_000_000_000), log.query("BEGIN"), log.table_map("t"),
            log.insert((1, "a"), (2, "b")), log.table_map("u", 8), log.insert((1, "a"), table_id=8), log.xid(),
            log.gtid(8, 1_700_000_000_000_000), log.query("BEGIN"), log.xid()]  # fmt: skip


def test_transactions_are_told_of() -> None:
    records = run(stream(topic_transaction="tx"), *transaction(Log()))
    assert [record.topic for record in records] == ["tx", "d.t", "d.t", "d.u", "tx"]
    begin, *rows, end = records
    identity = orjson.loads(begin.value)["id"]
    assert identity.endswith(":7")
    assert orjson.loads(begin.value)["event_count"] is None
    assert orjson.loads(end.value) == {
        "status": "END",
        "id": identity,
        "event_count": 3,
        "data_collections": [
            {"data_collection": "d.t", "event_count": 2},
            {"data_collection": "d.u", "event_count": 1},
        ],
        "ts_ms": 1_700_000_000_000,
    }
    assert [dict(row.headers)["connect.transaction.order"] for row in rows] == [b"1", b"2", b"3"]
    assert {dict(row.headers)["connect.transaction.id"] for row in rows} == {identity.encode()}


def test_after_a_crash_inside_a_transaction_its_end_counts_all_rows() -> None:
    events = transaction(Log())
    before = run(stream(topic_transaction="tx"), *events[:5])
    again = run(stream(Position.from_offset(before[-1].source_offset), topic_transaction="tx"), *events)
    assert [record.topic for record in again] == ["d.u", "tx"]
    assert dict(again[0].headers)["connect.transaction.order"] == b"3"
    assert orjson.loads(again[1].value)["event_count"] == 3


# Canal's quirks


def test_exact_keeps_what_canal_does_and_fixed_does_not() -> None:
    images = [(1, "a"), (1, "b"), (2, "x"), (3, "x")]
    exact = messages(run(stream(canal_compat="exact", message_key="none"), *update(Log(), *images)))
    fixed = messages(run(stream(message_key="none"), *update(Log(), *images)))
    assert [old for _, _, old in exact] == [[{"name": "a"}, {"id": "2", "name": "x"}]]
    assert [old for _, _, old in fixed] == [[{"name": "a"}, {"id": "2"}]]
