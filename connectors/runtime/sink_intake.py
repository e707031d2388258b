"""What comes out of Kafka, as records for a sink: converted, transformed, bad ones set aside."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, Message

from connectors.api.errors import FatalError, RetriableError
from connectors.api.record import SinkRecord, TopicPartition
from connectors.runtime.conversion import Chain, converter
from connectors.runtime.dead_letters import DeadLetters

__all__ = ["Batch", "Intake"]

log = logging.getLogger(__name__)

# Not the end of anything: the topic may come to be, and who polled too rarely joins the group again.
_PASSING = (KafkaError._PARTITION_EOF, KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._MAX_POLL_EXCEEDED)

_A_TURN = 200
"""So many messages are converted before the rest of the task gets a turn of the event loop."""


@dataclass(slots=True)
class Batch:
    """Records that are put together. Partitions are those of Kafka, prefix included.

    Attributes:
        records: What the plugin gets.
        firsts: The first offset of each partition.
        ends: For each partition, the offset after the last record, counting those that were set aside.
    """

    records: list[SinkRecord] = field(default_factory=list)
    firsts: dict[TopicPartition, int] = field(default_factory=dict)
    ends: dict[TopicPartition, int] = field(default_factory=dict)

    def forget(self, partitions: Collection[TopicPartition], prefix: str) -> None:
        """Drop the records of partitions that were taken away or are read again."""
        for tp in partitions:
            self.firsts.pop(tp, None)
            self.ends.pop(tp, None)
        kept = {TopicPartition(tp.topic.removeprefix(prefix), tp.partition) for tp in self.ends}
        self.records = [record for record in self.records if record.topic_partition in kept]


class Intake:
    """Turns messages into a batch.

    Args:
        props: The task's configuration.
        prefix: What topics in Kafka have before the names that plugins see.
        letters: Where bad records go.
    """

    def __init__(self, props: Mapping[str, str], prefix: str, letters: DeadLetters) -> None:
        self._key, self._value = converter(props, "key", "string"), converter(props, "value", "canal-json")
        self._chain = Chain(props)
        self._prefix = prefix
        self._letters = letters

    async def batch(self, messages: Iterable[Message], assigned: Collection[TopicPartition]) -> Batch:
        """Convert messages; those of partitions that are not assigned any more are left to their new owner.

        Raises:
            FatalError: Kafka says that reading cannot go on.
            DataError: A record is bad, and the policy is not to go on.
            RetriableError: Something that a converter or transform needs is away; nothing of the messages is kept.
        """
        batch = Batch()
        for number, message in enumerate(messages, 1):
            if number % _A_TURN == 0:
                await asyncio.sleep(0)
            error = message.error()
            if error is not None:
                _check(error)
                continue
            tp = TopicPartition(message.topic(), message.partition())
            if tp not in assigned:
                continue
            offset = message.offset()
            if tp not in batch.ends:
                batch.firsts[tp] = offset
            batch.ends[tp] = offset + 1
            record = self._record(message, offset)
            if record is not None:
                batch.records.append(record)
        if self._letters.failure is not None:
            raise self._letters.failure
        return batch

    def close(self) -> None:
        """Close the transforms."""
        self._chain.close()

    def _record(self, message: Message, offset: int) -> SinkRecord | None:
        raw_key, raw_value, headers = message.key(), message.value(), message.headers() or []
        topic = message.topic().removeprefix(self._prefix)
        _kind, timestamp = message.timestamp()
        record = SinkRecord(
            topic, message.partition(), offset, None, None, headers, timestamp, raw_key, raw_value, topic
        )
        stage: tuple[str, object] = ("KEY_CONVERTER", self._key)
        try:
            record.key = self._key.to_connect(topic, headers, raw_key)
            stage = ("VALUE_CONVERTER", self._value)
            record.value = self._value.to_connect(topic, headers, raw_value)
            stage = ("TRANSFORMATION", self._chain)
            return self._chain.apply(record) if self._chain else record
        except RetriableError:  # about what the converter asks, such as a schema registry; not about this record
            raise
        except Exception as error:
            self._letters.handle(record, error, stage[0], stage[1])
            return None


def _check(error: KafkaError) -> None:
    if error.code() in _PASSING:
        log.info("%s", error.str())
    elif error.fatal() or not error.retriable():
        raise FatalError(f"reading from Kafka failed: {error.str()}")
    else:
        log.warning("%s", error.str())
