"""A batch of records on its way into the tables."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from connectors.api.errors import DataError
from connectors.api.record import SinkRecord, TopicPartition
from connectors.clients.cassandra import Write
from connectors.formats.canal import RowChange

__all__ = ["Clock", "Collected", "Flight", "set_order"]

Clock = dict[TopicPartition, tuple[int, int]]
"""Timestamp (ms) and order (us) of the last record of a partition that carries no order of its own."""


class Collected:
    """The writes of a batch, and the records that cannot be stored, by their place in the batch."""

    def __init__(self) -> None:
        self.writes: dict[tuple[int, tuple[bytes, ...], int], tuple[Write, list[int]]] = {}
        self.refused: dict[int, tuple[DataError, str]] = {}

    def add(self, writes: list[Write], index: int) -> None:
        """Add the writes of a record; two of one row and time become one."""
        for write in writes:
            where = (id(write.table), write.key, write.ts_us)
            before = self.writes.get(where)
            if before is None:
                self.writes[where] = write, [index]
            else:
                self.writes[where] = before[0].absorb(write), [*before[1], index]

    def refuse(self, indexes: list[int], error: DataError, table: str = "") -> None:
        """Note records that cannot be stored; the first error of each counts."""
        for index in indexes:
            self.refused.setdefault(index, (error, table))


@dataclass(slots=True)
class Flight:
    """Records that were put, until all are durable or reported.

    Attributes:
        records: The records.
        clock: The clock before them, for planning them again.
        collected: Their writes; None where they must be planned again, as the schema changed.
        left: Writes that are not durable yet, with the places of their records.
        sending: The outcome of `left`; None where they must be sent again.
    """

    records: list[SinkRecord]
    clock: Clock
    collected: Collected | None
    left: list[tuple[Write, list[int]]] = field(default_factory=list)
    sending: asyncio.Future[dict[int, BaseException]] | None = None

    def rows_by_table(self) -> Counter[str]:
        """Return how many rows each table gets of them."""
        writes = self.collected.writes.values() if self.collected is not None else ()
        return Counter(write.table.schema.label for write, _ in writes)

    def newest_us(self) -> int:
        """Return the time of the newest change among them, microseconds since 1970; 0 without any."""
        writes = self.collected.writes.values() if self.collected is not None else ()
        return max((write.ts_us for write, _ in writes), default=0)


def set_order(record: SinkRecord, changes: list[RowChange], clock: Clock) -> None:
    """Give changes without an order the record's timestamp, and within a millisecond its offset.

    Cassandra would merge two writes of a row at the same microsecond cell by cell. That the offset decides, and not a
    count, gives a record the same order when it is read again after a crash.
    """
    first = record.timestamp_ms * 1000 + record.offset % 1000
    last_ms, last = clock.get(record.topic_partition, (-1, -1))
    if record.timestamp_ms >= last_ms and first <= last:
        first = last + 1
    clock[record.topic_partition] = record.timestamp_ms, first + len(changes) - 1
    for i, change in enumerate(changes):
        change.ts_us = first + i
