"""All stages of a worker between start and stop; what the transport hands records to."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, Final

from faust.types import TP

from agents.checkpoint import Checkpoint
from agents.config import StageConfig
from agents.outputs import Outputs
from agents.producer import Producer
from agents.stable_offsets import StableOffsets
from agents.stage import Stage
from agents.steps import Steps
from agents.topics import create_topics, wait_for_kafka
from agents.transactional_producer import TransactionalProducer, group_metadata
from agents.transactions import Transactions
from tables.pending import pending_table

__all__ = ["Enrichment"]

log = logging.getLogger(__name__)

_ROOM_S: Final = 0.5


class Enrichment:
    """Starts, feeds and stops the stages.

    Args:
        app: The Faust app.
        stages: Their configurations, with the functions built from them.
        client: Connection options for librdkafka.
        fail: Stops the worker with a sentence.
        guarantee: `at_least_once` or `exactly_once`.
    """

    def __init__(
        self,
        app: Any,
        stages: Iterable[tuple[StageConfig, Steps]],
        client: Mapping[str, Any],
        fail: Callable[[str], None],
        guarantee: str = "at_least_once",
    ) -> None:
        self._app = app
        self._declared = list(stages)
        self._client = dict(client)
        self._fail = fail
        self._topics = {config.input for config, _ in self._declared}
        self._stages: dict[str, Stage] = {}
        self._checkpoints: dict[str, Checkpoint] = {}
        self._transactions: Transactions | None = None
        if guarantee == "exactly_once":
            own = TransactionalProducer(self._client, f"{app.conf.id}-{socket.gethostname()}")
            self._producer: Producer = own
            self._transactions = Transactions(own, self._group_metadata, fail, join_again=self._join_again)
        else:
            self._producer = Producer(self._client)
        self._room = asyncio.Event()
        self._ticks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Wait for Kafka, create topics, open the functions.

        Raises:
            ConfigError: Kafka refuses the credentials or a topic.
        """
        admin = await wait_for_kafka(self._client)
        tables = [pending_table(self._app, config.name, self._client) for config, _ in self._declared]
        named = [(config, table.topic) for (config, _), table in zip(self._declared, tables, strict=True)]
        counts = await asyncio.to_thread(create_topics, admin, named)
        await self._producer.open(self._pump)
        for (config, steps), table in zip(self._declared, tables, strict=True):
            same = config.output is not None and counts[config.output] == counts[config.input]
            outputs = Outputs(self._producer, config.name, config.output, config.dead_letter, same)
            transactional = self._transactions is not None
            stage = Stage(config, steps, outputs, table, self._fail, self._room, transactional=transactional)
            stage.may_emit = self.may_emit
            await stage.open()
            begin = StableOffsets(self._client, str(self._app.conf.id), config.input) if transactional else None
            checkpoint = Checkpoint(stage, self._commit, begin=begin)
            self._stages[config.input] = stage
            self._checkpoints[config.input] = checkpoint
            if self._transactions is None:
                self._ticks.append(self._watch(checkpoint.run()))
        if self._transactions is not None:
            self._ticks.append(self._watch(self._transactions.run(self._stages.values())))

    async def stop(self) -> None:
        """Give all partitions up, commit what is safe, close the functions. The consumer must still be there."""
        for tick in self._ticks:
            tick.cancel()
        await asyncio.gather(*self._ticks, return_exceptions=True)
        await self.revoked({TP(topic, number) for topic, stage in self._stages.items() for number in stage.partitions})
        for checkpoint in self._checkpoints.values():
            await checkpoint.close()
        closed = await asyncio.gather(*(stage.close() for stage in self._stages.values()), return_exceptions=True)
        for error in closed:
            if isinstance(error, BaseException):
                log.warning("Closing a stage: %s: %s", type(error).__name__, error)
        self._producer.close()
        self._stages.clear()
        self._checkpoints.clear()
        self._ticks.clear()

    @property
    def stages(self) -> list[Stage]:
        """The stages that run."""
        return list(self._stages.values())

    # ---- Intake

    def owns(self, topic: str) -> bool:
        """Tell whether a stage reads the topic."""
        return topic in self._topics

    def with_room(self, partitions: set[TP]) -> set[TP]:
        """Return the partitions that may be fetched now."""
        return {tp for tp in partitions if tp.topic not in self._topics or self._has_room(tp)}

    async def wait_for_room(self) -> None:
        """Wait until a partition may be fetched again, or half a second."""
        self._room.clear()
        try:
            async with asyncio.timeout(_ROOM_S):
                await self._room.wait()
        except TimeoutError:
            return  # the caller looks whether it should stop, and comes back

    def take(self, partition: TP, records: list[Any]) -> bool:
        """Hand records to their stage; false if it has not got the partition, so that they are to be read again."""
        stage = self._stages.get(partition.topic)
        return stage is not None and stage.take(partition.partition, records)

    async def assigned(self, partitions: set[TP]) -> None:
        """Begin with partitions: their pending requests are read while Faust finishes its rebalance."""
        for topic, numbers in _by_topic(partitions).items():
            if topic in self._checkpoints:
                self._checkpoints[topic].assign(numbers)

    def may_emit(self) -> bool:
        """Tell whether results may go out: not if this process stood still and another may have its partitions.

        Then everything is given up, before the first heartbeat could tell. Transactions need none of this: their
        commit is refused.
        """
        if self._transactions is not None or not self._app.consumer.slept:
            return True
        if any(stage.partitions for stage in self._stages.values()):
            log.warning("This worker stood still for longer than its session: it drops its partitions and joins again")
            for checkpoint in self._checkpoints.values():
                checkpoint.abandon(list(checkpoint.partitions))
            self._producer.purge()
            self._app.consumer.join_again()
        return False

    async def revoked(self, partitions: set[TP]) -> None:
        """Give partitions up; Faust's rebalances are eager, so these are all that there are."""
        if self._transactions is not None:
            own = {self._stages[t]: numbers for t, numbers in _by_topic(partitions).items() if t in self._stages}
            if self._app.consumer.is_member:
                await self._transactions.revoke(own)
            else:
                await self._transactions.abandon(own)
            return
        delivered = True
        for topic, numbers in _by_topic(partitions).items():
            checkpoint = self._checkpoints.get(topic)
            if checkpoint is None:
                continue
            if self._app.consumer.is_member:
                delivered &= await checkpoint.revoke(numbers)
            else:
                # Out of the group: another worker has these partitions, so nothing of ours may go out any more.
                checkpoint.abandon(numbers)
                delivered = False
        if not delivered:
            self._producer.purge()

    # ---- helpers

    def _has_room(self, tp: TP) -> bool:
        stage = self._stages.get(tp.topic)
        return stage is not None and not stage.is_full(tp.partition)

    def _pump(self) -> None:
        for stage in self._stages.values():
            stage.pump()

    async def _commit(self, offsets: Mapping[tuple[str, int], int]) -> bool:
        consumer = self._app.consumer
        if not self.may_emit():
            return False
        wanted = {TP(topic, number): offset for (topic, number), offset in offsets.items()}
        if not wanted.keys() <= consumer.assignment():
            return False  # a rebalance has begun; the revocation that follows commits
        return bool(await consumer._commit(wanted))

    def _join_again(self) -> None:
        self._app.consumer.join_again()

    def _group_metadata(self) -> bytes | None:
        place = self._app.consumer.place_in_group
        return None if place is None else group_metadata(str(self._app.conf.id), *place)

    def _watch(self, run: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(run)

        def ended(done: asyncio.Task[None]) -> None:
            if not done.cancelled() and (error := done.exception()) is not None:
                log.error("The checkpoint failed", exc_info=error)
                self._fail(f"the checkpoint failed: {type(error).__name__}: {error}")

        task.add_done_callback(ended)
        return task


def _by_topic(partitions: Iterable[TP]) -> dict[str, list[int]]:
    topics: dict[str, list[int]] = defaultdict(list)
    for tp in partitions:
        topics[tp.topic].append(tp.partition)
    return topics
