"""Runs a sink task: consume, convert, put, and commit what the plugin says is durable."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message
from confluent_kafka import TopicPartition as KafkaPartition

from connectors.api.errors import ConfigError, ConnectError, DataError, FatalError, RetriableError
from connectors.api.record import SinkRecord, TopicPartition
from connectors.api.sink import SinkTask
from connectors.runtime.conversion import Chain, converter
from connectors.runtime.dead_letters import DeadLetters
from connectors.runtime.sink_context import SinkContext
from connectors.runtime.state import State
from connectors.runtime.task import Report, TaskRunner, TaskSpec

__all__ = ["SinkTaskRunner"]

log = logging.getLogger(__name__)


class SinkTaskRunner(TaskRunner):
    """See `TaskRunner`.

    Only offsets that `pre_commit` returned are committed, and never beyond what was put; so whatever the plugin holds
    when it crashes is read again.
    """

    task: SinkTask
    BATCH = 2000

    def __init__(self, spec: TaskSpec, report: Report) -> None:
        super().__init__(spec, report)
        self._flush_s = int(spec.props.get("offset.flush.interval.ms", 1000)) / 1000
        self._retry_limit_s = int(spec.props.get("errors.retry.timeout", -1)) / 1000
        self._next_commit = time.monotonic() + self._flush_s
        self._put_offsets: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._assigned: set[TopicPartition] = set()
        self._letters = DeadLetters(spec.task_id, spec.props, spec.settings, self.metrics)
        self._context = SinkContext(spec, self._letters)
        self._prefix = spec.settings.kafka.prefix

    async def open(self) -> None:
        """Start the plugin, then join the group."""
        props = self.spec.props
        self._key, self._value = converter(props, "key", "string"), converter(props, "value", "canal-json")
        self._chain = Chain(props)
        await asyncio.to_thread(self._letters.open)
        self.task.initialize(self._context)
        await self.retried(lambda: self.call(self.task.start, props))
        if self.stopping():
            return
        settings = self.spec.settings
        options = settings.kafka.librdkafka() | _CONSUMER | {"group.id": settings.group(self.spec.task_id.connector)}
        self._consumer = Consumer(options | _overrides(props))
        self._home = asyncio.get_running_loop()
        callbacks = {"on_assign": self._on_assign, "on_revoke": self._on_revoke, "on_lost": self._on_lost}
        await asyncio.to_thread(self._consumer.subscribe, self._subscription(props), **callbacks)

    async def step(self) -> None:
        """Take a batch, put it, commit when it is time."""
        records = self._converted(await asyncio.to_thread(self._take, 0.5))
        if records:
            await self._put(records)
        self._apply_requests()
        if time.monotonic() >= self._next_commit or self._context.commit_requested:
            await self._commit()

    async def idle(self) -> None:
        """While paused: stay in the group."""
        await asyncio.to_thread(self._consumer.poll, 0.5)

    async def on_pause(self) -> None:
        """Commit, and fetch nothing."""
        await self._commit()
        self._consumer.pause([KafkaPartition(*tp) for tp in self._assigned])

    async def on_resume(self) -> None:
        """Fetch again."""
        self._consumer.resume([KafkaPartition(*tp) for tp in self._assigned])

    async def finish(self) -> None:
        """Commit what is durable."""
        await self._commit()

    async def release(self) -> None:
        """Leave the group."""
        if hasattr(self, "_consumer"):
            await asyncio.to_thread(self._consumer.close)
            self._chain.close()

    # --- consume ---

    def _take(self, timeout_s: float) -> list[Message]:
        first = self._consumer.poll(timeout_s)
        if first is None:
            return []
        # What is in the local queue already; waiting for a full batch would delay it.
        return [first, *self._consumer.consume(self.BATCH - 1, 0)]

    def _converted(self, messages: list[Message]) -> list[SinkRecord]:
        records = []
        for message in messages:
            error = message.error()
            if error is not None:
                self._on_error(error)
                continue
            record = self._convert(message)
            if record is not None:
                records.append(record)
        if messages:
            self.metrics.read.inc(len(messages))
        if self._letters.failure is not None:
            raise self._letters.failure
        return records

    def _convert(self, message: Message) -> SinkRecord | None:
        raw_key, raw_value, headers = message.key(), message.value(), message.headers() or []
        topic = message.topic().removeprefix(self._prefix)
        _kind, timestamp = message.timestamp()
        record = SinkRecord(
            topic, message.partition(), message.offset(), None, None, headers, timestamp, raw_key, raw_value
        )
        stage = "KEY_CONVERTER"
        try:
            record.key = self._key.to_connect(topic, headers, raw_key)
            stage = "VALUE_CONVERTER"
            record.value = self._value.to_connect(topic, headers, raw_value)
            stage = "TRANSFORMATION"
            kept = self._chain.apply(record) if self._chain else record
        except DataError as error:
            self._letters.handle(record, error, stage)
            kept = None
        if kept is None:
            # Nothing of it goes to the target, so it counts as put.
            self._put_offsets[TopicPartition(message.topic(), record.partition)] = record.offset + 1
        return kept

    def _on_error(self, error: KafkaError) -> None:
        if error.code() in (KafkaError._PARTITION_EOF, KafkaError.UNKNOWN_TOPIC_OR_PART):
            log.info("%s: %s", self.spec.task_id, error.str())
        elif error.fatal() or not error.retriable():
            raise FatalError(f"reading from Kafka failed: {error.str()}")
        else:
            log.warning("%s: %s", self.spec.task_id, error.str())

    # --- put ---

    async def _put(self, records: list[SinkRecord]) -> None:
        begun = time.monotonic()

        async def put() -> None:
            mine = [record for record in records if self._key_of(record) in self._assigned]
            try:
                await self.call(self.task.put, mine)
            except RetriableError as error:
                if 0 <= self._retry_limit_s < time.monotonic() - begun:
                    message = f"put failed for {self._retry_limit_s:.0f} s (errors.retry.timeout): {error}"
                    raise FatalError(message) from error
                raise

        self._resting = False
        await self.retried(put, self._rest)
        if self.stopping() and self._resting:
            return
        if self._resting:
            await self.on_resume()
            self.report(State.RUNNING)
        self.metrics.put.observe(time.monotonic() - begun)
        self.metrics.sent.inc(len(records))
        for record in records:
            tp = self._key_of(record)
            if tp in self._assigned:
                self._put_offsets[tp] = record.offset + 1
        if self._letters.failure is not None:
            await asyncio.to_thread(self._letters.settle)

    _resting = False

    async def _rest(self, seconds: float) -> None:
        """Wait before the same batch is put again; poll meanwhile, or Kafka takes the task for dead."""
        self._resting = True
        until = time.monotonic() + max(seconds, self._context.take_timeout_s())
        while not self.stopping() and (left := until - time.monotonic()) > 0:
            self._consumer.pause([KafkaPartition(*tp) for tp in self._assigned])
            await asyncio.to_thread(self._consumer.poll, min(left, 0.5))

    def _key_of(self, record: SinkRecord) -> TopicPartition:
        return TopicPartition(self._prefix + record.topic, record.partition)

    def _apply_requests(self) -> None:
        for tp, offset in self._context.take_rewinds().items():
            full = TopicPartition(self._prefix + tp.topic, tp.partition)
            self._put_offsets.pop(full, None)
            self._consumer.seek(KafkaPartition(full.topic, full.partition, offset))
        paused, resumed = self._context.take_pauses()
        if paused:
            self._consumer.pause([KafkaPartition(self._prefix + tp.topic, tp.partition) for tp in paused])
        if resumed:
            self._consumer.resume([KafkaPartition(self._prefix + tp.topic, tp.partition) for tp in resumed])

    # --- commit ---

    async def _commit(self) -> None:
        self._next_commit = time.monotonic() + self._flush_s
        self._context.commit_requested = False
        await self._commit_of({tp for tp in self._put_offsets if tp in self._assigned})

    async def _commit_of(self, partitions: Collection[TopicPartition]) -> None:
        """Ask the plugin what is durable, wait for dead letters, commit."""
        put = {tp: self._put_offsets[tp] for tp in partitions if tp in self._put_offsets}
        due = {tp: offset for tp, offset in put.items() if self._committed.get(tp) != offset}
        if not due:
            return
        safe = await self._pre_commit(due)
        await asyncio.to_thread(self._letters.settle)
        offsets = [KafkaPartition(*tp, offset) for tp, offset in safe.items() if offset != self._committed.get(tp)]
        if not offsets:
            return
        try:
            await asyncio.to_thread(self._consumer.commit, offsets=offsets, asynchronous=False)
        except KafkaException as error:
            # Not committed is safe: the records are read again.
            log.warning("%s: offsets were not committed: %s", self.spec.task_id, error.args[0].str())
            return
        self._committed |= safe

    async def _pre_commit(self, due: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        plain = {TopicPartition(tp.topic.removeprefix(self._prefix), tp.partition): n for tp, n in due.items()}
        try:
            answer: Mapping[TopicPartition, int] = await self.call(self.task.pre_commit, plain)
        except RetriableError as error:
            log.warning("%s: not durable yet: %s", self.spec.task_id, error)
            return {}
        safe = {TopicPartition(self._prefix + tp.topic, tp.partition): n for tp, n in (answer or {}).items()}
        for tp, offset in safe.items():
            if offset > due.get(tp, -1):
                log.warning("%s: pre_commit answered %d for %s, which was not put; left out", self.task, offset, tp)
        return {tp: offset for tp, offset in safe.items() if offset <= due.get(tp, -1)}

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
        for tp in partitions:
            self._put_offsets.pop(tp, None)
            self._committed.pop(tp, None)
        await self._tell(self.task.open, partitions)

    async def _closed(self, partitions: set[TopicPartition], *, commit: bool) -> None:
        if commit and not self._resting:
            try:
                await self._commit_of(partitions)
            except ConnectError as error:
                log.warning("%s: nothing committed while partitions leave: %s", self.spec.task_id, error)
        self._assigned -= partitions
        for tp in partitions:
            self._put_offsets.pop(tp, None)
        await self._tell(self.task.close, partitions)

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
            return [f"^{self._prefix}{regex.removeprefix('^')}"]
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


def _overrides(props: Mapping[str, str]) -> dict[str, str]:
    prefix = "consumer.override."
    return {name.removeprefix(prefix): value for name, value in props.items() if name.startswith(prefix)}
