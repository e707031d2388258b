"""Runs a sink task: consume, convert, put, and commit what the plugin says is durable."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaPartition

from connectors.api.errors import ConfigError, FatalError, RetriableError
from connectors.api.record import TopicPartition
from connectors.api.sink import SinkTask
from connectors.runtime.dead_letters import DeadLetters
from connectors.runtime.kafka_clients import client_options, group_of, overrides
from connectors.runtime.sink_context import SinkContext
from connectors.runtime.sink_intake import Batch, Intake
from connectors.runtime.state import State
from connectors.runtime.task import Report, TaskRunner, TaskSpec
from connectors.runtime.topics_regex import subscription

__all__ = ["SinkTaskRunner"]

log = logging.getLogger(__name__)

R = TypeVar("R")


class SinkTaskRunner(TaskRunner):
    """See `TaskRunner`.

    Only offsets that `pre_commit` returned are committed, and never beyond what was put; so whatever the plugin holds
    when it crashes is read again. Partitions are those of Kafka here; the plugin sees topics without the prefix.
    """

    task: SinkTask
    BATCH = 2000

    def __init__(self, spec: TaskSpec, report: Report) -> None:
        super().__init__(spec, report)
        self._flush_s = int(spec.props.get("offset.flush.interval.ms", 1000)) / 1000
        self._retry_limit_s = int(spec.props.get("errors.retry.timeout", -1)) / 1000
        self._next_commit = time.monotonic() + self._flush_s
        self._assigned: set[TopicPartition] = set()
        # Where each partition's reading began, what was put of it, and what is committed, since it was assigned.
        self._begun: dict[TopicPartition, int] = {}
        self._put_offsets: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._batch = Batch()
        self._backlog: list[Message] = []
        self._converting: list[Message] = []
        self._resting = False
        self._leaving = False
        self._held_back: set[TopicPartition] = set()
        self._letters = DeadLetters(spec.task_id, self.task, spec.props, spec.settings, self.metrics)
        self._context = SinkContext(spec, self._letters)
        self._prefix = spec.settings.kafka.prefix

    @property
    def topics(self) -> set[str]:
        """The topics that records were read from."""
        return {tp.topic.removeprefix(self._prefix) for tp in list(self._put_offsets)}

    async def open(self) -> None:
        """Start the plugin, then join the group."""
        props = self.spec.props
        self._intake = Intake(props, self._prefix, self._letters)
        await asyncio.to_thread(self._letters.open)
        self.task.initialize(self._context)
        await self.retried(lambda: self.call(self.task.start, self.spec.plugin_props))
        if self.stopping():
            return
        settings = self.spec.settings
        options = (
            client_options(settings, self.spec.task_id)
            | _CONSUMER
            | {"group.id": group_of(settings, self.spec.task_id.connector, props)}
        )
        self._consumer = Consumer(options | overrides(props, "consumer"))
        self._home = asyncio.get_running_loop()
        callbacks = {"on_assign": self._on_assign, "on_revoke": self._on_revoke, "on_lost": self._on_lost}
        await asyncio.to_thread(self._consumer.subscribe, self._subscription(props), **callbacks)

    async def step(self) -> None:
        """Take a batch, put it, commit when it is time."""
        messages = await asyncio.to_thread(self._take, 0.5)
        if messages:
            self.metrics.read.inc(len(messages))
            self.metrics.read_bytes.inc(sum(map(len, messages)))
            self._batch = await self._converted(messages)
            self._begun = self._batch.firsts | self._begun
            await self._put()
        elif self._assigned:
            await self._put_nothing()
        self._apply_requests()
        if time.monotonic() >= self._next_commit or self._context.commit_requested:
            await self._commit()

    async def idle(self) -> None:
        """While paused: stay in the group."""
        await self._poll_paused(0.5)

    async def on_pause(self) -> None:
        """Commit what is durable."""
        await self._commit()

    async def on_resume(self) -> None:
        """Fetch again."""
        self._consumer.resume([KafkaPartition(*tp) for tp in self._assigned - self._held_back])

    async def finish(self) -> None:
        """Commit what is durable."""
        await self._commit()

    async def leave(self) -> None:
        """Leave the group, which closes the partitions."""
        self._leaving = True
        if hasattr(self, "_consumer"):
            await asyncio.to_thread(self._consumer.close)

    async def release(self) -> None:
        """Close the transforms."""
        if hasattr(self, "_intake"):
            self._intake.close()

    # --- consume ---

    def _take(self, timeout_s: float) -> list[Message]:
        if self._backlog:
            backlog, self._backlog = self._backlog, []
            return backlog
        first = self._consumer.poll(timeout_s)
        if first is None:
            return []
        # What is in the local queue already; waiting for a full batch would delay it.
        return [first, *self._consumer.consume(self.BATCH - 1, 0)]

    async def _poll_paused(self, timeout_s: float) -> None:
        """Poll without taking records, or Kafka takes the task for dead."""
        self._consumer.pause([KafkaPartition(*tp) for tp in self._assigned])
        message = await asyncio.to_thread(self._consumer.poll, timeout_s)
        if message is not None:
            # A partition that was assigned just now was not paused: its record must not get lost.
            self._backlog.append(message)

    async def _converted(self, messages: list[Message]) -> Batch:
        self._converting = messages

        async def convert() -> Batch:
            return await self._intake.batch(self._converting, self._assigned)

        # Where the task is stopped meanwhile, nobody has these messages, so they do not count as put.
        batch = await self._insistent("conversion", convert) or Batch()
        self._converting = []
        return batch

    # --- put ---

    async def _insistent(self, what: str, call: Callable[[], Awaitable[R]]) -> R | None:
        """Make a call until it works, resting in between; None if the task was stopped before."""
        begun = time.monotonic()

        async def attempt() -> R:
            try:
                return await call()
            except RetriableError as error:
                if 0 <= self._retry_limit_s < time.monotonic() - begun:
                    message = f"{what} failed for {self._retry_limit_s:.0f} s (errors.retry.timeout): {error}"
                    raise FatalError(message) from error
                raise

        async def rest(seconds: float) -> None:
            left = begun + self._retry_limit_s - time.monotonic() if self._retry_limit_s >= 0 else float("inf")
            await self._rest(seconds, max(left, 0.0))

        result: R | None = await self.retried(attempt, rest) or None
        if self._resting and not self.stopping():
            await self.on_resume()
            self.report(State.RUNNING)
        self._resting = False
        return result

    async def _put(self) -> None:
        begun = time.monotonic()

        async def put() -> bool:
            await self.call(self.task.put, list(self._batch.records))
            return True

        if self._batch.records:
            if not await self._insistent("put", put):  # to stop: nobody has these records, so they do not count as put
                return
            self.metrics.put.observe(time.monotonic() - begun)
            self.metrics.sent.inc(len(self._batch.records))
        self._put_offsets |= self._batch.ends
        self._batch = Batch()
        if self._letters.failure is not None:
            await asyncio.to_thread(self._letters.settle)

    async def _put_nothing(self) -> None:
        """Give the plugin a turn, as a sink may act by the clock. Nothing was read, so nothing can be lost here."""

        async def put() -> bool:
            await self.call(self.task.put, [])
            return True

        await self._insistent("put", put)

    async def _rest(self, seconds: float, most: float = float("inf")) -> None:
        """Wait before the same batch is put again; longer where the plugin asked for that, but never beyond `most`."""
        self._resting = True
        until = time.monotonic() + min(max(seconds, self._context.take_timeout_s()), most)
        while not self.stopping() and (left := until - time.monotonic()) > 0:
            await self._poll_paused(min(left, 0.5))

    def _apply_requests(self) -> None:
        rewinds = {
            TopicPartition(self._prefix + tp.topic, tp.partition): n for tp, n in self._context.take_rewinds().items()
        }
        self._seek({tp: offset for tp, offset in rewinds.items() if tp in self._assigned})
        paused, resumed = self._context.take_pauses()
        for tp in paused | resumed:
            full = TopicPartition(self._prefix + tp.topic, tp.partition)
            if tp in paused:
                self._held_back.add(full)
                self._consumer.pause([KafkaPartition(*full)])
            else:
                self._held_back.discard(full)
                self._consumer.resume([KafkaPartition(*full)])

    def _seek(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._forget(offsets)
        for tp, offset in offsets.items():
            self._begun[tp] = offset
            self._committed.pop(tp, None)
            self._consumer.seek(KafkaPartition(*tp, offset))

    def _forget(self, partitions: Collection[TopicPartition]) -> None:
        """Drop what was read of partitions that were taken away or are read again."""
        self._batch.forget(partitions, self._prefix)
        self._backlog = _outside(self._backlog, partitions)
        self._converting = _outside(self._converting, partitions)
        for tp in partitions:
            self._put_offsets.pop(tp, None)

    # --- commit ---

    async def _commit(self) -> None:
        self._next_commit = time.monotonic() + self._flush_s
        self._context.commit_requested = False
        self._measure_lag()
        try:
            await self._commit_of(self._assigned)
        except RetriableError as error:
            # Whether the plugin still holds what it could not store is not known: read it again, which is safe.
            log.warning("%s: not durable, reading again: %s", self.spec.task_id, error)
            self._seek({tp: self._committed.get(tp, self._begun[tp]) for tp in self._put_offsets})
            await self._rest(1.0)
            await self.on_resume()
            self._resting = False

    async def _commit_of(self, partitions: Collection[TopicPartition]) -> None:
        """Ask the plugin what is durable, wait for dead letters, commit."""
        put = {tp: self._put_offsets[tp] for tp in partitions if tp in self._put_offsets}
        due = {tp: offset for tp, offset in put.items() if self._committed.get(tp) != offset}
        if not due:
            return
        safe = await self._pre_commit(due)
        await asyncio.to_thread(self._letters.settle)
        offsets = [KafkaPartition(*tp, offset) for tp, offset in safe.items() if offset != self._committed.get(tp)]
        if not offsets or self.abandoned:
            return
        begun = time.monotonic()
        try:
            await asyncio.to_thread(self._consumer.commit, offsets=offsets, asynchronous=False)
        except KafkaException as error:
            self.metrics.not_committed.inc()
            # Not committed is safe: the records are read again.
            log.warning("%s: offsets were not committed: %s", self.spec.task_id, error.args[0].str())
            return
        self.metrics.committed.inc()
        self.metrics.commit.observe(time.monotonic() - begun)
        self._committed |= safe

    async def _pre_commit(self, due: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        plain = {TopicPartition(tp.topic.removeprefix(self._prefix), tp.partition): n for tp, n in due.items()}
        answer: Mapping[TopicPartition, int] | None = await self.call(self.task.pre_commit, plain)
        safe = {TopicPartition(self._prefix + tp.topic, tp.partition): n for tp, n in (answer or {}).items()}
        for tp, offset in safe.items():
            if offset > due.get(tp, -1):
                log.warning("%s: pre_commit answered %d for %s, not put", self.spec.task_id, offset, tp)
        return {tp: offset for tp, offset in safe.items() if offset <= due.get(tp, -1)}

    def _measure_lag(self) -> None:
        lag = 0
        for tp in self._assigned:
            _low, high = self._consumer.get_watermark_offsets(KafkaPartition(*tp), cached=True) or (-1, -1)
            if high >= 0 and tp in self._put_offsets:
                lag += max(0, high - self._put_offsets[tp])
        put = self._put_offsets.items()
        held = sum(offset - self._committed.get(tp, self._begun.get(tp, offset)) for tp, offset in put)
        self.metrics.uncommitted.set(held)
        self.metrics.lag.set(lag)
        self.metrics.partitions.set(len(self._assigned))

    # --- rebalance: called by librdkafka inside poll, in the consuming thread ---

    def _on_assign(self, _consumer: Consumer, partitions: list[KafkaPartition]) -> None:
        self._in_loop(self._opened({TopicPartition(tp.topic, tp.partition) for tp in partitions}))

    def _on_revoke(self, _consumer: Consumer, partitions: list[KafkaPartition]) -> None:
        self._in_loop(self._closed({TopicPartition(tp.topic, tp.partition) for tp in partitions}, commit=True))

    def _on_lost(self, _consumer: Consumer, partitions: list[KafkaPartition]) -> None:
        # Another task has them already: a commit would be refused.
        self._in_loop(self._closed({TopicPartition(tp.topic, tp.partition) for tp in partitions}, commit=False))

    def _in_loop(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._home).result()

    async def _opened(self, partitions: set[TopicPartition]) -> None:
        self._assigned |= partitions
        await self._tell(self.task.open, partitions)

    async def _closed(self, partitions: set[TopicPartition], *, commit: bool) -> None:
        try:
            # While a put is being retried the plugin is in the middle of something.
            if commit and not self._resting:
                await self._commit_of(partitions)
        except Exception as error:  # the partitions go all the same
            log.warning("%s: nothing committed while partitions leave: %s", self.spec.task_id, error)
        self._assigned -= partitions
        self._held_back -= partitions
        # Their next owner, which may be this task, reads them from what is committed.
        self._forget(partitions)
        for tp in partitions:
            self._begun.pop(tp, None)
            self._committed.pop(tp, None)
        try:
            await self._tell(self.task.close, partitions)
        except Exception as error:
            if not self._leaving:
                raise
            # The group must be left, or nobody else gets the partitions.
            log.warning("%s: close() failed: %s", self.spec.task_id, error)

    async def _tell(self, method: Any, partitions: set[TopicPartition]) -> None:
        plain = {TopicPartition(tp.topic.removeprefix(self._prefix), tp.partition) for tp in partitions}
        self._context.assigned = {
            TopicPartition(tp.topic.removeprefix(self._prefix), tp.partition) for tp in self._assigned
        }
        if plain:
            await self.call(method, plain)

    def _subscription(self, props: Mapping[str, str]) -> list[str]:
        regex = props.get("topics.regex")
        if regex:
            return [subscription(regex, self._prefix)]
        topics = [topic.strip() for topic in props.get("topics", "").split(",") if topic.strip()]
        if not topics:
            raise ConfigError("Exactly one of the options topics and topics.regex is needed", key="topics")
        return [self._prefix + topic for topic in topics]


_CONSUMER: dict[str, Any] = {
    "enable.auto.commit": False,
    "auto.offset.reset": "earliest",
    "session.timeout.ms": 10_000,
    "heartbeat.interval.ms": 2000,
    # New topics are noticed within seconds, as a sink may be deployed before its topic exists.
    "topic.metadata.refresh.interval.ms": 5000,
    "metadata.max.age.ms": 15_000,
    "queued.max.messages.kbytes": 16_384,
    "fetch.wait.max.ms": 100,
    "fetch.error.backoff.ms": 100,
}


def _outside(messages: list[Message], partitions: Collection[TopicPartition]) -> list[Message]:
    return [each for each in messages if (each.topic(), each.partition()) not in partitions]
