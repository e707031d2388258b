"""The task of `CassandraSink`: row changes in, durable rows out."""

from __future__ import annotations

import asyncio
from typing import Any

from connectors.api.connector import Props
from connectors.api.errors import DataError, RetriableError
from connectors.api.record import SinkRecord, TopicPartition
from connectors.api.sink import SinkTask
from connectors.clients.cassandra import CassandraClient, SchemaChangedError, Write, WriteBatches
from connectors.formats.canal import RowChange, changes_of
from connectors.formats.temporal import zone_of
from connectors.sinks.cassandra.config import SinkSettings, parse_settings
from connectors.sinks.cassandra.plan import TablePlan, read_plans

__all__ = ["CassandraSinkTask"]


class CassandraSinkTask(SinkTask):
    """Writes the changes of its partitions.

    Every write and delete carries the change's place in the order as its timestamp, so a replay, a duplicate or another
    order of arrival ends in the same rows. `put` returns when all its rows are durable by the consistency level; that
    is why the offsets given to `pre_commit` are safe as they are.
    """

    def __init__(self) -> None:
        self._settings: SinkSettings | None = None
        self._client: CassandraClient | None = None
        self._batches: WriteBatches | None = None
        self._plans: dict[str, list[TablePlan]] | None = None
        # Timestamp (ms) and order (us) of the last record that carries no order of its own, for each partition.
        self._clocks: dict[TopicPartition, tuple[int, int]] = {}

    async def start(self, props: Props) -> None:
        """Connect and check the mappings against the live schema.

        Raises:
            RetriableError: No host answers.
            ConfigError: Options, credentials or mappings cannot be used; a line for each error.
        """
        self._settings = parse_settings(props)
        await self._disconnect()
        self._client = CassandraClient(self._settings.client)
        try:
            await self._client.connect()
            self._batches = WriteBatches(self._client, self._settings.batching)
            await self._read_plans()
        except BaseException:
            await self._disconnect()
            raise

    async def stop(self) -> None:
        """Close the session."""
        await self._disconnect()

    def close(self, partitions: Any) -> None:
        """Forget the clocks of partitions that were taken away."""
        for partition in partitions:
            self._clocks.pop(partition, None)

    async def put(self, records: list[SinkRecord]) -> None:
        """Store the changes of records; all of them are durable or reported when this returns.

        Raises:
            RetriableError: Cassandra is out of reach or the schema changed; putting the same records again is safe.
        """
        if self._plans is None:
            await self._read_plans()
        clocks = dict(self._clocks)
        collected = _Collected()
        try:
            for index, record in enumerate(records):
                self._collect(record, index, collected)
            await self._store(collected)
        except BaseException:
            self._clocks = clocks  # the same records, put again, get the same order again
            raise
        # Dead letters go out when all else is durable: a batch that is put again must not report a record twice.
        for index, error in sorted(collected.refused.items()):
            self.context.errant_record_reporter.report(records[index], error)

    async def _store(self, collected: _Collected) -> None:
        assert self._batches is not None
        writes = list(collected.writes.values())
        errors = await asyncio.gather(*[self._batches.submit(write) for write, _ in writes], return_exceptions=True)
        failed = []
        for (_, indexes), error in zip(writes, errors, strict=True):
            if isinstance(error, DataError):
                collected.refuse(indexes, error)
            elif error is not None:
                failed.append(error)
        if any(isinstance(error, SchemaChangedError) for error in failed):
            self._plans = None
        if failed:
            raise next((error for error in failed if not isinstance(error, RetriableError)), failed[0])

    def _collect(self, record: SinkRecord, index: int, collected: _Collected) -> None:
        """Plan the writes of a record; a row that cannot be stored does not keep the others from being stored."""
        assert self._plans is not None
        try:
            changes = _changes(record)
        except DataError as error:
            collected.refuse([index], error)
            return
        plans = self._plans.get(record.topic, [])
        if changes and not plans:
            option = f"topic.{record.topic}.<keyspace>.<table>.mapping"
            collected.refuse([index], DataError(f"topic {record.topic} has no table; set {option}"))
        clock = self._clock(record, len(changes)) if changes and changes[0].ts_us is None else 0
        for i, change in enumerate(changes):
            ts_us = clock + i if change.ts_us is None else change.ts_us
            for plan in plans:
                try:
                    collected.add(plan.writes(record, change, ts_us), index)
                except DataError as error:
                    collected.refuse([index], error)

    def _clock(self, record: SinkRecord, rows: int) -> int:
        """Return the order of a record without one: its timestamp, moved on within the same millisecond.

        Cassandra would merge two writes of a row at the same microsecond cell by cell.
        """
        first = record.timestamp_ms * 1000
        last_ms, last = self._clocks.get(record.topic_partition, (-1, -1))
        if record.timestamp_ms == last_ms or (record.timestamp_ms > last_ms and first <= last):
            first = last + 1
        self._clocks[record.topic_partition] = record.timestamp_ms, first + rows - 1
        return first

    async def _read_plans(self) -> None:
        assert self._client is not None
        assert self._settings is not None
        self._plans = await read_plans(self._client, self._settings.tables, zone_of(self._settings.time_zone))

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()


class _Collected:
    """The writes of a batch, and the records that cannot be stored, by their place in the batch."""

    def __init__(self) -> None:
        self.writes: dict[tuple[int, tuple[bytes, ...], int], tuple[Write, list[int]]] = {}
        self.refused: dict[int, DataError] = {}

    def add(self, writes: list[Write], index: int) -> None:
        for write in writes:
            where = (id(write.table), write.key, write.ts_us)
            before = self.writes.get(where)
            if before is None:
                self.writes[where] = write, [index]
            else:
                self.writes[where] = before[0].absorb(write), [*before[1], index]

    def refuse(self, indexes: list[int], error: DataError) -> None:
        for index in indexes:
            self.refused.setdefault(index, error)


def _changes(record: SinkRecord) -> list[RowChange]:
    value = record.value
    if value is None:
        return []
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return changes_of(value, record.headers)
    raise DataError(f"a row is needed, not {type(value).__name__}; set value.converter to canal-json")
