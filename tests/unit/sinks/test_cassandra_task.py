"""When rows are sent, sent again and reported, with batches that the test plays."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC
from types import SimpleNamespace
from typing import Any

import pytest

from connectors.api.errors import DataError, FatalError, RetriableError
from connectors.api.record import SinkRecord
from connectors.clients.cassandra import SchemaChangedError, TableSchema, Write
from connectors.formats.canal import RowChange
from connectors.sinks.cassandra import CassandraSinkTask
from connectors.sinks.cassandra.config import TableOptions
from connectors.sinks.cassandra.plan import TablePlan
from connectors.testing.sink_harness import TableCounts

SCHEMA = TableSchema("k", "t", {"id": "text", "n": "int"}, ("id",))


class Batches:
    """Keeps what is submitted; the test answers."""

    def __init__(self) -> None:
        self.waiting: list[tuple[list[Write], asyncio.Future[dict[int, BaseException]]]] = []

    def submit_all(self, writes: Sequence[Write]) -> asyncio.Future[dict[int, BaseException]]:
        self.waiting.append((list(writes), asyncio.get_running_loop().create_future()))
        return self.waiting[-1][1]

    def answer(self, **errors: BaseException) -> list[str]:
        """Answer the oldest; an error for each key named. Returns the keys that were submitted."""
        writes, future = self.waiting.pop(0)
        keys = [write.key[0].decode() for write in writes]
        future.set_result({keys.index(key): error for key, error in errors.items()})
        return keys


class Tables:
    """One table, as it is."""

    def __init__(self) -> None:
        self.opened = 0
        self.plan = TablePlan(TableOptions("a", "k", "t"), SCHEMA, UTC)

    def of(self, topic: str) -> list[TablePlan]:
        return [self.plan]

    async def open(self) -> None:
        self.opened += 1

    async def keep_up(self) -> None:
        return

    async def create(self, topics: Any, rows: Any) -> None:
        return

    async def learn(self, topics: Any, types: Any) -> bool:
        return False


class Context:
    """What the task asks of the runtime."""

    def __init__(self) -> None:
        self.reported: list[tuple[int, str]] = []
        self.errant_record_reporter = self
        self.table = TableCounts()

    def table_metrics(self, table: str) -> TableCounts:
        return self.table

    def report(self, record: SinkRecord, error: Exception) -> Future[None]:
        self.reported.append((record.offset, str(error)))
        return Future()


@pytest.fixture
def played() -> Any:
    """A task whose client the test plays."""
    task = CassandraSinkTask()
    context, batches, tables = Context(), Batches(), Tables()
    task.initialize(context)  # type: ignore[arg-type]
    task._batches, task._tables, task._stale = batches, tables, False  # type: ignore[assignment]
    return SimpleNamespace(task=task, context=context, batches=batches, tables=tables)


def records(*keys: str, first: int = 0) -> list[SinkRecord]:
    return [
        SinkRecord("a", 0, first + i, None, [RowChange("UPSERT", "", "", {"id": key, "n": 1}, ts_us=first + i)], [], 0)
        for i, key in enumerate(keys)
    ]


async def test_a_put_returns_while_its_rows_are_under_way_and_a_flush_waits(played: Any) -> None:
    await played.task.put(records("x", "y"))
    flushing = asyncio.ensure_future(played.task.flush({}))
    await asyncio.sleep(0)
    assert not flushing.done()
    assert played.batches.answer() == ["x", "y"]
    await flushing
    assert (played.context.table.rows, played.context.reported) == (2, [])


async def test_the_third_put_waits_for_the_first(played: Any) -> None:
    for key in "xy":
        await played.task.put(records(key))
    third = asyncio.ensure_future(played.task.put(records("z")))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not third.done()
    played.batches.answer()
    await third
    assert [played.batches.answer(), played.batches.answer()] == [["y"], ["z"]]


async def test_only_what_failed_is_sent_again(played: Any) -> None:
    await played.task.put(records("x", "y", "z"))
    played.batches.answer(y=RetriableError("down"))
    with pytest.raises(RetriableError, match="down"):
        await played.task.flush({})
    flushing = asyncio.ensure_future(played.task.flush({}))
    await asyncio.sleep(0)
    assert played.batches.answer() == ["y"]
    await flushing
    assert (played.context.table.rows, played.context.table.rows_again) == (3, 1)


async def test_nothing_counts_as_durable_after_a_flush_that_failed(played: Any) -> None:
    """A partition that stays may be committed next, without its records being read again."""
    await played.task.put(records("x"))
    for _ in range(3):
        flushing = asyncio.ensure_future(played.task.pre_commit({}))
        await asyncio.sleep(0)
        played.batches.answer(x=RetriableError("down"))
        with pytest.raises(RetriableError):
            await flushing


async def test_a_flush_that_was_given_up_leaves_the_rows_under_way(played: Any) -> None:
    """The runtime gives up a call that takes too long at a stop, and asks once more before it leaves."""
    await played.task.put(records("x"))
    given_up = asyncio.ensure_future(played.task.flush({}))
    await asyncio.sleep(0)
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    again = asyncio.ensure_future(played.task.flush({}))
    await asyncio.sleep(0)
    assert not again.done()
    played.batches.answer()
    await again
    assert played.context.table.rows == 1


async def test_a_refused_row_is_reported_once_and_after_all_others_are_durable(played: Any) -> None:
    await played.task.put(records("x", "y"))
    played.batches.answer(x=DataError("refused"), y=RetriableError("down"))
    with pytest.raises(RetriableError):
        await played.task.flush({})
    assert played.context.reported == []
    flushing = asyncio.ensure_future(played.task.flush({}))
    await asyncio.sleep(0)
    assert played.batches.answer() == ["y"]
    await flushing
    assert played.context.reported == [(0, "refused")]
    assert played.context.table.dead_letters == 1


async def test_a_changed_schema_is_read_and_the_rows_are_planned_again(played: Any) -> None:
    await played.task.put(records("x", "y"))
    played.batches.answer(y=SchemaChangedError("undefined column"))
    with pytest.raises(RetriableError):
        await played.task.flush({})
    flushing = asyncio.ensure_future(played.task.flush({}))
    for _ in range(5):
        await asyncio.sleep(0)
    assert played.tables.opened == 1
    assert played.batches.answer() == ["x", "y"]
    await flushing


async def test_an_error_that_stays_comes_before_one_that_passes(played: Any) -> None:
    await played.task.put(records("x", "y"))
    played.batches.answer(x=RetriableError("down"), y=FatalError("broken"))
    with pytest.raises(FatalError, match="broken"):
        await played.task.flush({})


async def test_two_changes_of_one_row_and_time_become_one_write(played: Any) -> None:
    both = records("x", "x")
    both[1].value[0].ts_us = 0
    both[1].value[0].row = {"id": "x", "n": 2}
    await played.task.put(both)
    [(writes, _)] = played.batches.waiting
    assert [write.cells for write in writes] == [[b"x", (2).to_bytes(4, "big")]]


async def test_a_bad_row_beside_good_ones(played: Any) -> None:
    some = records("x", "y", "z")
    some[1].value[0].row["n"] = "many"
    await played.task.put(some)
    assert played.batches.answer() == ["x", "z"]
    await played.task.flush({})
    [(offset, text)] = played.context.reported
    assert (offset, "k.t.n: 'many' is no int" in text) == (1, True)
