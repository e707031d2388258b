"""The pending table: requests in flight, kept in a compacted changelog co-partitioned with the input.

The changelog is named and laid out as Faust's tables are (`<app>-<table>-changelog`), but read here, partition by
partition, with librdkafka. Faust's own recovery replays 6,800 records/s, waits for ever where compaction took the last
record away, and holds the table in memory on every worker; see docs/decisions.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping
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

    def restore(self, partitions: Collection[int], stop: threading.Event) -> dict[int, Restored]:
        """Read partitions of the changelog to their present end. Blocks; to be called in a thread.

        Args:
            partitions: Which.
            stop: Set from elsewhere to give up early; the result is then of no use.

        Raises:
            RetriableError: Kafka refuses, e.g. because the topic is gone.
        """
        latest: dict[int, dict[bytes, tuple[int, bytes]]] = {partition: {} for partition in partitions}
        consumer = ck.Consumer(
            {
                **self._client,
                "group.id": f"{self.topic}-restore",  # librdkafka wants one; nothing is ever committed or joined
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "queued.max.messages.kbytes": 8192,
            }
        )
        try:
            consumer.assign([ck.TopicPartition(self.topic, p, ck.OFFSET_BEGINNING) for p in partitions])
            self._read(consumer, latest, stop)
        finally:
            consumer.close()
        return {partition: _decode(self.topic, partition, rows) for partition, rows in latest.items()}

    def _read(
        self, consumer: ck.Consumer, latest: dict[int, dict[bytes, tuple[int, bytes]]], stop: threading.Event
    ) -> None:
        unfinished = set(latest)
        while unfinished and not stop.is_set():
            for record in consumer.consume(1000, _POLL_S):
                error = record.error()
                if error is not None:
                    self._on_error(error, record, unfinished)
                    continue
                rows = latest[record.partition() or 0]
                key, value = record.key() or b"", record.value()
                if value is None:
                    rows.pop(key, None)
                else:
                    rows[key] = (record.offset() or 0, value)

    def _on_error(self, error: ck.KafkaError, record: ck.Message, unfinished: set[int]) -> None:
        # The end is told by the broker rather than counted, so holes of compaction or transactions do not matter.
        if error.code() == ck.KafkaError._PARTITION_EOF:
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
