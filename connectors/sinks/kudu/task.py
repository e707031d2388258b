"""The task of the Kudu sink."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

from connectors.api.errors import ConfigError, DataError, RetriableError
from connectors.api.record import SinkRecord, TopicPartition
from connectors.api.sink import SinkTask
from connectors.clients.kudu.backend import open_client
from connectors.clients.kudu.port import KuduClient
from connectors.formats.canal import RowChange, changes_of
from connectors.sinks.kudu.flight import Flight
from connectors.sinks.kudu.options import SinkOptions, TableOptions
from connectors.sinks.kudu.target import Batch, Changes, Refusal, Refused, Target

__all__ = ["KuduSinkTask"]

log = logging.getLogger(__name__)

Result = TypeVar("Result")

_RECORDS_A_FLUSH: Final = 1_000


class KuduSinkTask(SinkTask):
    """Stores row changes in Kudu.

    The client has a thread of its own: while it flushes one part of the records, the next part is mapped. There is
    never more than one flush under way, and a part is sent only when all before it are stored, so the writes of a
    key keep their order. After a full batch `put` returns while its last part is still on its way; the next `put`,
    `flush` or `pre_commit` waits for that one and sends it again where it failed.
    """

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._client: KuduClient | None = None
        self._targets: dict[str, list[Target]] = {}
        self._flight: Flight | None = None
        self._durable: dict[TopicPartition, int] = {}
        self._unsure: dict[TopicPartition, int] = {}

    def start(self, props: Mapping[str, str]) -> None:
        """Connect, open the tables and check all mappings against them."""
        self.stop()  # a start that failed before is tried again with the same object
        self._options = SinkOptions.of(props)
        errors = self._options.errors()
        if errors:
            raise ConfigError("\n".join(map(str, errors)), key=errors[0].key)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kudu")
        self._client = self._run(open_client, self._options.settings)
        self._open_targets(self._options.topics)

    def stop(self) -> None:
        """Disconnect; what is not durable was not committed."""
        thread, self._thread = self._thread, None
        client, self._client = self._client, None
        self._targets.clear()
        self._flight = None
        if thread is not None:
            with thread:
                if client is not None:
                    thread.submit(client.close).result()

    def put(self, records: list[SinkRecord]) -> None:
        """Store records; the last part of a full batch may still be on its way afterwards.

        Raises:
            RetriableError: Kudu is out of reach; nothing of these records is kept, so they are to be put again.
        """
        ends = {record.topic_partition: record.offset + 1 for record in records}
        self._unsure |= {partition: max(end, self._unsure.get(partition, 0)) for partition, end in ends.items()}
        self._open_targets({record.topic for record in records} - self._targets.keys())
        refused: Refused = {}
        own: Flight | None = None
        try:
            for start in range(0, len(records), _RECORDS_A_FLUSH):
                batches = self._map(records[start : start + _RECORDS_A_FLUSH], refused)
                self._land()
                own = self._flight = Flight(batches, refused)
                own.sending = self._submit(own.send)
            if own is not None:
                own.ends = ends
            if len(records) < _RECORDS_A_FLUSH:
                self._land()
        except BaseException:
            # Nothing may be under way when the same records are put again; those of an earlier put stay.
            if own is not None:
                own.settle()
                self._flight = None
            raise

    def flush(self, _: Mapping[TopicPartition, int]) -> None:
        """Wait until everything put so far is durable.

        Raises:
            RetriableError: It is not; the task keeps it, and the next call tries again.
        """
        self._land()

    async def pre_commit(self, offsets: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        """Return the offsets; for a partition with records that are not stored, the one after those that are."""
        try:
            await asyncio.to_thread(self._land)
        except RetriableError as error:
            log.warning("not durable, trying again: %s", error)
        safe = {partition: offset for partition, offset in offsets.items() if partition not in self._unsure}
        stored = {partition: self._durable[partition] for partition in offsets if partition in self._durable}
        return stored | safe

    def close(self, partitions: Collection[TopicPartition]) -> None:
        """Forget partitions; what was on its way has arrived, or been given up, when this returns."""
        if self._flight is not None:
            self._flight.settle()
            self._flight.forget(partitions)
        for partition in partitions:
            self._durable.pop(partition, None)
            self._unsure.pop(partition, None)

    def _land(self) -> None:
        """Wait until what is on its way is durable; what failed is sent once more by the next call.

        Dead letters of a put go out when all of it is durable: records that are put again must not be reported twice.
        """
        flight = self._flight
        if flight is None:
            return
        if flight.sending is None:
            flight.sending = self._submit(flight.send)
        try:
            flight.sending.result()
        except BaseException:
            flight.sending = None
            raise
        self._flight = None
        if flight.ends:
            self._report(flight.refused)
            self._note_stored(flight.ends)

    def _report(self, refused: Refused) -> None:
        for refusal in refused.values():
            self.context.errant_record_reporter.report(refusal.record, refusal.error)
            if refusal.metrics is not None:
                refusal.metrics.refused(1)

    def _note_stored(self, ends: Mapping[TopicPartition, int]) -> None:
        # Kudu acknowledged every row in the flushes above, or the row was handed to the dead letters, whose
        # delivery the runtime waits for before it commits.
        self._durable.update(ends)
        for partition, end in ends.items():
            if self._unsure[partition] <= end:
                del self._unsure[partition]

    def _map(self, records: list[SinkRecord], refused: Refused) -> list[tuple[Target, Batch]]:
        changes: dict[str, Changes] = {}
        for record in records:
            try:
                for change in _changes(record):
                    changes.setdefault(record.topic, []).append((record, change))
            except DataError as error:
                refused[id(record)] = Refusal(record, error)
        return [
            (target, self._batch(target, part)) for topic, part in changes.items() for target in self._targets[topic]
        ]

    def _batch(self, target: Target, changes: Changes) -> Batch:
        if target.wants_look(changes):
            self._run(target.look, changes)
        return target.batch(changes)

    def _open_targets(self, topics: Collection[str]) -> None:
        """Open the tables of topics, all errors at once."""
        errors = []
        for topic in topics:
            targets = []
            for options in self._options.tables_of(topic):
                try:
                    targets.append(self._run(self._target, options))
                except ConfigError as error:
                    errors.append(str(error))
            self._targets[topic] = targets
        if errors:
            for topic in topics:
                del self._targets[topic]
            raise ConfigError("\n".join(errors))

    def _target(self, options: TableOptions) -> Target:
        assert self._client is not None
        target = Target(self._client, options, self._options, self.context.table_metrics(options.table))
        target.open()
        return target

    def _run(self, function: Callable[..., Result], *arguments: Any) -> Result:
        return self._submit(function, *arguments).result()

    def _submit(self, function: Callable[..., Result], *arguments: Any) -> Future[Result]:
        assert self._thread is not None
        return self._thread.submit(function, *arguments)


def _changes(record: SinkRecord) -> list[RowChange]:
    """Return the changes in a record: none for a tombstone or DDL; an object of the json converter is one upsert."""
    value = record.value
    if isinstance(value, dict):
        value = changes_of(value, record.headers)
    if value is None:
        return []
    if not isinstance(value, list) or not set(map(type, value)) <= {RowChange}:
        kind = type(value).__name__
        raise DataError(f"{record.where}: row changes are needed, not {kind}; set value.converter to canal-json")
    return value
