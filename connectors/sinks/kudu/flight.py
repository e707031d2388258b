"""Records on their way into the tables."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import Future
from dataclasses import dataclass, field

from connectors.api.record import TopicPartition
from connectors.sinks.kudu.target import Batch, Refused, Target

__all__ = ["Flight"]


@dataclass(slots=True)
class Flight:
    """Mapped records of one put, until they are durable.

    Attributes:
        batches: Their writes for each table.
        refused: Those that cannot be stored, with those of earlier parts of the same put.
        ends: Offsets that are durable with this part; empty for all parts of a put but its last.
        sending: The outcome; None where they must be sent, or sent again.
    """

    batches: list[tuple[Target, Batch]]
    refused: Refused
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    sending: Future[None] | None = None

    def send(self) -> None:
        """Store them; called from the thread of the client. Sending again what is stored already changes nothing.

        Raises:
            RetriableError: Some rows may not be stored.
            FatalError: The task cannot go on.
        """
        for target, batch in self.batches:
            self.refused |= target.write(batch)

    def settle(self) -> None:
        """Wait until nothing of this is under way, whatever comes of it."""
        if self.sending is not None:
            self.sending.exception()

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """Leave out the records of partitions that belong to another task now."""
        for partition in partitions:
            self.ends.pop(partition, None)
        for key in [key for key, each in self.refused.items() if each.record.topic_partition in partitions]:
            del self.refused[key]
        for _, batch in self.batches:
            batch.forget(partitions)
