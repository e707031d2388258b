"""Compares the table of the stage `AsyncCassandraJob` with the topic it was made from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final
from uuid import uuid4

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from connectors.clients.kafka import KafkaSettings
from examples.pojo.pipeline import JOB_KEYSPACE
from examples.pojo.produce import TOPIC
from examples.pojo.servers import Servers
from examples.pojo.verify import COLUMNS, Comparison, Row, cassandra_rows, compare_rows, expected_row

__all__ = ["compare_job", "job_rows"]

_TIMEOUT_S: Final = 20.0
_ENERGY: Final = COLUMNS.index("energy")
_FIELDS: Final = {"log_time": "logTime", "create_time": "createTime", "update_time": "updateTime"}


def compare_job(servers: Servers, *, keyspace: str = JOB_KEYSPACE, limit: int = 20) -> Comparison:
    """Compare by value; a decimal came as a JSON number, so its scale does not count."""
    with servers.cassandra() as session:
        sinks = {"AsyncCassandraJob": map(_without_scale, cassandra_rows(session, keyspace))}
        return compare_rows(map(_without_scale, job_rows(servers.kafka)), sinks, limit=limit)


def job_rows(settings: KafkaSettings, topic: str = TOPIC) -> Iterator[Row]:
    """Read the topic from its beginning to its present end, as rows of the table."""
    group = {"group.id": f"pojo-check-{uuid4().hex[:8]}", "enable.auto.commit": False}
    consumer = Consumer({**settings.librdkafka(), **group})
    try:
        parts = [
            TopicPartition(topic, n) for n in consumer.list_topics(topic, timeout=_TIMEOUT_S).topics[topic].partitions
        ]
        limits = [consumer.get_watermark_offsets(part, timeout=_TIMEOUT_S) for part in parts]
        left = sum(high - low for low, high in limits)
        consumer.assign([TopicPartition(topic, part.partition, OFFSET_BEGINNING) for part in parts])
        while left > 0:
            messages = consumer.consume(min(left, 1000), timeout=_TIMEOUT_S)
            if not messages:
                raise TimeoutError(f"{left} records of the topic {topic} could not be read")
            left -= len(messages)
            yield from (_row(message.value() or b"{}") for message in messages)
    finally:
        consumer.close()


def _row(data: bytes) -> Row:
    value: dict[str, Any] = json.loads(data, parse_float=Decimal)
    return expected_row({name: value.get(_FIELDS.get(name, name)) for name in COLUMNS})


def _without_scale(row: Row) -> Row:
    return (*row[:_ENERGY], f"{Decimal(row[_ENERGY]).normalize():f}", *row[_ENERGY + 1 :])
