"""A compacted topic as a shared map: read whole by every process, written by producing.

Source: Kafka Connect's `KafkaBasedLog`. Faust's GlobalTable does not reach other workers, so this reads the topic.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError as ClientError
from aiokafka.errors import KafkaTimeoutError
from confluent_kafka import IsolationLevel, KafkaError, KafkaException
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec
from mode import Service

__all__ = ["CompactedTopic"]

log = logging.getLogger(__name__)

WRITE_LIMIT_S = 30.0
Listener = Callable[[str, Any], None]


def _encoded(value: Any) -> bytes | None:
    return None if value is None else orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


class CompactedTopic(Service):  # type: ignore[misc]
    """The last value of each key of a compacted topic, and a way to write it.

    Args:
        topic: Its name.
        client: Connection options of aiokafka's clients.
        admin: Connection options of librdkafka's admin client.
        partitions: Partitions to create it with.
        replication_factor: Replicas to create it with; -1 is the broker's default.
        listener: Called with key and value (None: deleted) at each change after the first load.
        transactional: Whether it is written in transactions as well: only what is committed counts.
        every_s: How often, in seconds, what is new is read while nobody waits for it; 0 is at once. Each read costs a
            request, so a topic that is written all the time and asked for seldom is read in larger pieces.
    """

    def __init__(
        self,
        topic: str,
        client: dict[str, Any],
        admin: dict[str, Any],
        *,
        partitions: int = 1,
        replication_factor: int = -1,
        listener: Listener | None = None,
        transactional: bool = False,
        every_s: float = 0,
    ) -> None:
        super().__init__()
        self.topic = topic
        self.data: dict[str, Any] = {}
        self._client = client
        self._admin = admin
        self._partitions = partitions
        self._replication_factor = replication_factor
        self._listener = listener
        self._positions: dict[int, int] = {}
        self._moved = asyncio.Condition()
        self._loaded = False
        self._transactional = transactional
        self._every_s = every_s
        self._waiting = 0
        self._wanted = asyncio.Event()

    @property
    def loaded(self) -> bool:
        """Whether the topic was read to its end, so that the listener hears of every change."""
        return self._loaded

    async def on_start(self) -> None:
        """Create the topic where it is missing and read it to its end."""
        await self._create()
        self._producer = AIOKafkaProducer(**self._client, acks="all", enable_idempotence=True)
        await self._producer.start()
        self._consumer = AIOKafkaConsumer(
            **self._client,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            # Other requests wait behind a fetch that waits for records, so a start is as slow as this.
            fetch_max_wait_ms=100,
            isolation_level="read_committed" if self._transactional else "read_uncommitted",
        )
        await self._consumer.start()
        numbers = await self._numbers()
        assigned = [TopicPartition(self.topic, number) for number in numbers]
        self._consumer.assign(assigned)
        await self._consumer.seek_to_beginning(*assigned)
        await self._load(assigned)

    async def on_stop(self) -> None:
        """Close the clients."""
        if hasattr(self, "_consumer"):
            await self._consumer.stop()
        if hasattr(self, "_producer"):
            await self._producer.stop()

    async def write(self, key: str, value: Any, *, undo: bool = False) -> None:
        """Write a value (None deletes the key) and wait until this process's own view shows it.

        The record is acknowledged by all in-sync replicas before this returns.

        Args:
            key: The key.
            value: What `orjson` can encode; None deletes the key.
            undo: Where Kafka did not answer in time, put the former value behind the record, which the producer may
                still deliver: what a user was told to have failed must not come true later.

        Raises:
            KafkaError: Kafka does not answer; without `undo` the record may be written nevertheless.
        """
        data, former = _encoded(value), _encoded(self.data.get(key))
        try:
            async with asyncio.timeout(WRITE_LIMIT_S):
                stored = await self._producer.send_and_wait(self.topic, data, key.encode())
                await self._until(lambda: self._positions.get(stored.partition, 0) > stored.offset)
        except TimeoutError:
            if undo:
                self.add_future(self._undo(key, former))
            raise KafkaTimeoutError(f"{self.topic}: no answer within {WRITE_LIMIT_S:.0f} s") from None

    async def _undo(self, key: str, former: bytes | None) -> None:
        # The producer keeps the order of a partition, so this cannot overtake the late record.
        try:
            await self._producer.send_and_wait(self.topic, former, key.encode())
        except ClientError as error:
            log.error("%s: a late change of %s could not be taken back: %s", self.topic, key, error)  # noqa: TRY400

    async def catch_up(self) -> None:
        """Return once this process's own view holds all that had been written when this was called."""
        ends = await self._ends()
        await self._until(lambda: all(self._position(tp) >= end for tp, end in ends.items()))

    async def _until(self, reached: Callable[[], bool]) -> None:
        self._waiting += 1
        self._wanted.set()
        try:
            async with self._moved:
                await self._moved.wait_for(reached)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._wanted.clear()

    async def _ends(self) -> dict[TopicPartition, int]:
        """Return the true ends, behind records of transactions that are still open.

        A consumer of committed records is told the first open transaction instead. What is committed behind that one
        would then be missed, so its end, which comes with the transaction's time limit at the latest, is waited for.
        """
        assigned = self._consumer.assignment()
        if not self._transactional:
            return dict(await self._consumer.end_offsets(assigned))
        wanted = {KafkaPartition(tp.topic, tp.partition): OffsetSpec.latest() for tp in assigned}
        level = IsolationLevel.READ_UNCOMMITTED
        admin = AdminClient(self._admin)  # as a temporary it would be gone before it answers
        answers = admin.list_offsets(wanted, isolation_level=level, request_timeout=WRITE_LIMIT_S)
        found = {tp: await asyncio.wrap_future(answer) for tp, answer in answers.items()}
        return {TopicPartition(tp.topic, tp.partition): result.offset for tp, result in found.items()}

    def _position(self, tp: TopicPartition) -> int:
        return self._positions.get(tp.partition, 0)

    async def _create(self) -> None:
        admin = AdminClient(self._admin)
        new = NewTopic(self.topic, self._partitions, self._replication_factor, config={"cleanup.policy": "compact"})
        for future in admin.create_topics([new]).values():
            try:
                await asyncio.wrap_future(future)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise

    async def _numbers(self) -> set[int]:
        # A topic that was just created may take a moment to show in the metadata.
        while True:
            await self._consumer._client.force_metadata_update()
            numbers: set[int] | None = self._consumer.partitions_for_topic(self.topic)
            if numbers:
                return numbers
            await self._consumer.topics()

    async def _load(self, assigned: list[TopicPartition]) -> None:
        ends = await self._consumer.end_offsets(assigned)
        while [tp for tp, end in ends.items() if await self._consumer.position(tp) < end]:
            await self._take(await self._consumer.getmany(timeout_ms=200))
        self._loaded = True
        log.info("Read %s: %d keys", self.topic, len(self.data))

    @Service.task  # type: ignore[untyped-decorator]
    async def _tail(self) -> None:
        while not self.should_stop:
            await self._take(await self._consumer.getmany(timeout_ms=250 if self._transactional else 1000))
            await self._pass_gaps()
            if self._every_s:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wanted.wait(), self._every_s)

    async def _take(self, batches: dict[TopicPartition, list[Any]]) -> None:
        for tp, records in batches.items():
            for record in records:
                self._apply(record)
            async with self._moved:
                self._positions[tp.partition] = records[-1].offset + 1
                self._moved.notify_all()

    async def _pass_gaps(self) -> None:
        """Move on where compaction left nothing to read up to the end."""
        for tp in self._consumer.assignment():
            position = await self._consumer.position(tp)
            if position > self._position(tp):
                async with self._moved:
                    self._positions[tp.partition] = position
                    self._moved.notify_all()

    def _apply(self, record: Any) -> None:
        key = record.key.decode(errors="replace")
        try:
            value = None if record.value is None else orjson.loads(record.value)
        except orjson.JSONDecodeError:
            log.exception(
                "%s-%d@%d holds no JSON under key %s; left out", self.topic, record.partition, record.offset, key
            )
            return
        if value is None:
            self.data.pop(key, None)
        else:
            self.data[key] = value
        if self._loaded and self._listener is not None:
            self._listener(key, value)
