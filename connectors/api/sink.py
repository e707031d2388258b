"""The contract of sink plugins."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from typing import Any, Protocol

from connectors.api.connector import Connector, Task
from connectors.api.record import SinkRecord, TopicPartition

__all__ = ["ErrantRecordReporter", "SinkConnector", "SinkTask", "SinkTaskContext", "TableMetrics"]


class ErrantRecordReporter(Protocol):
    """Takes the records that the target refused for good."""

    def report(self, record: SinkRecord, error: Exception) -> Future[None]:
        """Send a record to the dead-letter topic.

        May be called from any thread. The runtime waits for these futures before it commits offsets, so a sink need
        not.

        Args:
            record: The record as `put` got it.
            error: Why it cannot be stored.

        Returns:
            Done when the dead letter is durable; fails with `error` where `errors.tolerance` is none.
        """


class TableMetrics(Protocol):
    """Takes what a sink tells about one table; the worker shows it under `/metrics`. May be called from any thread."""

    def stored(self, rows: int, age_s: float | None = None) -> None:
        """Count rows that became durable.

        Args:
            rows: How many.
            age_s: Seconds since the newest of them changed in the source, where that is known.
        """

    def answered(self, seconds: float) -> None:
        """Count a request, which may hold many rows, that the target answered after so many seconds."""

    def retried(self, rows: int) -> None:
        """Count rows that are sent again after a failure that passes."""

    def refused(self, rows: int) -> None:
        """Count rows that went to the dead letters."""


class SinkTaskContext(Protocol):
    """What a sink task may ask of the runtime."""

    @property
    def connector(self) -> str:
        """Name of the connector."""

    @property
    def errant_record_reporter(self) -> ErrantRecordReporter:
        """Where refused records go."""

    def table_metrics(self, table: str) -> TableMetrics:
        """Return the series of a table of the target; made at the first call."""

    def configs(self) -> dict[str, str]:
        """Return the task's present configuration, secrets resolved."""

    def assignment(self) -> set[TopicPartition]:
        """Return the partitions that the task has now."""

    def offset(self, partition: TopicPartition, offset: int) -> None:
        """Have the partition read again from `offset`."""

    def timeout(self, timeout_ms: int) -> None:
        """Wait this long before the same batch is put again after a `RetriableError`."""

    def pause(self, *partitions: TopicPartition) -> None:
        """Deliver nothing of these partitions until `resume`."""

    def resume(self, *partitions: TopicPartition) -> None:
        """Deliver these partitions again."""

    def request_commit(self) -> None:
        """Ask for a commit soon."""


class SinkConnector(Connector):
    """A connector whose tasks are `SinkTask`s."""

    def alter_offsets(self, props: Mapping[str, str], offsets: Mapping[TopicPartition, int | None]) -> Any:
        """Learn that a user is about to change the group's offsets; the connector is stopped and was not started.

        Args:
            props: The connector's configuration, secrets resolved.
            offsets: Partitions and their new offsets; None: to be forgotten.

        Returns:
            Whether the plugin keeps offsets of its own and has changed those; the default is False.

        Raises:
            ConnectError: These offsets make no sense; nothing is changed, and the user sees the sentence.
        """
        del props, offsets
        return False


class SinkTask(Task):
    """Writes a target.

    The life of a sink task:
        1. `initialize(context)`, `start(props)`.
        2. `open(partitions)` for the partitions that the task was given.
        3. `put(records)`, again and again; `records` may be empty. `put` may return before the records are stored.
        4. `pre_commit(offsets)` from time to time: return the offsets up to which everything is durable in the
           target. What it returns is committed, so it must never run ahead of the target.
        5. `close(partitions)` for those that were taken away, after a last `pre_commit`.
        6. `stop()`.

    After a crash, everything since the last commit is put again: a target write must be idempotent.
    """

    context: SinkTaskContext

    def initialize(self, context: SinkTaskContext) -> None:
        """Receive the runtime's context. Called once, before `start`."""
        self.context = context

    def open(self, partitions: Collection[TopicPartition]) -> Any:
        """Prepare for partitions that were assigned."""
        return

    @abstractmethod
    def put(self, records: list[SinkRecord]) -> Any:
        """Store records, in order for each key.

        Raises:
            RetriableError: The target is out of reach for now; the same records are put again after a back-off.
            DataError: Not for single records: report those to `context.errant_record_reporter`.
        """

    def flush(self, offsets: Mapping[TopicPartition, int]) -> Any:
        """Wait until everything put so far is durable.

        Args:
            offsets: For each partition, the offset after the last record that was put.
        """
        return

    async def pre_commit(self, offsets: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        """Return the offsets that are safe to commit; an empty mapping skips this commit.

        The default flushes and returns `offsets`.
        """
        result = self.flush(offsets)
        if hasattr(result, "__await__"):
            await result
        return offsets

    def close(self, partitions: Collection[TopicPartition]) -> Any:
        """Forget partitions that were taken away."""
        return
