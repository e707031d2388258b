"""The task of `CassandraSink`: row changes in, durable rows out."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, Final

from connectors.api.connector import Props
from connectors.api.errors import DataError, RetriableError
from connectors.api.record import SinkRecord
from connectors.api.sink import SinkTask
from connectors.clients.cassandra import CassandraClient, SchemaChangedError, Write, WriteBatches
from connectors.formats.canal import RowChange, changes_of
from connectors.sinks.cassandra.config import SinkSettings, parse_settings
from connectors.sinks.cassandra.flight import Clock, Collected, Flight, set_order
from connectors.sinks.cassandra.tables import Tables

__all__ = ["CassandraSinkTask"]

Changes = dict[int, tuple[SinkRecord, list[RowChange]]]
"""The place of a record in its batch, to the record and its changes; records without any are left out."""

_ROWS_A_TURN: Final = 200
"""So many rows are planned before others get a turn of the event loop: a few milliseconds."""

_FLIGHTS: Final = 2
"""So many batches of records are under way while the next one is read and planned; the server never runs dry then."""


class CassandraSinkTask(SinkTask):
    """Writes the changes of its partitions.

    Every write and delete carries the change's place in the order as its timestamp, so a replay, a duplicate or another
    order of arrival ends in the same rows. Rows are sent while the next records are read and planned; a `put` waits
    when two before it are under way still, and every commit waits until all are durable by the consistency level.
    """

    def __init__(self) -> None:
        self._settings: SinkSettings | None = None
        self._client: CassandraClient | None = None
        self._batches: WriteBatches | None = None
        self._tables: Tables | None = None
        self._stale = True
        self._flights: deque[Flight] = deque()
        self._clock: Clock = {}

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
            self._batches = WriteBatches(self._client, self._settings.batching, self._answered)
            self._tables = Tables(self._client, self._settings)
            await self._open_tables()
        except BaseException:
            await self._disconnect()
            raise

    async def stop(self) -> None:
        """Close the session; what is not durable was not committed."""
        self._flights.clear()
        await self._disconnect()

    def close(self, partitions: Any) -> None:
        """Forget the clocks of partitions that were taken away."""
        for partition in partitions:
            self._clock.pop(partition, None)

    async def put(self, records: list[SinkRecord]) -> None:
        """Send the changes of records, when not too many before them are under way.

        Raises:
            RetriableError: Cassandra is out of reach or the schema changed; putting the same records again is safe.
        """
        if not records:
            return
        flight = Flight(records, dict(self._clock), await self._collect(records, self._clock))
        while len(self._flights) >= _FLIGHTS:
            await self._land(self._flights[0])
        self._flights.append(flight)
        self._send(flight)

    async def flush(self, _offsets: Any) -> None:
        """Wait until all that was put is durable.

        Raises:
            RetriableError: It is not. What failed is kept: where the runtime goes on without reading it again, the next
                call sends it once more, and nothing is taken for durable before.
        """
        while self._flights:
            await self._land(self._flights[0])

    async def _land(self, flight: Flight) -> None:
        """Wait until the rows on their way are durable; those that failed are sent once more by the next call."""
        if flight.sending is None:
            await self._prepare(flight)
            self._send(flight)
        assert flight.sending is not None
        # Shielded: where the runtime gives this call up, the rows stay under way, and the next call waits for them.
        errors = await asyncio.shield(flight.sending)
        flight.sending = None
        failed = self._sort_out(flight, errors)
        if failed:
            raise next((error for error in failed if not isinstance(error, RetriableError)), failed[0])
        self._flights.popleft()
        self._report(flight)

    def _sort_out(self, flight: Flight, errors: dict[int, BaseException]) -> list[BaseException]:
        """Keep what must be sent again, note what was refused; returns the errors of the former."""
        assert flight.collected is not None
        sent, flight.left = flight.left, []
        failed = []
        for place, error in errors.items():
            write, indexes = sent[place]
            if isinstance(error, DataError):
                flight.collected.refuse(indexes, error, write.table.schema.label)
            else:
                flight.left.append(sent[place])
                failed.append(error)
        for table, rows in Counter(write.table.schema.label for write, _ in flight.left).items():
            self.context.table_metrics(table).retried(rows)
        if any(isinstance(error, SchemaChangedError) for error in failed):
            self._stale, flight.collected = True, None
        return failed

    async def _prepare(self, flight: Flight) -> None:
        """Plan the records again where the schema changed."""
        if flight.collected is None:
            flight.collected = await self._collect(flight.records, dict(flight.clock))
            flight.left = []

    def _send(self, flight: Flight) -> None:
        assert self._batches is not None
        assert flight.collected is not None
        flight.left = flight.left or list(flight.collected.writes.values())
        flight.sending = self._batches.submit_all([write for write, _ in flight.left])

    def _report(self, flight: Flight) -> None:
        """Count what is durable, report what cannot be stored.

        Dead letters go out when all else is durable: a batch that is sent again must not report a record twice.
        """
        assert flight.collected is not None
        age_s = time.time() - flight.newest_us() / 1e6
        for table, rows in flight.rows_by_table().items():
            self.context.table_metrics(table).stored(rows, age_s)
        for index, (error, table) in sorted(flight.collected.refused.items()):
            if table:
                self.context.table_metrics(table).refused(1)
            self.context.errant_record_reporter.report(flight.records[index], error)

    def _answered(self, writes: Sequence[Write], seconds: float) -> None:
        self.context.table_metrics(writes[0].table.schema.label).answered(seconds)

    async def _collect(self, records: list[SinkRecord], clock: Clock) -> Collected:
        """Plan the writes of records by the schema as it is."""
        assert self._tables is not None
        await (self._open_tables() if self._stale else self._tables.keep_up())
        collected = Collected()
        changes = _decode(records, clock, collected)
        topics = {record.topic for record, _ in changes.values()}
        await self._create_tables(topics, changes, collected)
        await self._plan_all(changes, collected)
        if await self._tables.learn(topics, _types(changes)):
            again = Collected()
            again.refused = {index: each for index, each in collected.refused.items() if index not in changes}
            await self._plan_all(changes, again)
            return again
        return collected

    async def _create_tables(self, topics: set[str], changes: Changes, collected: Collected) -> None:
        assert self._tables is not None
        rows = ((record.topic, change, record.key) for record, found in changes.values() for change in found)
        try:
            await self._tables.create(topics, rows)
        except DataError as error:
            # Without its table none of a topic's rows can be stored.
            collected.refuse(
                [index for index, (record, _) in changes.items() if not self._tables.of(record.topic)], error
            )

    async def _plan_all(self, changes: Changes, collected: Collected) -> None:
        rows = 0
        for index, (record, found) in changes.items():
            for start in range(0, len(found), _ROWS_A_TURN):
                part = found[start : start + _ROWS_A_TURN]
                self._plan(record, part, index, collected)
                rows += len(part)
                if rows >= _ROWS_A_TURN:
                    rows = 0
                    await asyncio.sleep(0)

    def _plan(self, record: SinkRecord, changes: list[RowChange], index: int, collected: Collected) -> None:
        """Plan the writes of a record; one that cannot be stored does not keep the others from being stored."""
        assert self._tables is not None
        plans = self._tables.of(record.topic)
        if not plans:
            option = f"topic.{record.topic}.<keyspace>.<table>.mapping"
            collected.refuse([index], DataError(f"topic {record.topic} has no table; set {option}"))
            return
        for change in changes:
            assert change.ts_us is not None
            for plan in plans:
                try:
                    collected.add(plan.writes(record, change, change.ts_us), index)
                except DataError as error:
                    collected.refuse([index], error, plan.schema.label)

    async def _open_tables(self) -> None:
        assert self._tables is not None
        await self._tables.open()
        self._stale = False

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def _decode(records: list[SinkRecord], clock: Clock, collected: Collected) -> Changes:
    decoded: Changes = {}
    for index, record in enumerate(records):
        try:
            changes = _changes(record)
        except DataError as error:
            collected.refuse([index], error)
            continue
        if changes:
            if changes[0].ts_us is None:
                set_order(record, changes, clock)
            decoded[index] = record, changes
    return decoded


def _types(changes: Changes) -> dict[str, str]:
    """Return the source's type texts of fields in the newest message that has some."""
    for _, found in reversed(changes.values()):
        if found[-1].mysql_type:
            return dict(found[-1].mysql_type)
    return {}


def _changes(record: SinkRecord) -> list[RowChange]:
    value = record.value
    if value is None:
        return []
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return changes_of(value, record.headers)
    raise DataError(f"a row is needed, not {type(value).__name__}; set value.converter to canal-json")
