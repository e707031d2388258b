"""Where a partition begins under exactly_once: behind every transaction that could still move its offset."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Mapping
from typing import Any, Final

import confluent_kafka as ck

from agents.transactional_producer import end_transactions
from connectors.api.errors import RetriableError

__all__ = ["StableOffsets"]

log = logging.getLogger(__name__)

_ASK_S: Final = 3.0
_CALL_S: Final = 15.0
_OPEN: Final = frozenset({ck.KafkaError._TIMED_OUT, ck.KafkaError.UNSTABLE_OFFSET_COMMIT})


class StableOffsets:
    """Committed offsets of a group's topic, read as KIP-447 wants it.

    A worker that died or hangs may have left a transaction open. It names itself in the metadata of the offsets that
    it commits, so that its successor can end that transaction at once instead of waiting for its time-out.

    Args:
        client: Connection options for librdkafka.
        group: Consumer group.
        topic: Input topic.
    """

    def __init__(self, client: Mapping[str, Any], group: str, topic: str) -> None:
        self._client = dict(client)
        self._group = group
        self._topic = topic

    def __call__(self, partitions: Collection[int], stop: threading.Event) -> dict[int, int]:
        """Return the offsets of partitions that have one. Blocks; to be called in a thread.

        Args:
            partitions: Which.
            stop: Set from elsewhere to give up early; the result is then of no use.

        Raises:
            RetriableError: Kafka refuses.
        """
        places = [ck.TopicPartition(self._topic, number) for number in partitions]
        # librdkafka asks for stable offsets where it reads committed records alone.
        consumer = self._consumer("read_committed")
        try:
            while not stop.is_set():
                try:
                    found = consumer.committed(places, timeout=_ASK_S)
                except ck.KafkaException as error:
                    if error.args[0].code() not in _OPEN:
                        raise RetriableError(f"offsets of group {self._group}: {error.args[0].str()}") from None
                    log.warning("A former owner of %s has left a transaction open; it is ended", self._topic)
                    self.end_open(partitions)
                else:
                    return {each.partition: each.offset for each in found if each.offset >= 0}
            return {}
        finally:
            consumer.close()

    def end_open(self, partitions: Collection[int]) -> None:
        """End the transactions of whoever committed partitions last. Blocks.

        Raises:
            RetriableError: Kafka refuses.
        """
        places = [ck.TopicPartition(self._topic, number) for number in partitions]
        consumer = self._consumer("read_uncommitted")
        try:
            found = consumer.committed(places, timeout=_CALL_S)
        except ck.KafkaException as error:
            raise RetriableError(f"offsets of group {self._group}: {error.args[0].str()}") from None
        finally:
            consumer.close()
        for owner in sorted({each.metadata for each in found if each.metadata}):
            end_transactions(self._client, owner)

    def _consumer(self, isolation: str) -> ck.Consumer:
        return ck.Consumer(
            {**self._client, "group.id": self._group, "enable.auto.commit": False, "isolation.level": isolation}
        )
