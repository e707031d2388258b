"""Drives a sink without Kafka."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from connectors.api.record import SinkRecord, TopicPartition
from connectors.api.sink import SinkConnector, SinkTask
from connectors.testing.calls import call, planned

__all__ = ["Reporter", "SinkHarness", "TableCounts"]


class Reporter:
    """Keeps the records that the sink refused.

    Attributes:
        letters: Pairs of record and error.
    """

    def __init__(self) -> None:
        self.letters: list[tuple[SinkRecord, Exception]] = []

    def report(self, record: SinkRecord, error: Exception) -> Future[None]:
        """Keep a record; durable at once."""
        self.letters.append((record, error))
        done: Future[None] = Future()
        done.set_result(None)
        return done


class TableCounts:
    """What a sink told about one table."""

    def __init__(self) -> None:
        self.rows = self.requests = self.rows_again = self.dead_letters = 0
        self.age_s: float | None = None

    def stored(self, rows: int, age_s: float | None = None) -> None:
        """Count rows that became durable."""
        self.rows += rows
        self.age_s = age_s

    def answered(self, seconds: float) -> None:
        """Count a request."""
        self.requests += 1

    def retried(self, rows: int) -> None:
        """Count rows that are sent again."""
        self.rows_again += rows

    def refused(self, rows: int) -> None:
        """Count rows that went to the dead letters."""
        self.dead_letters += rows


class _Context:
    def __init__(self, props: dict[str, str], reporter: Reporter) -> None:
        self.connector = "conformance"
        self.errant_record_reporter = reporter
        self.partitions: set[TopicPartition] = set()
        self.rewinds: dict[TopicPartition, int] = {}
        self.paused: set[TopicPartition] = set()
        self.commits_requested = 0
        self.tables: dict[str, TableCounts] = {}
        self._props = props

    def table_metrics(self, table: str) -> TableCounts:
        return self.tables.setdefault(table, TableCounts())

    def configs(self) -> dict[str, str]:
        return dict(self._props)

    def assignment(self) -> set[TopicPartition]:
        return set(self.partitions)

    def offset(self, partition: TopicPartition, offset: int) -> None:
        self.rewinds[partition] = offset

    def timeout(self, timeout_ms: int) -> None:
        """Nothing waits here."""

    def pause(self, *partitions: TopicPartition) -> None:
        self.paused |= set(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        self.paused -= set(partitions)

    def request_commit(self) -> None:
        self.commits_requested += 1


class SinkHarness:
    """One sink connector with one task.

    Args:
        connector: The plugin.
        props: Its own options, as text.
        partitions: What the task is given at the start.

    Attributes:
        put_offsets: The offset after the last record that was put, by partition.
        committed: What `pre_commit` said is durable.
        reporter: The records that the sink refused.
    """

    def __init__(
        self,
        connector: type[SinkConnector],
        props: Mapping[str, str],
        partitions: Collection[TopicPartition],
    ) -> None:
        self._connector = connector
        self._props = dict(props)
        self._partitions = set(partitions)
        self.put_offsets: dict[TopicPartition, int] = {}
        self.committed: dict[TopicPartition, int] = {}
        self.reporter = Reporter()
        self.task: SinkTask | None = None

    async def __aenter__(self) -> SinkHarness:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Plan, start the task, open its partitions."""
        (planned_props, *_) = await planned(self._connector, self._props, 1)
        # As the runtime does it: a sink is told its topics.
        props = {"topics": ",".join(sorted({place.topic for place in self._partitions}))} | planned_props
        task = self._connector.task_class()()
        assert isinstance(task, SinkTask)
        self.context = _Context(props, self.reporter)
        task.initialize(self.context)
        self.task = task
        await call(task.start, props)
        self.context.partitions = set(self._partitions)
        await call(task.open, set(self._partitions))

    async def put(self, records: Sequence[SinkRecord]) -> None:
        """Put a batch."""
        await call(self._running.put, list(records))
        for record in records:
            self.put_offsets[record.topic_partition] = record.offset + 1

    async def commit(self) -> dict[TopicPartition, int]:
        """Ask what is durable and keep it as committed.

        Raises:
            AssertionError: The plugin says that more is durable than was put.
        """
        answer = dict(await call(self._running.pre_commit, dict(self.put_offsets)) or {})
        for partition, offset in answer.items():
            assert offset <= self.put_offsets.get(partition, -1), (
                f"pre_commit says that {partition} is durable up to {offset};"
                f" only what is below {self.put_offsets.get(partition)} was put"
            )
        self.committed |= answer
        return answer

    async def stop(self) -> None:
        """Commit a last time, close the partitions, stop."""
        if self.task is None:
            return
        await self.commit()
        task, self.task = self.task, None
        await call(task.close, set(self._partitions))
        await call(task.stop)

    def crash(self) -> None:
        """Leave the task without a word, as a killed process does; what was put and not committed comes again."""
        self.task = None
        self.put_offsets = dict(self.committed)

    @property
    def _running(self) -> Any:
        assert self.task is not None, "start() comes first"
        return self.task
