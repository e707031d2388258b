"""Waits for Kafka and creates the topics that are missing, explicitly and with the right number of partitions."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

from agents.config import StageConfig
from connectors.api.errors import ConfigError
from tables.pending import CHANGELOG_CONFIG

__all__ = ["create_topics", "wait_for_kafka"]

log = logging.getLogger(__name__)

_FIRST_WAIT_S: Final = 0.5
_LONGEST_WAIT_S: Final = 10.0
_TRY_S: Final = 5.0
_CALL_S: Final = 15.0
_CREDENTIALS: Final = frozenset(
    {
        ck.KafkaError._AUTHENTICATION,
        ck.KafkaError.SASL_AUTHENTICATION_FAILED,
        ck.KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        ck.KafkaError._SSL,
    }
)


async def wait_for_kafka(client: Mapping[str, Any]) -> AdminClient:
    """Wait until a broker answers, and say for what.

    Args:
        client: Connection options for librdkafka.

    Raises:
        ConfigError: The broker does not accept the credentials.
    """
    refusals: list[ck.KafkaError] = []

    def on_error(error: ck.KafkaError) -> None:
        if error.code() in _CREDENTIALS:
            refusals.append(error)

    options: dict[str, Any] = {**client, "error_cb": on_error, "log_level": 0}
    admin = AdminClient(options)
    wait_s = _FIRST_WAIT_S
    while True:
        try:
            await asyncio.to_thread(admin.list_topics, timeout=_TRY_S)
            return admin
        except ck.KafkaException as error:
            admin.poll(0)
            if refusals:
                raise ConfigError(f"Kafka at {client['bootstrap.servers']} refuses us: {refusals[0].str()}") from None
            log.warning(
                "Waiting for Kafka at %s (%s); next try in %.1f s",
                client["bootstrap.servers"],
                error.args[0].str(),
                wait_s,
            )
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 2, _LONGEST_WAIT_S)


def create_topics(admin: AdminClient, stages: Iterable[tuple[StageConfig, str]]) -> dict[str, int]:
    """Create what is missing and return the partition counts of all topics. Blocks.

    Args:
        admin: A connected client.
        stages: Stages with the names of their pending changelogs.

    Raises:
        ConfigError: A topic cannot be created or fitted.
    """
    counts = _counts(admin)
    for stage, changelog in stages:
        _ensure(admin, counts, stage.input, stage.partitions)
        if stage.output is not None:
            _ensure(admin, counts, stage.output, counts[stage.input])
        if stage.dead_letter is not None:
            _ensure(admin, counts, stage.dead_letter, 1)
        _ensure(admin, counts, changelog, counts[stage.input], CHANGELOG_CONFIG)
        if counts[changelog] < counts[stage.input]:
            _grow(admin, counts, changelog, counts[stage.input])
    return counts


def _counts(admin: AdminClient) -> dict[str, int]:
    return {name: len(topic.partitions) for name, topic in admin.list_topics(timeout=_CALL_S).topics.items()}


def _ensure(
    admin: AdminClient, counts: dict[str, int], topic: str, partitions: int, config: Mapping[str, str] | None = None
) -> None:
    if topic in counts:
        return
    log.info("Creating topic %s with %d partitions", topic, partitions)
    # -1: the broker's default replication factor.
    new = NewTopic(topic, num_partitions=partitions, replication_factor=-1, config=dict(config or {}))
    try:
        admin.create_topics([new], operation_timeout=_CALL_S)[topic].result()
        counts[topic] = partitions
    except ck.KafkaException as error:
        if error.args[0].code() != ck.KafkaError.TOPIC_ALREADY_EXISTS:
            raise ConfigError(f"topic {topic} cannot be created: {error.args[0].str()}") from None
        counts[topic] = _counts(admin).get(topic, partitions)  # another worker was faster
    _await_leaders(admin, topic, counts[topic])


def _grow(admin: AdminClient, counts: dict[str, int], topic: str, partitions: int) -> None:
    try:
        admin.create_partitions([NewPartitions(topic, partitions)], operation_timeout=_CALL_S)[topic].result()
    except ck.KafkaException as error:
        if _counts(admin).get(topic, 0) < partitions:
            raise ConfigError(f"topic {topic} cannot get {partitions} partitions: {error.args[0].str()}") from None
    counts[topic] = partitions
    _await_leaders(admin, topic, partitions)


def _await_leaders(admin: AdminClient, topic: str, partitions: int) -> None:
    # A broker answers "created" before every partition has a leader; a consumer that starts then may miss some.
    end = time.monotonic() + _CALL_S
    while time.monotonic() < end:
        found = admin.list_topics(topic, timeout=_CALL_S).topics[topic].partitions
        if len(found) >= partitions and all(partition.leader >= 0 for partition in found.values()):
            return
        time.sleep(0.05)
    raise ConfigError(f"topic {topic} has no leader for every partition after {_CALL_S:.0f} s")
