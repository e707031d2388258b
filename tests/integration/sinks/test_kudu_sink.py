"""The sink on a real Kudu, from JSON bytes to rows read back."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest

import stack
from connectors import ConfigError, FatalError, RetriableError, SinkRecord, TopicPartition
from connectors.clients.kudu.backend import open_client
from connectors.clients.kudu.port import ColumnSpec, KuduClient, Layout
from connectors.clients.kudu.settings import KuduSettings
from connectors.formats.canal_converter import CanalJsonConverter
from connectors.sinks.kudu import KuduSinkTask
from connectors.testing.sink_harness import TableCounts

TOPIC = "m.pojo.enriched"
COLUMNS = (
    ColumnSpec("aid", "STRING", key=True),
    ColumnSpec("astyle", "STRING", key=True),
    ColumnSpec("astatus", "STRING", key=True),
    ColumnSpec("ts_create_time", "UNIXTIME_MICROS", key=True),
    ColumnSpec("aname", "STRING", nullable=True),
    ColumnSpec("log_time", "INT64", nullable=True),
    ColumnSpec("energy", "DECIMAL", nullable=True, precision=10, scale=2),
    ColumnSpec("age", "INT32", nullable=True),
    ColumnSpec("create_time", "STRING", nullable=True),
    ColumnSpec("update_time", "STRING", nullable=True),
    ColumnSpec("ts_update_time", "UNIXTIME_MICROS", nullable=True),
    ColumnSpec("sys_update_time", "UNIXTIME_MICROS", nullable=True),
    ColumnSpec("sys_create_time", "UNIXTIME_MICROS", nullable=True),
)
CREATED = "2026-01-02 03:04:05.678"


class Reporter:
    def __init__(self) -> None:
        self.reported: list[tuple[int, str]] = []

    def report(self, record: SinkRecord, error: Exception) -> Future[None]:
        self.reported.append((record.offset, str(error)))
        done: Future[None] = Future()
        done.set_result(None)
        return done


class Context:
    def __init__(self) -> None:
        self.errant_record_reporter = Reporter()

    def table_metrics(self, table: str) -> TableCounts:
        return TableCounts()


def seed(i: int, **changes: Any) -> dict[str, Any]:
    j = i % 5
    row = {
        "aid": f"ID000-{i}",
        "aname": f"NAME-{i}",
        "astyle": f"STYLE000-{j}",
        "energy": f"{i}.{i % 100:02}",
        "age": str((j or 1) * 13),
        "log_time": str(1_767_294_245_678 + i),
        "create_time": CREATED,
        "update_time": CREATED,
        "astatus": f"0{j}",
        "ts_create_time": CREATED,
        "ts_update_time": CREATED,
        "sys_create_time": "2026-01-01 19:04:05.678901Z",
        "sys_update_time": "2026-01-01 19:04:05.678901Z",
    }
    return row | changes


def stored(i: int, **changes: Any) -> dict[str, Any]:
    moment = datetime(2026, 1, 1, 19, 4, 5, 678_000, tzinfo=UTC)
    row = seed(i) | {
        "energy": Decimal(f"{i}.{i % 100:02}"),
        "age": ((i % 5) or 1) * 13,
        "log_time": 1_767_294_245_678 + i,
        "ts_create_time": moment,
        "ts_update_time": moment,
        "sys_create_time": moment.replace(microsecond=678_901),
        "sys_update_time": moment.replace(microsecond=678_901),
    }
    return row | changes


class Sink:
    """A started task and what is needed to feed it."""

    def __init__(self, client: KuduClient, table: str, task: KuduSinkTask, context: Context) -> None:
        self.client, self.table, self.task, self.context = client, table, task, context
        self._offset = 0

    def record(self, value: bytes | None) -> SinkRecord:
        self._offset += 1
        headers = [("connect.ts_us", str(self._offset * 1_000).encode())]
        converted = CanalJsonConverter().to_connect(TOPIC, headers, value)
        return SinkRecord(TOPIC, 0, self._offset, None, converted, headers, 1)

    def change(self, kind: str, *rows: dict[str, Any], old: list[dict[str, Any]] | None = None) -> SinkRecord:
        message = {"type": kind, "database": "m", "table": "pojo", "isDdl": False, "data": rows, "old": old}
        return self.record(orjson.dumps(message | {"pkNames": ["aid"], "mysqlType": {}}))

    def put(self, *records: SinkRecord) -> None:
        self.task.put(list(records))

    def rows(self) -> list[dict[str, Any]]:
        return sorted(self.client.scan(self.table), key=lambda row: int(row["aid"].split("-")[1]))

    @property
    def reported(self) -> list[tuple[int, str]]:
        return self.context.errant_record_reporter.reported


@pytest.fixture
def client(kudu: str) -> Iterator[KuduClient]:
    client = open_client(KuduSettings(kudu, backend="jvm"))
    yield client
    client.close()


@pytest.fixture
def table(client: KuduClient, unique: str) -> Iterator[str]:
    name = f"m.{unique}_pojo"
    client.create_table(name, COLUMNS, Layout(("aid",), 2, replicas=1))
    yield name
    with suppress(ConfigError):  # the test has dropped it
        client.drop_table(name)


@pytest.fixture
def props(kudu: str, table: str) -> dict[str, str]:
    return {
        "name": "k",
        "topics": TOPIC,
        "kudu.masters": kudu,
        "kudu.backend": "jvm",
        "time.zone": "Asia/Shanghai",
        f"topic.{TOPIC}.{table}.mode": "upsert",
    }


@pytest.fixture
def start(client: KuduClient, table: str, props: dict[str, str]) -> Iterator[Callable[..., Sink]]:
    tasks = []

    def start(operation_timeout_ms: str = "10000", more: dict[str, str] | None = None, **suffixes: str) -> Sink:
        task, context = KuduSinkTask(), Context()
        tasks.append(task)
        task.initialize(context)  # type: ignore[arg-type]
        own = {f"topic.{TOPIC}.{table}.{name.replace('_', '.')}": value for name, value in suffixes.items()}
        task.start(props | own | {"kudu.operation.timeout.ms": operation_timeout_ms} | (more or {}))
        return Sink(client, table, task, context)

    yield start
    for task in tasks:
        task.stop()


@pytest.fixture
def sink(start: Callable[..., Sink]) -> Sink:
    return start()


async def test_the_seed_rows_are_stored_exactly_and_committed(sink: Sink) -> None:
    records = [sink.change("INSERT", seed(i)) for i in range(3_000)]
    sink.put(*records)
    assert sink.rows() == [stored(i) for i in range(3_000)]
    assert sink.reported == []
    offsets = {TopicPartition(TOPIC, 0): records[-1].offset + 1}
    assert await sink.task.pre_commit(offsets) == offsets


def test_updates_and_deletes_end_as_in_mysql(sink: Sink) -> None:
    sink.put(sink.change("INSERT", *(seed(i) for i in range(6))))
    sink.put(
        sink.change("UPDATE", seed(1, energy="-0.50", aname=None), old=[{"energy": "1.01", "aname": "NAME-1"}]),
        sink.change("DELETE", seed(2), seed(77)),
        sink.change("DELETE", seed(3)),
        sink.change("INSERT", seed(3, age="1")),
    )
    expected = [stored(0), stored(1, energy=Decimal("-0.50"), aname=None), stored(3, age=1), stored(4), stored(5)]
    assert sink.rows() == expected
    assert sink.reported == []


def test_a_key_change_moves_the_row(sink: Sink) -> None:
    sink.put(sink.change("INSERT", seed(1), seed(2)))
    sink.put(sink.change("UPDATE", seed(1, astatus="09"), old=[{"astatus": "01"}]))
    assert sink.rows() == [stored(1, astatus="09"), stored(2)]


def test_the_same_batch_put_again_changes_nothing(sink: Sink) -> None:
    records = [
        sink.change("INSERT", seed(1), seed(2)),
        sink.change("UPDATE", seed(1, astatus="09"), old=[{"astatus": "01"}]),
        sink.change("DELETE", seed(2)),
    ]
    for _ in range(3):
        sink.put(*records)
        assert sink.rows() == [stored(1, astatus="09")]


def test_null_is_stored_and_an_absent_column_keeps_its_value(sink: Sink) -> None:
    sink.put(sink.change("INSERT", seed(1)))
    part = {name: seed(1)[name] for name in ("aid", "astyle", "astatus", "ts_create_time")}
    sink.put(sink.change("UPDATE", part | {"aname": None}, old=[{"aname": "NAME-1"}]))
    assert sink.rows() == [stored(1, aname=None)]


def test_a_row_that_came_back_has_none_of_its_old_values(sink: Sink) -> None:
    sink.put(sink.change("INSERT", seed(1)))
    part = {name: seed(1)[name] for name in ("aid", "astyle", "astatus", "ts_create_time")}
    sink.put(sink.change("DELETE", seed(1)), sink.change("INSERT", part))
    unset = {column.name: None for column in COLUMNS if not column.key}
    assert sink.rows() == [stored(1, **unset)]


def test_bad_rows_are_reported_and_their_neighbours_stored(sink: Sink) -> None:
    bad = [
        (seed(101, energy="1.234"), r"column energy DECIMAL(10,2): '1.234': more than 2 digits after the point"),
        (seed(102, energy="NaN"), "column energy DECIMAL(10,2): 'NaN': not a number"),
        (seed(103, age="3000000000"), "column age INT32: '3000000000': out of range"),
        (seed(104, aid=None), "column aid STRING: key column is null"),
        (seed(105, aid="ID-" + "x" * 20_000), "the encoded key has"),
        (seed(106, aname="x" * 70_000), "70,000 bytes"),
        (seed(107, ts_create_time="0000-00-00 00:00:00"), "is no time"),
        ({"aid": "only"}, "column astyle STRING: key column is missing in the row"),
    ]
    records = [sink.change("INSERT", seed(0))]
    for i, (row, _) in enumerate(bad, 1):
        records += [sink.change("INSERT", row), sink.change("INSERT", seed(i))]
    sink.put(*records, sink.record(None), sink.change("ALTER"))
    assert sink.rows() == [stored(i) for i in range(len(bad) + 1)]
    assert [offset for offset, _ in sink.reported] == [record.offset for record in records[1::2]]
    for (_, text), (_, expected) in zip(sink.reported, bad, strict=True):
        assert text.startswith(f"table {sink.table}, column ")
        assert expected in text


def test_plain_json_goes_through_a_mapping(start: Callable[..., Sink], table: str) -> None:
    mapping = (
        "aid=value.aid, astyle=value.astyle, astatus=value.astatus, ts_create_time=value.createTime,"
        " aname=value.aname, log_time=value.logTime, energy=value.energy, age=value.age, create_time=value.createTime,"
        ' sys_update_time=timestamp, update_time=header."connect.ts_us"'
    )
    sink = start(mapping=mapping)
    row = {"aid": "ID000-1", "astyle": "s", "astatus": "0", "createTime": CREATED, "logTime": 5, "energy": 1.1}
    sink.put(sink.record(orjson.dumps(row | {"age": 13})))
    (found,) = sink.rows()
    assert (found["energy"], found["log_time"], found["age"], found["aname"]) == (Decimal("1.10"), 5, 13, None)
    assert found["sys_update_time"] == datetime(1970, 1, 1, 0, 0, 0, 1_000, tzinfo=UTC)
    assert found["update_time"] == "1000"


def test_insert_ignore_keeps_rows_and_deletes_can_be_off(start: Callable[..., Sink]) -> None:
    sink = start(mode="insert-ignore", deletes_enabled="false")
    sink.put(sink.change("INSERT", seed(1)))
    sink.put(sink.change("UPDATE", seed(1, age="99"), old=[{"age": "13"}]), sink.change("INSERT", seed(2)))
    sink.put(sink.change("DELETE", seed(1)))
    assert sink.rows() == [stored(1), stored(2)]


def test_all_mapping_errors_are_told_at_once(start: Callable[..., Sink], table: str) -> None:
    with pytest.raises(ConfigError) as raised:
        start(mapping="aid=value.aid, enery=value.energy")
    lines = str(raised.value).splitlines()
    assert len(lines) == 4
    assert "has no column enery; did you mean energy?" in lines[0]
    for line, column in zip(lines[1:], ("astyle", "astatus", "ts_create_time"), strict=True):
        assert line.endswith(f"key column {column} is not mapped")


def test_a_missing_table_is_a_configuration_error(props: dict[str, str], table: str) -> None:
    task: Any = KuduSinkTask()
    task.initialize(Context())
    own = {name: value for name, value in props.items() if not name.startswith("topic.")}
    with pytest.raises(ConfigError, match=TOPIC):
        task.start(own)
    task.stop()


def test_a_column_added_on_the_way_is_filled_from_then_on(sink: Sink) -> None:
    sink.put(sink.change("INSERT", seed(1)))
    _alter(sink, lambda options, java: options.addNullableColumn("extra", java("org.apache.kudu.Type").INT32))
    sink.put(sink.change("INSERT", seed(2, extra="7")))
    assert sink.rows() == [stored(1, extra=None), stored(2, extra=7)]


def test_a_column_added_for_a_field_that_was_left_out_is_filled_without_a_restart(start: Callable[..., Sink]) -> None:
    sink = start(more={"kudu.schema.refresh.ms": "0"})
    sink.put(sink.change("INSERT", seed(1, extra="6")))
    _alter(sink, lambda options, java: options.addNullableColumn("extra", java("org.apache.kudu.Type").INT32))
    sink.put(sink.change("INSERT", seed(2, extra="7")))
    assert sink.rows() == [stored(1, extra=None), stored(2, extra=7)]


def test_a_column_of_another_type_is_written_by_its_new_type(sink: Sink) -> None:
    sink.put(sink.change("INSERT", seed(1)))
    _alter(sink, lambda options, java: options.dropColumn("age"))
    _alter(sink, lambda options, java: options.addNullableColumn("age", java("org.apache.kudu.Type").STRING))
    sink.put(sink.change("INSERT", seed(2)), sink.change("INSERT", seed(3)))
    assert sink.reported == []
    assert sink.rows() == [stored(1, age=None), stored(2, age="26"), stored(3, age="39")]


def test_tables_and_columns_are_made_from_the_messages(
    client: KuduClient, table: str, start: Callable[..., Sink]
) -> None:
    client.drop_table(table)
    options = {"auto.create": "true", "auto.create.replicas": "1", "auto.evolve": "true"}
    sink = start(more=options, partition_hash="aid: 2", partition_range="day: 2026-01-01")
    types = {"aid": "varchar(64)", "day": "date", "energy": "decimal(10,2)", "raw": "blob", "late": "bigint unsigned"}

    def message(**row: Any) -> SinkRecord:
        body = {"type": "INSERT", "database": "m", "table": "p", "isDdl": False, "data": [row], "old": None}
        return sink.record(orjson.dumps(body | {"pkNames": ["aid", "day"], "mysqlType": types}))

    sink.put(message(aid="ID-1", day="2025-12-31", energy="1.5"))
    sink.put(message(aid="ID-2", day="2026-01-01", energy=None, raw="\0ÿ", late=str(2**64 - 1)))
    assert sink.reported == []
    assert sink.rows() == [
        {"aid": "ID-1", "day": date(2025, 12, 31), "energy": Decimal("1.50"), "late": None, "raw": None},
        {"aid": "ID-2", "day": date(2026, 1, 1), "energy": None, "late": Decimal(2**64 - 1), "raw": b"\0\xff"},
    ]


def test_a_column_dropped_on_the_way_is_left_out_from_then_on(sink: Sink) -> None:
    sink.put(sink.change("INSERT", seed(1)))
    _alter(sink, lambda options, java: options.dropColumn("age"))
    sink.put(sink.change("INSERT", seed(2)), sink.change("INSERT", seed(3)))
    assert sink.reported == []
    rows = [{name: value for name, value in stored(i).items() if name != "age"} for i in (1, 2, 3)]
    assert sink.rows() == rows


def test_a_table_made_anew_is_found_and_a_dropped_one_ends_the_task(sink: Sink) -> None:
    sink.put(sink.change("INSERT", seed(1)))
    sink.client.drop_table(sink.table)
    sink.client.create_table(sink.table, COLUMNS, Layout(("aid",), 2, replicas=1))
    sink.put(sink.change("INSERT", seed(2)))
    deadline = time.monotonic() + 20
    while not sink.rows() and time.monotonic() < deadline:  # Kudu takes a while to remove the old tablets
        sink.put(sink.change("INSERT", seed(2)))
    assert sink.rows() == [stored(2)]
    sink.client.drop_table(sink.table)

    def put_until(end: float) -> None:
        while time.monotonic() < end:
            sink.put(sink.change("INSERT", seed(3)))

    with pytest.raises(FatalError, match=sink.table):
        put_until(deadline + 20)


def _alter(sink: Sink, change: Callable[[Any, Any], Any]) -> None:
    import jpype

    client: Any = sink.client
    options = jpype.JClass("org.apache.kudu.client.AlterTableOptions")()
    change(options, jpype.JClass)
    client._client.alterTable(sink.table, options)


@contextmanager
def frozen() -> Iterator[None]:
    """Stop the server's processes. The server is shared: not for long."""
    kudu = stack.server("kudu")
    kudu.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        kudu.signal(signal.SIGCONT)


async def test_a_frozen_server_is_retried_and_nothing_is_committed_ahead(start: Callable[..., Sink]) -> None:
    sink = start(operation_timeout_ms="700")
    first = sink.change("INSERT", seed(1))
    sink.put(first)
    second = sink.change("INSERT", *(seed(i) for i in range(2, 9_000)))  # more than one flush
    with frozen(), pytest.raises(RetriableError, match=f"table {sink.table}: .* rows failed: Timed out"):
        sink.put(second)
    partition = TopicPartition(TOPIC, 0)
    assert await sink.task.pre_commit({partition: second.offset + 1}) == {partition: first.offset + 1}
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(RetriableError):
            sink.put(second)
            break
    assert sink.rows() == [stored(i) for i in range(1, 9_000)]
    assert await sink.task.pre_commit({partition: second.offset + 1}) == {partition: second.offset + 1}
