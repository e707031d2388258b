"""Runs a source task: poll, convert, produce, and store offsets of what is acknowledged."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from connectors.api.errors import ConnectError, DataError, FatalError, RetriableError
from connectors.api.record import RecordMetadata, SourceRecord
from connectors.api.source import SourceTask
from connectors.runtime.conversion import Chain, converter
from connectors.runtime.in_flight import InFlight, Sent
from connectors.runtime.kafka_clients import client_options, overrides
from connectors.runtime.source_context import SourceContext, StoredOffsets, Transactions
from connectors.runtime.source_letters import Letter, SourceLetters
from connectors.runtime.task import Report, TaskRunner, TaskSpec
from connectors.runtime.topic_creation import create_missing

__all__ = ["SourceTaskRunner", "TooLargeError"]

log = logging.getLogger(__name__)


class _StoppingError(Exception):
    """The task was asked to stop while it waited for room in the producer's queue."""


class TooLargeError(DataError):
    """A record has more bytes than the producer takes; nothing of it was sent."""


# How soon answers of Kafka are looked at that somebody waits for; and all others, such as a token to renew.
_ANSWER_S = 0.05
_SERVE_S = 10.0
# How long a plugin is polled and its records are sent in its own thread, which takes acknowledgements where so many
# records, or so many bytes, wait for them. The task's thread stores offsets meanwhile; with 200 tasks each second
# without it counts.
_ROUNDS_S = 5.0
_ROUNDS_RECORDS, _ROUNDS_BYTES = 1000, 2_000_000

_TOO_LARGE = "a record is too large for Kafka; producer.override.message.max.bytes and the topic's limit set how large"


class SourceTaskRunner(TaskRunner):
    """See `TaskRunner`.

    An offset is stored only once its record and all records before it are acknowledged by all in-sync replicas: the
    records wait in one queue in the order polled, and only its acknowledged head is taken off.
    """

    task: SourceTask

    def __init__(self, spec: TaskSpec, report: Report, stored: StoredOffsets) -> None:
        super().__init__(spec, report)
        self.failure: ConnectError | None = None
        self.acked: list[tuple[SourceRecord, RecordMetadata | None]] = []
        self.wants_records = type(self.task).commit_record is not SourceTask.commit_record
        self._wants_commits = type(self.task).commit is not SourceTask.commit
        self._stored = stored
        self._transactions: Transactions | None = None
        self._inflight = InFlight()
        self._signals: deque[tuple[str, dict[str, Any]]] = deque()
        self._offsets: dict[str, Any] = {}
        self._known_topics: set[str] = set()
        self._storing = 0
        self._storing_since: float | None = None
        self._serving = threading.Lock()
        self._in_rounds = False
        self._cut, self._handed_over_bytes, self._unserved_bytes = False, 0, 0
        self._flush_s = int(spec.props.get("offset.flush.interval.ms", 1000)) / 1000
        self._next_flush = time.monotonic() + self._flush_s
        self._letters = SourceLetters(spec, self.task, self.metrics)

    @property
    def topics(self) -> set[str]:
        """The topics written to."""
        return set(self._known_topics)

    async def open(self) -> None:
        """Make the producer, start the plugin."""
        props = self.spec.props
        self._key, self._value = converter(props, "key", "string"), converter(props, "value", "canal-json")
        self._chain = Chain(props)
        connection = client_options(self.spec.settings, self.spec.task_id)
        self._producer = Producer(connection | _PRODUCER | overrides(props, "producer") | self.producer_options())
        self._prefix = self.spec.settings.kafka.prefix
        self._in_rounds, self._passes_bytes = self._may_go_in_rounds(), self._value.passes_bytes
        await self._letters.open()
        await self.prepare()
        self.task.initialize(SourceContext(self.spec, self._stored, self._transactions))
        await self.retried(lambda: self.call(self.task.start, self.spec.plugin_props))

    def producer_options(self) -> dict[str, Any]:
        """Return more options of the producer."""
        return {}

    def _may_go_in_rounds(self) -> bool:
        return not (self._chain or self.wants_records or inspect.iscoroutinefunction(self.task.poll))

    async def prepare(self) -> None:
        """Do what must be done between the producer's making and the plugin's start."""
        return

    def refused(self, topic: str, error: KafkaError) -> None:
        """Learn that Kafka did not take a record."""
        if self.failure is None:
            self.failure = FatalError(f"topic {topic}: Kafka refused a record: {error.str()}")

    def _serve(self, seconds: float = 0) -> None:
        """Let the producer call back with what Kafka answered; wait up to `seconds` for it."""
        try:
            with self._serving:  # what it calls back counts
                self._producer.poll(seconds)
        except KafkaException as error:
            self._lost(error.args[0])

    def _lost(self, problem: KafkaError) -> None:
        """Learn that the producer is of no use any more."""
        raise FatalError(f"the producer ended: {problem.str()}; restart the task")

    def signal(self, kind: str, data: dict[str, Any]) -> None:
        """Hand a user's message to the plugin before the next poll; from any thread."""
        self._signals.append((kind, data))

    async def _take_signals(self) -> None:
        while self._signals:
            kind, data = self._signals.popleft()
            try:
                await self.call(self.task.signal, kind, data)
            except ConnectError as error:
                log.warning("%s: signal %s: %s", self.spec.task_id, kind, error)

    async def step(self) -> None:
        """Poll once, produce what came, store offsets when it is time."""
        await self._take_signals()
        records = await self._poll()
        if records:
            await self._send(records)
        await self._settle()
        if time.monotonic() >= self._next_flush:
            await self._store_offsets()

    async def idle(self) -> None:
        """While paused: take acknowledgements, store their offsets."""
        await self.wait(self._until_next())
        await self._settle()
        await self._store_offsets()

    async def finish(self) -> None:
        """Wait for the last acknowledgements and store their offsets."""
        await self._answered(lambda: bool(self._inflight), self._stop_by - 1)
        await self._answered(lambda: self._storing_since is not None, self._stop_by)
        await self._store_offsets()
        await self._answered(lambda: self._storing_since is not None, self._stop_by)
        if self._storing_since is not None:
            log.warning("%s: stops before its offsets are stored; what they cover is sent again", self.spec.task_id)

    async def _answered(self, waits: Callable[[], bool], until: float) -> None:
        while waits() and time.monotonic() < until:
            await asyncio.to_thread(self._serve, 0.05)
            await self._settle()

    async def release(self) -> None:
        """Drop what is unsent; it was never acknowledged, so the next start polls it again."""
        if hasattr(self, "_producer"):
            self._producer.purge()
            await asyncio.to_thread(self._producer.flush, 1)
            self._chain.close()
            # Its threads and buffers do not wait for the garbage collector, which looks seldom.
            self._inflight.clear()
            del self._producer

    async def _poll(self) -> list[SourceRecord] | None:
        once = self._poll_in_rounds if self._in_rounds else self._poll_once
        polling = asyncio.ensure_future(self.retried(once))
        # While the plugin waits for its source, what was sent is acknowledged, and its offsets are stored.
        while not (await asyncio.wait([polling], timeout=self._until_next(sending=self._in_rounds)))[0]:
            await self._settle()
            if time.monotonic() >= self._next_flush:
                await self._store_offsets()
        records: list[SourceRecord] | None = polling.result()
        # At the end nothing new is sent: it would only delay the stop, and the next start polls it again.
        return None if self.stopping() else records

    async def _poll_once(self) -> list[SourceRecord] | None:
        began = time.monotonic()
        records: list[SourceRecord] | None = await self.call(self.task.poll)
        self.metrics.poll.observe(time.monotonic() - began)
        if records:
            self.metrics.polled.inc(len(records))
        return records

    async def _poll_in_rounds(self) -> list[SourceRecord] | None:
        records: list[SourceRecord] | None = await self.call(self._rounds, name="poll")
        return records

    def _rounds(self) -> list[SourceRecord] | None:
        """Poll and send in the plugin's own thread for a while: each change of thread costs more than a small batch.

        Returns:
            What is left to send of the last batch, from the first record on that takes more than handing it over.
        """
        end = time.monotonic() + _ROUNDS_S
        while True:
            began = time.monotonic()
            records = self.task.poll()
            now = time.monotonic()
            self.metrics.poll.observe(now - began)
            if records:
                self.metrics.polled.inc(len(records))
                self._moved = time.time()
                left = records if self.stopping() else self._handed_over(records)
                if left:
                    return left
                if len(self._inflight) > _ROUNDS_RECORDS or self._unserved_bytes > _ROUNDS_BYTES:
                    self._unserved_bytes = 0
                    self._serve()
                    self._take_acknowledged()
            if now >= end or self._wanted_elsewhere():
                return None

    def _wanted_elsewhere(self) -> bool:
        ends = self._paused or self.stopping() or self.failure is not None
        return ends or bool(self._signals) or self._plain.wanted  # such as for the plugin's `commit`

    def _handed_over(self, records: list[SourceRecord]) -> list[SourceRecord]:
        """Hand records over up to the first that needs more than that; return it and those after it."""
        at, known = 0, self._known_topics
        try:
            while (at := self._produced_as_they_are(records, at)) < len(records):
                record = records[at]
                if record.topic not in known:
                    return records[at:]
                self._produce(record, record)
                at += 1
        except (RetriableError, _StoppingError):
            return records[at:]
        finally:
            self.metrics.write_bytes.inc(self._handed_over_bytes)
            self._unserved_bytes += self._handed_over_bytes
            self._handed_over_bytes = 0
        return []

    def _produced_as_they_are(self, records: list[SourceRecord], first: int) -> int:
        """Do `_produce` for usual records, whose bytes are made already, all of them as one entry.

        Returns:
            The position of the first record that takes more than that.
        """
        if not self._passes_bytes:
            return first
        sent = self._inflight.open(self)
        last, produce, prefix, known = sent.last, self._producer.produce, self._prefix, self._known_topics
        end, count, size = first, 0, 0
        for record in records[first:] if first else records:
            topic, value, key = record.topic, record.value, record.key
            if topic in known and type(value) is bytes and (key is None or type(key) is bytes):
                partition, time_ms = record.partition, record.timestamp_ms
                to = -1 if partition is None else partition
                try:  # by position, as names cost a quarter of the call
                    produce(prefix + topic, value, key, to, sent, None, time_ms or 0, record.headers)
                except (BufferError, KafkaException):
                    break
                count += 1
                size += len(value)
            elif topic or record.error is not None:
                break
            if record.source_offset is not None:
                last[id(record.source_partition)] = record
            end += 1
        if end == first:
            self._inflight.drop()
        else:
            self._inflight.close(sent, end - first, count)
        self._handed_over_bytes += size
        return end

    def _until_next(self, *, sending: bool = False) -> float:
        """Return for how many seconds nothing needs a look; a thread that wakes for nothing costs all others."""
        longest = _SERVE_S
        if self._storing_since is not None or (self.wants_records and self._inflight):
            longest = _ANSWER_S
        if sending or self._inflight or self._offsets:
            longest = min(longest, max(0.0, self._next_flush - time.monotonic()))
        return longest

    async def _send(self, records: list[SourceRecord]) -> None:
        try:
            if self._chain:
                changed = [await self._now_or_later(self._transformed, record) for record in records]
            else:
                changed = [record if record.topic else None for record in records]
            await self._create_topics({record.topic for record in changed if record is not None})
            for number, (record, new) in enumerate(zip(records, changed, strict=True)):
                try:
                    self._produce(record, new)
                except RetriableError:
                    await self._now_or_later(self._produce, record, new)
                if number % 500 == 499:
                    self._serve()
                    if self.failure is not None:
                        raise self.failure
        except _StoppingError:
            self._cut = True
            log.info("%s: stops before all of a batch is sent; the next start polls the rest again", self.spec.task_id)
        self.metrics.write_bytes.inc(self._handed_over_bytes)
        self.metrics.active.set(len(self._inflight))
        self._handed_over_bytes = 0

    async def _now_or_later(self, step: Callable[..., Any], *arguments: Any) -> Any:
        """Do a step with a record; where what it needs is away, such as a schema registry, do it when that is back."""
        try:
            return step(*arguments)
        except RetriableError:
            done: list[Any] = []

            async def again() -> None:
                done.append(step(*arguments))

            await self.retried(again)
            if not done:
                raise _StoppingError from None
            return done[0]

    def _transformed(self, record: SourceRecord) -> SourceRecord | None:
        if not record.topic:
            return None
        try:
            return self._chain.apply(record)
        except RetriableError:
            raise
        except Exception as error:
            return self._letters.letter(record, error, "TRANSFORMATION", self._chain)

    def _produce(self, record: SourceRecord, changed: SourceRecord | None) -> None:
        sent = self._inflight.add(self, record)
        if changed is not None and type(changed) is not Letter:
            part = self._key
            try:
                key = changed.key
                if key is not None and not isinstance(key, bytes):
                    key = part.from_connect(changed.topic, changed.headers, key)
                part = self._value
                value = part.from_connect(changed.topic, changed.headers, changed.value)
            except RetriableError:  # about what the converter asks; not about this record
                self._inflight.drop()
                raise
            except Exception as error:
                stage = "KEY_CONVERTER" if part is self._key else "VALUE_CONVERTER"
                changed = self._letters.letter(record, error, stage, part)
            else:
                try:
                    self._hand_over(sent, changed, key, value)
                except TooLargeError as error:
                    self._letters.too_large(record, error)
                    self._leave_out(sent)
                return
        elif record.error is not None:
            changed = self._letters.errant(record)
        if changed is None:
            self._leave_out(sent)
        else:
            self._hand_over(sent, changed, changed.key, changed.value)

    def _leave_out(self, sent: Sent) -> None:
        sent.answered = sent.count
        if sent.record is not None:
            self.acked.append((sent.record, None))

    def _hand_over(self, sent: Sent, record: SourceRecord, key: Any, value: bytes | None) -> None:
        options: dict[str, Any] = {"headers": record.headers} if record.headers else {}
        if record.partition is not None:
            options["partition"] = record.partition
        if record.timestamp_ms is not None:
            options["timestamp"] = record.timestamp_ms
        try:
            self._enqueue(self.stopping, self._prefix + record.topic, value, key, on_delivery=sent, **options)
        except _StoppingError:
            self._inflight.drop()
            raise
        if value is not None:
            self._handed_over_bytes += len(value)

    def _enqueue(self, give_up: Callable[[], bool], topic: str, *arguments: Any, **options: Any) -> None:
        """Hand a record to the producer; where its queue is full, wait for acknowledgements: that is back-pressure."""
        while True:
            try:
                self._producer.produce(topic, *arguments, **options)
            except BufferError:
                if give_up():
                    raise _StoppingError from None
                self._serve(0.1)
            except KafkaException as error:
                if error.args[0].code() == KafkaError.MSG_SIZE_TOO_LARGE:
                    raise TooLargeError(f"topic {topic}: {_TOO_LARGE}") from error
                raise FatalError(f"topic {topic}: Kafka refused a record: {error.args[0].str()}") from error
            else:
                return

    async def _settle(self) -> None:
        """Learn what Kafka answered, and tell the plugin."""
        self._serve()
        if self.failure is not None:
            raise self.failure
        self._take_acknowledged()
        if self.acked:
            acked, self.acked = self.acked, []
            await self._tell_acked(acked)
        if self._storing_since is not None and not self._storing:
            await self._tell_stored(self._storing_since)

    def _take_acknowledged(self) -> None:
        """Take the acknowledged head off the queue, and keep the offset after it."""
        with self._serving:
            before = self._inflight.taken
            for record in self._inflight.take().values():
                self._offsets[json.dumps(record.source_partition or {}, sort_keys=True)] = record.source_offset
            count = self._inflight.taken - before
        if count:
            self.metrics.written.inc(count)
            self.metrics.active.set(len(self._inflight))

    async def _tell_acked(self, acked: list[tuple[SourceRecord, RecordMetadata | None]]) -> None:
        method = self.task.commit_record
        if inspect.iscoroutinefunction(method):
            for record, place in acked:
                await method(record, place)
        else:  # all at once, as each change of thread costs more than the call
            await self.call(lambda: [method(*each) for each in acked])

    async def _store_offsets(self) -> None:
        """Write the offsets to their topic; `_settle` learns when all in-sync replicas have them."""
        now = time.monotonic()
        self._next_flush = now + self._flush_s
        if not self._offsets or self._storing_since is not None or self.abandoned:
            return
        with self._serving:  # another thread may be adding to them
            offsets, self._offsets = self._offsets, {}
        self._storing, self._storing_since = len(offsets), now
        try:
            self._write_offsets(offsets, lambda: time.monotonic() > self._stop_by, self._offset_stored)
        except _StoppingError:
            log.info("%s: no room for its offsets", self.spec.task_id)

    def _offset_stored(self, error: KafkaError | None, _message: Any) -> None:
        self._storing -= 1
        if error is not None:
            self.failure = FatalError(f"source offsets could not be stored: {error.str()}")

    async def _tell_stored(self, since: float) -> None:
        self._storing_since = None
        self.metrics.committed.inc()
        self.metrics.commit.observe(time.monotonic() - since)
        await self._tell_committed()

    async def _tell_committed(self) -> None:
        if self._wants_commits:
            await self.call(self.task.commit)

    def _write_offsets(self, offsets: Mapping[str, Any], give_up: Callable[[], bool], delivered: Any) -> None:
        topic, name = self.spec.settings.internal("offsets"), json.dumps(self.spec.task_id.connector)
        for partition, offset in offsets.items():
            key, value = f"[{name}, {partition}]", json.dumps(dict(offset))
            self._enqueue(give_up, topic, value, key, partition=0, on_delivery=delivered)

    async def _create_topics(self, topics: set[str]) -> None:
        new = topics - self._known_topics
        if not new:
            return
        connection = client_options(self.spec.settings, self.spec.task_id) | overrides(self.spec.props, "admin")
        await create_missing(new, connection, self.spec.props, self._prefix)
        self._known_topics |= new


_PRODUCER: dict[str, Any] = {
    "enable.idempotence": True,
    "acks": "all",
    "linger.ms": 10,
    "compression.type": "lz4",
    "batch.size": 262_144,
    # Java's partitioner, so that keys land where other clients put them.
    "partitioner": "murmur2_random",
    "queue.buffering.max.kbytes": 32_768,
    "queue.buffering.max.messages": 20_000,
    # A broker that is away is waited for: giving up would drop the record.
    "message.timeout.ms": 0,
}
