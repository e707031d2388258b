"""The pending table: requests in flight, kept in a compacted changelog co-partitioned with the input.

The changelog is named and laid out as Faust's tables are (`<app>-<table>-changelog`), but read here, partition by
partition, with librdkafka. Faust's own recovery replays 6,800 records/s, waits for ever where compaction took the last
record away, and holds the table in memory on every worker; see docs/decisions.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import confluent_kafka as ck

from connectors.api.errors import DataError, RetriableError
from tables.pending_row import PendingRow

__all__ = ["CHANGELOG_CONFIG", "PendingRow", "PendingTable", "Restored", "UnreadableRow", "pending_table"]

log = logging.getLogger(__name__)

CHANGELOG_CONFIG: Final[dict[str, str]] = {
    "cleanup.policy": "compact",
    # Rows live for seconds: compaction has to follow soon, or recovery reads what is long done.
    "segment.ms": "600000",
    "segment.bytes": str(64 << 20),
    "min.cleanable.dirty.ratio": "0.1",
    "delete.retention.ms": "600000",
}

_FATAL: Final = frozenset({ck.KafkaError.UNKNOWN_TOPIC_OR_PART, ck.KafkaError._UNKNOWN_PARTITION})
_POLL_S: Final = 0.5
_ENDS_S: Final = 15.0
_PATIENCE_S: Final = 3.0


class _App(Protocol):
    conf: Any


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A row of the changelog that nobody can make sense of.

    Attributes:
        topic: Topic of the changelog.
        partition: Partition of the changelog.
        offset: Offset in the changelog.
        key: Key of the row.
        value: Value of the row.
        error: What is wrong with it.
    """

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    error: DataError


@dataclass(slots=True)
class Restored:
    """What the changelog of one partition holds.

    Attributes:
        rows: Pending requests in the order of their offsets.
        unreadable: Rows that could not be read.
    """

    rows: list[PendingRow] = field(default_factory=list)
    unreadable: list[UnreadableRow] = field(default_factory=list)


class PendingTable:
    """Changelog of the pending requests of one stage. Writing is the stage's: it owns the producer and the order.

    Args:
        topic: Name of the changelog topic.
        client: Connection options for librdkafka.
    """

    def __init__(self, topic: str, client: Mapping[str, Any]) -> None:
        self.topic = topic
        self._client = dict(client)

    def restore(
        self, partitions: Collection[int], stop: threading.Event, on_wait: Callable[[], None] | None = None
    ) -> dict[int, Restored]:
        """Read partitions of the changelog to their present end. Blocks; to be called in a thread.

        Args:
            partitions: Which.
            stop: Set from elsewhere to give up early; the result is then of no use.
            on_wait: Called once if the end is not reached for seconds, as a transaction is open there; may end it.

        Raises:
            RetriableError: Kafka refuses, e.g. because the topic is gone.
        """
        latest: dict[int, dict[bytes, tuple[int, bytes]]] = {partition: {} for partition in partitions}
        consumer = self._consumer(f"{self.topic}-restore")
        try:
            ends = self._ends(partitions)
            consumer.assign([ck.TopicPartition(self.topic, p, ck.OFFSET_BEGINNING) for p in partitions])
            self._read(consumer, latest, ends, stop, on_wait)
        finally:
            consumer.close()
        return {partition: _decode(self.topic, partition, rows) for partition, rows in latest.items()}

    def _consumer(self, group: str) -> ck.Consumer:
        return ck.Consumer(
            {
                **self._client,
                "group.id": group,  # librdkafka wants one; nothing is ever committed or joined
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "queued.max.messages.kbytes": 8192,
            }
        )

    def _ends(self, partitions: Collection[int]) -> dict[int, int]:
        # The broker's end, not the end of what is committed: an open transaction of the former owner may still commit
        # rows that lie between the two.
        options = {**self._client, "group.id": f"{self.topic}-restore", "isolation.level": "read_uncommitted"}
        consumer = ck.Consumer(options)
        try:
            return {
                number: consumer.get_watermark_offsets(ck.TopicPartition(self.topic, number), timeout=_ENDS_S)[1]
                for number in partitions
            }
        except ck.KafkaException as error:
            raise RetriableError(f"pending changelog {self.topic}: {error.args[0].str()}") from None
        finally:
            consumer.close()

    def _read(
        self,
        consumer: ck.Consumer,
        latest: dict[int, dict[bytes, tuple[int, bytes]]],
        ends: Mapping[int, int],
        stop: threading.Event,
        on_wait: Callable[[], None] | None,
    ) -> None:
        unfinished = {number for number in latest if ends[number] > 0}
        patience = time.monotonic() + _PATIENCE_S
        while unfinished and not stop.is_set():
            if on_wait is not None and time.monotonic() > patience:
                on_wait()
                on_wait = None
            for record in consumer.consume(1000, _POLL_S):
                error = record.error()
                if error is not None:
                    self._on_error(error, record, ends, unfinished)
                    continue
                patience = time.monotonic() + _PATIENCE_S
                rows = latest[record.partition() or 0]
                key, value = record.key() or b"", record.value()
                if value is None:
                    rows.pop(key, None)
                else:
                    rows[key] = (record.offset() or 0, value)

    def _on_error(
        self, error: ck.KafkaError, record: ck.Message, ends: Mapping[int, int], unfinished: set[int]
    ) -> None:
        # The end is told by the broker rather than counted, so holes of compaction or transactions do not matter.
        if error.code() == ck.KafkaError._PARTITION_EOF:
            if (record.offset() or 0) >= ends[record.partition()]:
                unfinished.discard(record.partition())
        elif error.fatal() or error.code() in _FATAL:
            raise RetriableError(f"pending changelog {self.topic}: {error.str()}")
        else:
            log.warning("Reading the pending changelog %s: %s", self.topic, error.str())


def pending_table(app: _App, name: str, client: Mapping[str, Any]) -> PendingTable:
    """Return the pending table of a stage.

    Args:
        app: The Faust app; its id is the first part of the changelog's name.
        name: Name of the stage.
        client: Connection options for librdkafka.
    """
    return PendingTable(f"{app.conf.id}-{name}-pending-changelog", client)


def _decode(topic: str, partition: int, rows: dict[bytes, tuple[int, bytes]]) -> Restored:
    restored = Restored()
    for key, (offset, value) in rows.items():
        try:
            row = PendingRow.decode(value)
            if row.row_key() != key or row.partition != partition:
                raise DataError(f"a pending row under the key {key!r} says {row.row_key()!r}")  # noqa: TRY301
            restored.rows.append(row)
        except DataError as error:
            restored.unreadable.append(UnreadableRow(topic, partition, offset, key, value, error))
    restored.rows.sort(key=lambda row: row.offset)
    return restored
