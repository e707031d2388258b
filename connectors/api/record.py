"""The records that cross the border between a plugin and the runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

__all__ = ["Headers", "RecordMetadata", "SinkRecord", "SourceRecord", "TopicPartition", "header_value"]

Headers = list[tuple[str, bytes]]
"""Kafka headers in their order; a name may occur more than once."""


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}"


class RecordMetadata(NamedTuple):
    """Where the broker stored a record."""

    topic: str
    partition: int
    offset: int


@dataclass(slots=True)
class SourceRecord:
    """A record on its way into Kafka.

    Attributes:
        topic: Target topic. Empty: nothing is sent, the record moves the stored offset alone (a heartbeat).
        value: Value as the value converter takes it; None is a tombstone.
        key: Key as the key converter takes it.
        partition: Target partition; None lets the key decide.
        headers: Kafka headers.
        timestamp_ms: Kafka timestamp in milliseconds since 1970; None is the time of sending.
        source_partition: Names the part of the source that the record comes from.
        source_offset: Where to resume once this record and all before it are stored in Kafka. None where resuming
            after this record is not possible: the offset of the last record that has one is kept.
        error: Why nothing can be made of what the source holds here, see `errant`; None for a good record.
    """

    topic: str
    value: Any
    key: Any = None
    partition: int | None = None
    headers: Headers = field(default_factory=list)
    timestamp_ms: int | None = None
    source_partition: Mapping[str, Any] | None = None
    source_offset: Mapping[str, Any] | None = None
    error: Exception | None = None

    @classmethod
    def heartbeat(cls, source_partition: Mapping[str, Any], source_offset: Mapping[str, Any]) -> SourceRecord:
        """Return a record that sends nothing and has the offset stored once all before it is acknowledged."""
        return cls("", None, source_partition=source_partition, source_offset=source_offset)

    @classmethod
    def errant(
        cls,
        raw: bytes,
        error: Exception,
        *,
        position: str = "",
        key: bytes | None = None,
        headers: Headers | None = None,
        source_partition: Mapping[str, Any] | None = None,
        source_offset: Mapping[str, Any] | None = None,
    ) -> SourceRecord:
        """Return a record for a piece of the source that cannot be read; `poll` returns it in its place.

        The runtime treats it as `errors.tolerance` says: `none` fails the task, `all` writes it to
        `errors.deadletterqueue.topic.name`, or logs it and goes on where there is no such topic. An offset at or after
        it is stored only once the dead letter is acknowledged.

        Args:
            raw: The bytes as the source holds them; the value of the dead letter.
            error: Why they cannot be used, as a sentence for the user; it should name the place.
            position: The place in the source, e.g. `aa000000002:1234`; the header `connect.position`.
            key: Key of the dead letter.
            headers: More headers, e.g. the table.
            source_partition: As in `SourceRecord`.
            source_offset: As in `SourceRecord`: where to resume behind the piece.
        """
        place = [("connect.position", position.encode(errors="replace"))] if position else []
        return cls(
            "",
            raw,
            key,
            headers=[*(headers or ()), *place],
            source_partition=source_partition,
            source_offset=source_offset,
            error=error,
        )


@dataclass(slots=True)
class SinkRecord:
    """A record that came out of Kafka.

    Attributes:
        topic: Topic it was read from, unless a transform routed it to another name.
        partition: Partition it was read from.
        offset: Its offset there.
        key: Key as the key converter gave it.
        value: Value as the value converter gave it; None for a tombstone.
        headers: Kafka headers.
        timestamp_ms: Kafka timestamp in milliseconds since 1970.
        raw_key: Key bytes as read; what a dead letter holds.
        raw_value: Value bytes as read; what a dead letter holds.
        original_topic: Topic it was read from, whatever transforms did (KIP-793); empty where none could.
    """

    topic: str
    partition: int
    offset: int
    key: Any
    value: Any
    headers: Headers
    timestamp_ms: int
    raw_key: bytes | None = None
    raw_value: bytes | None = None
    original_topic: str = ""

    @property
    def topic_partition(self) -> TopicPartition:
        """The partition the record was read from."""
        return TopicPartition(self.original_topic or self.topic, self.partition)

    @property
    def where(self) -> str:
        """Topic, partition and offset as one word for messages."""
        return f"{self.topic_partition}@{self.offset}"


def header_value(headers: Headers | None, name: str) -> bytes | None:
    """Return the last value of the header `name`, or None."""
    if headers:
        for key, value in reversed(headers):
            if key == name:
                return value
    return None
