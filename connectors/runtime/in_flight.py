"""The records of a source task that Kafka has not acknowledged yet, in the order polled."""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

from confluent_kafka import KafkaError

from connectors.api.record import RecordMetadata, SourceRecord

__all__ = ["InFlight", "Owner", "Sent"]


class Owner(Protocol):
    """Who learns what becomes of records."""

    wants_records: bool
    acked: list[tuple[SourceRecord, RecordMetadata | None]]

    def refused(self, topic: str, error: KafkaError) -> None:
        """Learn that Kafka did not take a record."""


class Sent:
    """Records that are handed over together; librdkafka calls it with the outcome of each that is sent.

    The records themselves are let go of: while the outcome of thousands is awaited, Kafka's client has its own copy.

    Args:
        owner: Who learns of it. One that wants to be told of records has each of them on its own.

    Attributes:
        size: How many records, those included of which nothing is sent.
        count: How many outcomes make it done; -1 until all are handed over. The first may come before that, in another
            thread, so they are counted up here and compared there.
        answered: How many have come.
        last: The last record with an offset of each source partition, by the identity of the mapping that names the
            partition: plugins give the records of a partition the same one.
        record: The record, for an owner that wants it.
    """

    __slots__ = ("answered", "count", "last", "owner", "record", "size")

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        self.size = 0
        self.count = -1
        self.answered = 0
        self.last: dict[int, SourceRecord] = {}
        self.record: SourceRecord | None = None

    def __call__(self, error: KafkaError | None, message: Any) -> None:
        """Take an outcome."""
        if error is not None:
            self.owner.refused(message.topic(), error)
            return
        self.answered += 1
        if self.record is not None:
            place = RecordMetadata(message.topic(), message.partition(), message.offset())
            self.owner.acked.append((self.record, place))


class InFlight:
    """A queue whose head alone is taken off, once it is acknowledged: no offset passes a record that may be lost.

    One thread may add while another takes off, as each counter has one writer; two may not take off at once.
    """

    def __init__(self) -> None:
        self._queue: deque[Sent] = deque()
        self._added = 0
        self.taken = 0
        """How many records were acknowledged and taken off."""

    def __len__(self) -> int:
        """Return the number of records."""
        return self._added - self.taken

    def open(self, owner: Owner) -> Sent:
        """Add an entry before the first of its records is handed over; whoever hands them over fills in `last`."""
        sent = Sent(owner)
        self._queue.append(sent)
        return sent

    def close(self, sent: Sent, size: int, count: int) -> None:
        """Tell how many records were handed over as this entry, and of how many the outcome will come."""
        self._added += size
        sent.size = size
        sent.count = count  # last: from here on the entry may be taken

    def add(self, owner: Owner, record: SourceRecord) -> Sent:
        """Add a record, before it is handed over."""
        sent = self.open(owner)
        if owner.wants_records:
            sent.record = record
        if record.source_offset is not None:
            sent.last[id(record.source_partition)] = record
        self.close(sent, 1, 1)
        return sent

    def drop(self) -> None:
        """Take the last entry back, of which nothing was handed over."""
        self._added -= self._queue.pop().size

    def last(self) -> dict[int, SourceRecord]:
        """Return the last record with an offset of each source partition, acknowledged or not; see `Sent`."""
        last: dict[int, SourceRecord] = {}
        for sent in self._queue:
            last |= sent.last
        return last

    def take(self) -> dict[int, SourceRecord]:
        """Take the acknowledged head off.

        Returns:
            The last record with an offset of each source partition; see `Sent`.
        """
        queue, taken = self._queue, 0
        last: dict[int, SourceRecord] = {}
        while queue and queue[0].answered == queue[0].count:
            sent = queue.popleft()
            taken += sent.size
            last |= sent.last
        self.taken += taken
        return last

    def clear(self) -> None:
        """Forget all."""
        self._queue.clear()
        self.taken = self._added
