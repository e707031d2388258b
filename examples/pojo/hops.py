"""How far the changes have come: one number for each hop, read from Kafka."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.clients.kafka import KafkaSettings

__all__ = ["Hops"]

_TIMEOUT_S: Final = 20.0


class Hops:
    """Counts records of topics and of consumer groups.

    A record has reached a sink when the sink's offset is committed, as it commits only what is durable.

    Args:
        settings: Where Kafka is.
        topics: Topic by the name of the hop.
        groups: Consumer group and topic by the name of the hop.
    """

    def __init__(
        self, settings: KafkaSettings, topics: Mapping[str, str], groups: Mapping[str, tuple[str, str]]
    ) -> None:
        self._admin = AdminClient(settings.librdkafka())
        # It reads no record and joins no group; it only knows where topics begin and end.
        self._consumer = Consumer({**settings.librdkafka(), "group.id": "pojo-hops", "enable.auto.commit": False})
        self._topics = dict(topics)
        self._groups = dict(groups)

    def counts(self) -> dict[str, int]:
        """Return the number of records by hop, topics first."""
        wanted = {*self._topics.values(), *(topic for _, topic in self._groups.values())}
        ends = {place: limits for topic in wanted for place, limits in self._limits(topic).items()}
        found = {
            hop: sum(high - low for (name, _), (low, high) in ends.items() if name == topic)
            for hop, topic in self._topics.items()
        }
        for hop, (group, topic) in self._groups.items():
            done = {place: offset for place, offset in self._committed(group).items() if place[0] == topic}
            found[hop] = sum(offset - ends.get(place, (0, 0))[0] for place, offset in done.items())
        return found

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()

    def _limits(self, topic: str) -> dict[tuple[str, int], tuple[int, int]]:
        known = self._consumer.list_topics(timeout=_TIMEOUT_S).topics
        parts = known[topic].partitions if topic in known else ()
        return {
            (topic, n): self._consumer.get_watermark_offsets(TopicPartition(topic, n), timeout=_TIMEOUT_S)
            for n in parts
        }

    def _committed(self, group: str) -> dict[tuple[str, int], int]:
        (future,) = self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]).values()
        parts: list[Any] = future.result().topic_partitions
        return {(part.topic, part.partition): part.offset for part in parts if part.offset >= 0}
