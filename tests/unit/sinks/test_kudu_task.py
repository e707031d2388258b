from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from connectors import ConfigError, DataError, FatalError, RetriableError, SinkRecord, TopicPartition
from connectors.clients.kudu.port import UNSET, ColumnSpec, FailureKind, Layout, OpKind, RowFailure, RowOp, Table
from connectors.clients.kudu.settings import ExistsError, MissingTableError
from connectors.formats.canal import RowChange
from connectors.sinks.kudu import KuduSinkTask
from connectors.sinks.kudu import target as target_module
from connectors.sinks.kudu import task as task_module
from connectors.testing.sink_harness import TableCounts

COLUMNS = (ColumnSpec("id", "INT32", key=True), ColumnSpec("a", "STRING", nullable=True))
PARTITION = TopicPartition("t", 0)


class MemoryKudu:
    """The port in memory. `faults` are taken one for each batch: a kind for every row, or a kind by row."""

    def __init__(self) -> None:
        self.tables: dict[str, tuple[ColumnSpec, ...]] = {"t": COLUMNS}
        self.rows: dict[str, dict[Any, list[Any]]] = {"t": {}}
        self.faults: list[FailureKind | dict[int, FailureKind]] = []
        self.batches: list[int] = []
        self.threads: set[str] = set()
        self.opened = 0
        self.layouts: list[Layout] = []
        self.closed = 0
        self.before_write: Callable[[], Any] = lambda: None

    def open_table(self, name: str) -> Table:
        self.threads.add(threading.current_thread().name)
        if name not in self.tables:
            raise MissingTableError(f"Kudu, table {name}: Not found")
        self.opened += 1
        return Table(name, self.tables[name])

    def create_table(self, name: str, columns: Sequence[ColumnSpec], layout: Layout) -> Table:
        self.layouts.append(layout)
        if name in self.tables:
            raise ExistsError("Already present")
        self.tables[name] = tuple(columns)
        return self.open_table(name)

    def add_columns(self, table: Table, columns: Sequence[ColumnSpec]) -> None:
        if {column.name for column in columns} & {column.name for column in self.tables[table.name]}:
            raise ExistsError("Already present")
        self.tables[table.name] += tuple(columns)

    def write_batch(self, table: Table, ops: Sequence[RowOp]) -> list[RowFailure]:
        self.threads.add(threading.current_thread().name)
        self.before_write()
        self.batches.append(len(ops))
        fault = self.faults.pop(0) if self.faults else {}
        failing = fault if isinstance(fault, dict) else dict.fromkeys(range(len(ops)), fault)
        for index, op in enumerate(ops):
            if index not in failing:
                self._carry_out(table, op)
        return [RowFailure(kind, index, kind.value) for index, kind in failing.items()]

    def _carry_out(self, table: Table, op: RowOp) -> None:
        rows = self.rows.setdefault(table.name, {})
        if op.kind is OpKind.DELETE_IGNORE:
            rows.pop(op.values[0], None)
        else:
            before = rows.get(op.values[0], [None] * len(op.values))
            rows[op.values[0]] = [b if a is UNSET else a for b, a in zip(before, op.values, strict=True)]

    def close(self) -> None:
        self.closed += 1


class Reporter:
    def __init__(self) -> None:
        self.reported: list[tuple[int, str]] = []

    def report(self, record: SinkRecord, error: Exception) -> Future[None]:
        assert isinstance(error, DataError)
        self.reported.append((record.offset, str(error)))
        return Future()


class Context:
    def __init__(self) -> None:
        self.errant_record_reporter = Reporter()
        self.tables: dict[str, TableCounts] = {}

    def table_metrics(self, table: str) -> TableCounts:
        return self.tables.setdefault(table, TableCounts())


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that the sink makes, without making them."""
    made: list[float] = []
    monkeypatch.setattr(
        target_module, "time", SimpleNamespace(monotonic=time.monotonic, time=time.time, sleep=made.append)
    )
    return made


@pytest.fixture
def kudu(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> MemoryKudu:
    client = MemoryKudu()
    monkeypatch.setattr(task_module, "open_client", lambda settings: client)
    return client


@pytest.fixture
def start() -> Iterator[Callable[..., KuduSinkTask]]:
    tasks: list[KuduSinkTask] = []

    def start(props: dict[str, str] | None = None) -> KuduSinkTask:
        task: Any = KuduSinkTask()
        tasks.append(task)
        task.initialize(Context())
        task.start({"name": "k", "connector.class": "KuduSink", "topics": "t", "kudu.masters": "m"} | (props or {}))
        started: KuduSinkTask = task
        return started

    yield start
    for task in tasks:
        task.stop()


@pytest.fixture
def task(kudu: MemoryKudu, start: Callable[..., KuduSinkTask]) -> KuduSinkTask:
    return start()


def reported(task: KuduSinkTask) -> list[tuple[int, str]]:
    context: Any = task.context
    found: list[tuple[int, str]] = context.errant_record_reporter.reported
    return found


def record(offset: int, value: Any, topic: str = "t") -> SinkRecord:
    return SinkRecord(topic, 0, offset, None, value, [], 0)


def upsert(offset: int, topic: str = "t", **row: Any) -> SinkRecord:
    return record(offset, [RowChange("UPSERT", "", "", row)], topic)


async def test_put_stores_and_then_all_offsets_are_safe(kudu: MemoryKudu, task: KuduSinkTask) -> None:
    task.put([upsert(0, id=1, a="x"), record(1, None), record(2, []), record(3, {"id": 2, "a": "y"})])
    assert kudu.rows["t"] == {1: [1, b"x"], 2: [2, b"y"]}
    assert await task.pre_commit({PARTITION: 4}) == {PARTITION: 4}
    task.put([])
    assert await task.pre_commit({PARTITION: 9}) == {PARTITION: 9}


async def test_after_a_failure_only_what_was_stored_before_is_committed(kudu: MemoryKudu, task: KuduSinkTask) -> None:
    task.put([upsert(4, id=1)])
    kudu.faults = [FailureKind.TIMEOUT]
    with pytest.raises(RetriableError, match="table t: 1 of 1 rows failed: timeout"):
        task.put([upsert(5, id=2)])
    other = TopicPartition("t", 1)
    assert await task.pre_commit({PARTITION: 6, other: 1}) == {PARTITION: 5, other: 1}
    task.put([])  # the runtime may ask for nothing in between
    assert await task.pre_commit({PARTITION: 6}) == {PARTITION: 5}
    task.put([upsert(5, id=2)])
    assert await task.pre_commit({PARTITION: 6}) == {PARTITION: 6}


async def test_a_partition_that_came_new_commits_nothing_before_its_first_success(
    kudu: MemoryKudu, task: KuduSinkTask
) -> None:
    task.put([upsert(4, id=1)])
    task.close([PARTITION])
    kudu.faults = [FailureKind.UNAVAILABLE]
    with pytest.raises(RetriableError):
        task.put([upsert(6, id=3)])
    assert await task.pre_commit({PARTITION: 7}) == {}
    task.close([PARTITION])
    assert await task.pre_commit({PARTITION: 7}) == {PARTITION: 7}


def test_bad_records_are_reported_once_after_their_neighbours_are_stored(kudu: MemoryKudu, task: KuduSinkTask) -> None:
    bad = [
        upsert(0, id="x"),
        record(9, [{"id": 1}]),
        record(1, [RowChange("UPSERT", "", "", {"id": None})] * 3),
        record(2, "text"),
    ]
    records = [*bad, upsert(3, id=3), upsert(4, id=4)]
    kudu.faults = [FailureKind.TIMEOUT]
    with pytest.raises(RetriableError):
        task.put(records)
    assert reported(task) == []
    kudu.faults = [{1: FailureKind.INVALID}]
    task.put(records)
    assert kudu.rows["t"] == {3: [3, None]}
    assert [offset for offset, _ in sorted(reported(task))] == [0, 1, 2, 4, 9]
    assert dict(reported(task))[2] == "t-0@2: row changes are needed, not str; set value.converter to canal-json"
    assert dict(reported(task))[4] == "table t: invalid"


def test_many_records_go_in_parts_that_stay_in_order(kudu: MemoryKudu, task: KuduSinkTask) -> None:
    task.put([upsert(i, id=i % 1_500, a=str(i)) for i in range(4_000)])
    task.flush({})
    assert kudu.batches == [1_000] * 4
    assert kudu.rows["t"] == {i: [i, str(i + 3_000 if i < 1_000 else i + 1_500).encode()] for i in range(1_500)}


def test_a_write_that_timed_out_gets_time_to_arrive_before_newer_rows(
    kudu: MemoryKudu, task: KuduSinkTask, pauses: list[float]
) -> None:
    kudu.faults = [FailureKind.TIMEOUT]
    with pytest.raises(RetriableError):
        task.put([upsert(0, id=1)])
    assert pauses == []
    task.put([upsert(0, id=1)])
    assert pauses == [target_module.SETTLE_S]
    task.put([upsert(1, id=1)])
    assert pauses == [target_module.SETTLE_S]


def test_no_part_is_sent_after_one_that_failed(kudu: MemoryKudu, task: KuduSinkTask) -> None:
    kudu.faults = [{}, FailureKind.TIMEOUT]
    with pytest.raises(RetriableError):
        task.put([upsert(i, id=i) for i in range(5_000)])
    assert kudu.batches == [1_000, 1_000]


async def test_the_end_of_a_full_batch_is_on_its_way_when_put_returns(kudu: MemoryKudu, task: KuduSinkTask) -> None:
    go = threading.Event()
    kudu.before_write = go.wait
    task.put([upsert(i, id=i) for i in range(1_000)])
    assert kudu.batches == []
    go.set()
    assert await task.pre_commit({PARTITION: 1_000}) == {PARTITION: 1_000}
    assert len(kudu.rows["t"]) == 1_000


async def test_what_an_earlier_put_left_is_stored_before_anything_newer(kudu: MemoryKudu, task: KuduSinkTask) -> None:
    bad = upsert(999, id="x")
    kudu.faults = [FailureKind.TIMEOUT] * 3
    task.put([*(upsert(i, id=i, a="old") for i in range(999)), bad])
    assert await task.pre_commit({PARTITION: 1_000}) == {}
    newer = [upsert(1_000, id=1, a="new")]
    with pytest.raises(RetriableError):
        task.put(newer)
    with pytest.raises(RetriableError):
        task.flush({})
    assert (kudu.rows["t"], reported(task)) == ({}, [])
    task.put(newer)
    assert kudu.rows["t"][1] == [1, b"new"]
    assert len(kudu.rows["t"]) == 999
    assert [offset for offset, _ in reported(task)] == [999]
    assert await task.pre_commit({PARTITION: 1_001}) == {PARTITION: 1_001}


async def test_records_of_a_partition_that_left_are_given_up(kudu: MemoryKudu, task: KuduSinkTask) -> None:
    other = TopicPartition("t", 1)
    moved = [SinkRecord("t", 1, i, None, [RowChange("UPSERT", "", "", {"id": i})], [], 0) for i in (5_000, 5_001)]
    wrong = SinkRecord("t", 1, 5_002, None, "text", [], 0)
    kudu.faults = [FailureKind.TIMEOUT]
    task.put([*moved, wrong, *(upsert(i, id=i) for i in range(997))])
    task.close([other])
    with pytest.raises(RetriableError):
        task.flush({})
    assert await task.pre_commit({PARTITION: 997}) == {PARTITION: 997}
    assert set(kudu.rows["t"]) == set(range(997))
    assert reported(task) == []


def test_the_client_is_called_from_one_thread_only(kudu: MemoryKudu, task: KuduSinkTask) -> None:
    task.put([upsert(0, id=1, b="x")])
    assert len(kudu.threads) == 1
    assert threading.current_thread().name not in kudu.threads


@pytest.mark.parametrize("kind", [FailureKind.SCHEMA_CHANGED, FailureKind.NOT_FOUND])
def test_a_changed_table_is_opened_again_and_the_batch_mapped_anew(
    kudu: MemoryKudu, task: KuduSinkTask, kind: FailureKind
) -> None:
    kudu.tables["t"] = (*COLUMNS[:1], ColumnSpec("b", "INT32", nullable=True))
    kudu.faults = [kind]
    task.put([upsert(0, id=1, b="7", a="x")])
    assert kudu.rows["t"] == {1: [1, 7]}
    kudu.faults = [kind, kind]
    with pytest.raises(RetriableError):
        task.put([upsert(1, id=1)])


def test_parts_that_were_mapped_before_the_change_are_mapped_anew(kudu: MemoryKudu, task: KuduSinkTask) -> None:
    def change() -> None:
        kudu.tables["t"] = COLUMNS[:1]

    kudu.before_write = change
    kudu.faults = [FailureKind.SCHEMA_CHANGED]
    task.put([upsert(i, id=i, a="x") for i in range(2_500)])
    task.flush({})
    assert list(kudu.rows["t"].values()) == [[i] for i in range(2_500)]


def test_a_table_that_is_gone_ends_the_task(kudu: MemoryKudu, task: KuduSinkTask) -> None:
    kudu.tables.clear()
    kudu.faults = [FailureKind.NOT_FOUND]
    with pytest.raises(FatalError, match="table t: Not found"):
        task.put([upsert(0, id=1)])


def test_a_mapping_that_fits_no_more_ends_the_task(kudu: MemoryKudu, start: Callable[..., KuduSinkTask]) -> None:
    task = start({"topic.t.t.mapping": "id=value.id, a=value.a"})
    kudu.tables["t"] = COLUMNS[:1]
    kudu.faults = [FailureKind.SCHEMA_CHANGED]
    with pytest.raises(FatalError, match="has no column a"):
        task.put([upsert(0, id=1)])


@pytest.mark.parametrize("kind", [FailureKind.NOT_AUTHORIZED, FailureKind.FATAL])
def test_refused_access_ends_the_task(kudu: MemoryKudu, task: KuduSinkTask, kind: FailureKind) -> None:
    kudu.faults = [kind]
    with pytest.raises(FatalError, match=kind.value):
        task.put([upsert(0, id=1)])


def test_a_new_field_makes_the_sink_look_at_the_table_once(kudu: MemoryKudu, task: KuduSinkTask) -> None:
    for offset in range(3):
        task.put([upsert(offset, id=1, other="x")])
    assert kudu.opened == 2
    kudu.tables["t"] = (*COLUMNS, ColumnSpec("b", "INT32", nullable=True))
    task.put([upsert(9, id=2, other="x", b="7")])
    assert kudu.opened == 3
    assert kudu.rows["t"] == {1: [1, None], 2: [2, None, 7]}


def test_a_column_added_for_a_field_that_was_left_out_is_found_without_a_restart(
    kudu: MemoryKudu, start: Callable[..., KuduSinkTask]
) -> None:
    task = start({"kudu.schema.refresh.ms": "0"})
    task.put([upsert(0, id=1, b="6")])
    kudu.tables["t"] = (*COLUMNS, ColumnSpec("b", "INT32", nullable=True))
    task.put([upsert(1, id=2, b="7")])
    assert kudu.rows["t"] == {1: [1, None], 2: [2, None, 7]}


def canal(offset: int, topic: str = "t", **row: Any) -> SinkRecord:
    types = {"id": "int unsigned", "a": "varchar(9)", "at": "datetime(3)", "price": "decimal(9,2)", "b": "int"}
    kinds = {name: types[name] for name in row}
    change = RowChange("INSERT", "m", "t", row, key=("id",), ts_us=1_000, mysql_type=kinds)
    return record(offset, [change], topic)


def test_a_missing_table_is_created_from_the_first_message(
    kudu: MemoryKudu, start: Callable[..., KuduSinkTask]
) -> None:
    del kudu.tables["t"]
    props = {"topic.t.t.partition.hash": "id : 3", "topic.t.t.partition.range": "id: 5, 9"}
    task = start(props | {"auto.create": "true", "auto.create.replicas": "1"})
    task.put([upsert(0, id=0), canal(1, a="x", id="1", price="1.5")])
    assert kudu.tables["t"] == (
        ColumnSpec("id", "INT64", key=True),
        ColumnSpec("a", "STRING", nullable=True),
        ColumnSpec("price", "DECIMAL", nullable=True, precision=9, scale=2),
    )
    assert kudu.layouts == [Layout(("id",), 3, "id", (5, 9), 1)]
    assert kudu.rows["t"] == {0: [0, None, None], 1: [1, b"x", 150]}


def test_messages_without_types_are_refused_until_there_is_a_table(
    kudu: MemoryKudu, start: Callable[..., KuduSinkTask]
) -> None:
    del kudu.tables["t"]
    task = start({"auto.create": "true"})
    task.put([upsert(0, id=0)])
    assert reported(task)[0][1].startswith("table t does not exist, and auto.create needs a Canal message with pkNames")
    task.put([canal(1, id="1")])
    task.put([upsert(2, id=2)])
    assert kudu.rows["t"] == {1: [1], 2: [2]}
    assert kudu.layouts == [Layout(("id",), 4)]


def test_a_table_that_another_task_created_is_taken(kudu: MemoryKudu, start: Callable[..., KuduSinkTask]) -> None:
    columns = kudu.tables.pop("t")
    task = start({"auto.create": "true"})
    kudu.tables["t"] = columns
    task.put([canal(0, id="1", a="x")])
    assert kudu.rows["t"] == {1: [1, b"x"]}


def test_a_partition_of_what_is_no_key_ends_the_task(kudu: MemoryKudu, start: Callable[..., KuduSinkTask]) -> None:
    del kudu.tables["t"]
    task = start({"auto.create": "true", "topic.t.t.partition.hash": "a: 2"})
    with pytest.raises(FatalError, match="cannot be partitioned by a: its key columns are id"):
        task.put([canal(0, id="1", a="x")])


def test_a_missing_column_is_added_where_the_message_tells_its_type(
    kudu: MemoryKudu, start: Callable[..., KuduSinkTask]
) -> None:
    task = start({"auto.evolve": "true"})
    task.put([canal(0, id="1", a="x"), canal(1, id="2", b="7"), upsert(2, id=3, unknown=1)])
    assert kudu.tables["t"] == (*COLUMNS, ColumnSpec("b", "INT32", nullable=True))
    assert kudu.rows["t"] == {1: [1, b"x", None], 2: [2, None, 7], 3: [3, None, None]}


def test_what_happened_to_a_table_is_counted(kudu: MemoryKudu, task: KuduSinkTask) -> None:
    kudu.faults = [FailureKind.TIMEOUT, {1: FailureKind.INVALID}]
    records = [canal(0, id="1"), canal(1, id="x"), canal(2, id="2")]
    with pytest.raises(RetriableError):
        task.put(records)
    task.put(records)
    context: Any = task.context
    counts = context.tables["t"]
    assert (counts.rows, counts.requests, counts.rows_again, counts.dead_letters) == (1, 2, 3, 2)
    assert counts.age_s > 1e9


def test_one_topic_may_go_to_several_tables_and_names_may_hold_dots(
    kudu: MemoryKudu, start: Callable[..., KuduSinkTask]
) -> None:
    kudu.tables |= {"m.m_pojo": COLUMNS, "other": COLUMNS}
    task = start(
        {
            "topics": "m.pojo, m.pojo.enriched",
            "topic.m.pojo.enriched.m.m_pojo.mapping": "id=value.no",
            "topic.m.pojo.enriched.m.m_pojo.mode": "upsert",
            "topic.m.pojo.enriched.other.deletes.enabled": "false",
            "topic.m.pojo.t.mode": "insert-ignore",
        }
    )
    task.put([upsert(0, "m.pojo.enriched", no=1, id=2), upsert(0, "m.pojo", id=3)])
    assert kudu.rows == {"m.m_pojo": {1: [1, None]}, "other": {2: [2, None]}, "t": {3: [3, None]}}


def test_topics_of_a_pattern_are_opened_when_they_come(kudu: MemoryKudu, start: Callable[..., KuduSinkTask]) -> None:
    task = start({"topics": "", "topics.regex": "t|x.*", "topic.x.1.t.mode": "upsert"})
    task.put([upsert(0, id=1), upsert(0, "x.1", id=2)])
    assert kudu.rows["t"] == {1: [1, None], 2: [2, None]}


def test_all_faults_are_told_at_the_start(kudu: MemoryKudu, start: Callable[..., KuduSinkTask]) -> None:
    with pytest.raises(ConfigError) as raised:
        start({"topics": "t,gone", "topic.t.t.mapping": "a=value.a, x=value.x"})
    lines = str(raised.value).splitlines()
    assert [line.partition(": ")[0] for line in lines][:1] == ["Option topic.t.t.mapping"]
    assert any("no column x" in line for line in lines)
    assert any("key column id is not mapped" in line for line in lines)
    assert any("table gone" in line for line in lines)


def test_a_start_that_failed_can_be_tried_again(
    kudu: MemoryKudu, start: Callable[..., KuduSinkTask], monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(settings: Any) -> Any:
        raise RetriableError("no Kudu master answers")

    task = start()
    with monkeypatch.context() as patch:
        patch.setattr(task_module, "open_client", down)
        with pytest.raises(RetriableError, match="no Kudu master"):
            task.start({"topics": "t", "kudu.masters": "m"})
    assert kudu.closed == 1
    task.start({"topics": "t", "kudu.masters": "m"})
    task.put([upsert(0, id=1)])
    task.stop()
    task.stop()
    assert kudu.closed == 2
