"""Offsets of connectors, read and, while a connector is stopped, changed (KIP-875)."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient

from connectors.api.errors import ConfigError, ConnectError, RetriableError
from connectors.api.record import TopicPartition
from connectors.runtime.base_config import plugin_props
from connectors.runtime.catalog import Catalog, Described
from connectors.runtime.group_offsets import delete_group_offsets
from connectors.runtime.kafka_clients import group_of
from connectors.runtime.providers import resolve
from connectors.runtime.settings import WorkerSettings
from connectors.runtime.store import Store

__all__ = ["Offsets", "Pairs"]

Pairs = Sequence[tuple[dict[str, Any], dict[str, Any] | None]]
"""Partitions and their offsets as REST shows them; None: to be forgotten."""

_LIMIT_S = 15.0
_DONE = "The offsets for this connector have been {} successfully"
_OURS = (
    "The Connect framework-managed offsets for this connector have been {0} successfully. However, if this connector "
    "manages offsets externally, they will need to be manually {0} in the system that the connector uses."
)
_BUSY = (KafkaError.NON_EMPTY_GROUP, KafkaError.UNKNOWN_MEMBER_ID, KafkaError.REBALANCE_IN_PROGRESS)


class Offsets:
    """Source offsets are in the cluster's memory, those of sinks are Kafka's consumer group.

    Args:
        settings: The worker's settings.
        store: The cluster's memory.
        catalog: Calls plugins.
    """

    def __init__(self, settings: WorkerSettings, store: Store, catalog: Catalog) -> None:
        self._settings = settings
        self._store = store
        self._catalog = catalog
        self._client: AdminClient | None = None

    async def read(self, name: str, kind: str) -> Pairs:
        """Return the offsets of a connector.

        Raises:
            KafkaException: Kafka does not answer.
        """
        if kind != "sink":
            await asyncio.wait_for(self._store.offsets.catch_up(), _LIMIT_S)
            return self._store.source_offsets(name)
        prefix = self._settings.kafka.prefix
        found = await self._committed(self._group(name))
        return [({"kafka_topic": topic.removeprefix(prefix), "kafka_partition": number}, {"kafka_offset": offset})
                 for (topic, number), offset in sorted(found.items())]  # fmt: skip

    async def change(self, name: str, pairs: Pairs | None) -> str:
        """Change offsets of a stopped connector, after its plugin agreed.

        Args:
            name: The connector.
            pairs: What to change; None forgets all.

        Returns:
            Kafka Connect's sentence for the user.

        Raises:
            ConfigError: The plugin or Kafka refuses these offsets.
            RetriableError: Members of the group are still leaving.
            KafkaException: Kafka does not answer.
        """
        config = self._store.config(name) or {}
        described = await self._catalog.get(config.get("connector.class", ""))
        all_pairs = pairs if pairs is not None else [(each, None) for each, _ in await self.read(name, described.kind)]
        if described.kind == "sink":
            await self._check_partitions(all_pairs)
        externally = await self._tell_plugin(described, config, all_pairs)
        if described.kind == "sink":
            await self._change_group(self._group(name), all_pairs, everything=pairs is None)
        else:
            for partition, offset in all_pairs:
                await self._store.put_source_offset(name, partition, offset)
        return (_DONE if externally else _OURS).format("altered" if pairs is not None else "reset")

    def _group(self, name: str) -> str:
        option = "consumer.override.group.id"
        own = {key: value for key, value in (self._store.config(name) or {}).items() if key == option}
        return group_of(self._settings, name, resolve(own))

    async def _tell_plugin(self, described: Described, config: dict[str, str], pairs: Pairs) -> bool:
        """Ask the plugin, which may keep offsets of its own; returns whether it does."""
        props = plugin_props(described.plugin, resolve(config))
        plugin: Any = described.plugin()
        given: Any = list(pairs)
        if described.kind == "sink":
            given = {
                TopicPartition(each["kafka_topic"], each["kafka_partition"]): offset and offset["kafka_offset"]
                for each, offset in pairs
            }

        def ask() -> bool:
            try:
                answer = plugin.alter_offsets(props, given)
                return bool(asyncio.run(_awaited(answer)) if inspect.isawaitable(answer) else answer)
            except ConnectError:
                raise
            except Exception as error:
                text = f"{described.plugin.__name__} refuses these offsets: {type(error).__name__}: {error}"
                raise ConfigError(text) from error

        return await self._catalog.call(described.plugin.__name__, ask)

    # --- Kafka's consumer groups ---

    def _admin(self) -> AdminClient:
        if self._client is None:
            self._client = AdminClient(self._settings.kafka.librdkafka() | {"log_level": 2})
        return self._client

    async def _committed(self, group: str) -> dict[tuple[str, int], int]:
        def ask() -> Any:
            request = [ConsumerGroupTopicPartitions(group)]
            return self._admin().list_consumer_group_offsets(request, request_timeout=_LIMIT_S)[group].result()

        try:
            answer = await asyncio.to_thread(ask)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return {}
            raise
        return {(each.topic, each.partition): each.offset for each in answer.topic_partitions if each.offset >= 0}

    async def _check_partitions(self, pairs: Pairs) -> None:
        prefix = self._settings.kafka.prefix
        topics = (await asyncio.to_thread(self._admin().list_topics, timeout=_LIMIT_S)).topics
        for partition, offset in pairs:
            topic, number = partition["kafka_topic"], partition["kafka_partition"]
            there = topics.get(prefix + topic)
            if offset is not None and (there is None or number not in there.partitions):
                raise ConfigError(f"Kafka has no topic {topic} with a partition {number}")

    async def _change_group(self, group: str, pairs: Pairs, *, everything: bool) -> None:
        prefix = self._settings.kafka.prefix
        set_: list[KafkaPartition] = []
        forgotten: list[tuple[str, int]] = []
        for partition, offset in pairs:
            topic, number = prefix + partition["kafka_topic"], partition["kafka_partition"]
            if offset is None:
                forgotten.append((topic, number))
            else:
                set_.append(KafkaPartition(topic, number, offset["kafka_offset"]))
        if everything:
            await _in_group(lambda: self._admin().delete_consumer_groups([group], request_timeout=_LIMIT_S)[group])
            return
        if set_:
            request = [ConsumerGroupTopicPartitions(group, set_)]
            await _in_group(
                lambda: self._admin().alter_consumer_group_offsets(request, request_timeout=_LIMIT_S)[group]
            )
        if forgotten:
            await delete_group_offsets(self._settings.kafka.aiokafka(), group, forgotten)


async def _awaited(answer: Any) -> Any:
    return await answer


async def _in_group(ask: Callable[[], Any]) -> None:
    """Make a request about a group.

    Raises:
        RetriableError: The group still has members.
        KafkaException: Kafka refused otherwise.
    """
    try:
        result = await asyncio.wrap_future(ask())
        problems = [each.error for each in getattr(result, "topic_partitions", ()) if each.error is not None]
    except KafkaException as error:
        problems = [error.args[0]]
    for problem in problems:
        if problem.code() in _BUSY:
            raise RetriableError("Tasks are still leaving their consumer group; try again")
        if problem.code() != KafkaError.GROUP_ID_NOT_FOUND:
            raise KafkaException(problem)
