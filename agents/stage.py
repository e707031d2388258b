"""One enrich stage: lists of records in, requests through the async operator, outputs out.

The way of a record: `take` (from the transport) -> `_accept` (decode once, ledger) -> operator -> `_emit` (encode once,
produce) -> `_delivered` -> ledger. `agents.checkpoint` writes pending rows and commits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Hashable, Iterable
from functools import partial
from typing import Any, Final

import confluent_kafka as ck

from agents.async_io.blocking import watch
from agents.async_io.function import AsyncFunction
from agents.async_io.operator import AsyncWaitOperator
from agents.async_io.queue import Entry, OrderedQueue, UnorderedQueue
from agents.checkpoint_figures import CheckpointFigures
from agents.config import StageConfig
from agents.config_options import KeyOrderConfig
from agents.formats import decoder
from agents.json_log import place_of
from agents.message import Message
from agents.outputs import Outputs
from agents.producer import is_purged
from agents.request import ROW_DELIVERED, ROW_NONE, ROW_WRITTEN, AssignedPartition, Request
from agents.stage_time import StageTime, drop_watermarks
from connectors.api.errors import ConnectError, DataError
from tables.pending import PendingRow, PendingTable, UnreadableRow

__all__ = ["Stage"]

log = logging.getLogger(__name__)

_TURN: Final = 64
"""Records taken from one partition before the next has its turn."""

_DECODER: Final = f"{Message.__module__}.{Message.__qualname__}"


class Stage:
    """Runs one stage of the configuration on the partitions that this worker owns.

    Args:
        config: What the user declared.
        function: The steps as one function.
        outputs: Output and dead-letter topic.
        table: Pending requests.
        fail: Called once with a sentence when the worker must stop.
        room: Set when a partition may be fetched again.
        transactional: Whether a commit makes outputs visible, so that handing them over is as good as delivery.
    """

    def __init__(
        self,
        config: StageConfig,
        function: AsyncFunction[Message, Message],
        outputs: Outputs,
        table: PendingTable,
        fail: Callable[[str], None],
        room: asyncio.Event,
        *,
        transactional: bool = False,
    ) -> None:
        self._transactional = transactional
        self.config = config
        self._decode = decoder(config.format, config.format_options)
        self.table = table
        self.outputs = outputs
        self.partitions: dict[int, AssignedPartition] = {}
        self.checkpoints = CheckpointFigures()
        self.rows_written = 0
        self.rows_undelivered = 0
        self.rows_idle = asyncio.Event()
        self.rows_idle.set()
        self._room = room
        self.may_emit: Callable[[], bool] = lambda: True
        self.failed = False
        self._first = 0
        self._fail = fail
        self.producer = outputs.producer
        self._queue = OrderedQueue if config.mode == "ordered" else UnorderedQueue
        self._inbox_limit = max(2 * config.capacity, 1000)
        self._always = config.persist == "always"
        self.operator = AsyncWaitOperator(
            function,
            timeout_s=config.timeout_s,
            capacity=config.capacity,
            retry=config.retry.strategy() if config.retry is not None else None,
            rate_limit=config.rate_limit.limit() if config.rate_limit is not None else None,
            adaptive=config.adaptive.adaptive() if config.adaptive is not None else None,
            on_timeout=config.on_timeout,
            on_failure=config.failure_policy,
        )
        order = config.key_order
        self._key_of = order.key if isinstance(order, KeyOrderConfig) else _kafka_key if order else None
        marks = config.watermarks
        self.time = None if marks is None else StageTime(marks, self.operator, config.input)
        self._watch = watch()

    async def open(self) -> None:
        """Open the function's clients."""
        self.operator.bind(self._on_ready)
        self._loop = asyncio.get_running_loop()
        await self.operator.function.open()
        self._watch.start()

    async def close(self) -> None:
        """Cancel what runs and close the function's clients; partitions were revoked before."""
        self._watch.stop()
        self.operator.close()
        await self.operator.function.close()

    @property
    def caches(self) -> list[Any]:
        """The caches of the stage's steps: whatever counts its hits."""
        steps = getattr(self.operator.function, "steps", [self.operator.function])
        return [cache for step in steps for cache in (step, getattr(step, "cache", None)) if hasattr(cache, "hits")]

    def age_s(self, request: Request) -> float:
        """Return how long a request has been here, seconds."""
        return self._loop.time() - request.accepted_at

    # ---- input

    def assign(self, numbers: Iterable[int]) -> list[AssignedPartition]:
        """Begin with partitions; their input waits until `start` gave them their pending requests."""
        added = [AssignedPartition(number, self._queue()) for number in numbers]
        self.partitions.update({part.number: part for part in added})
        self._room.set()
        return added

    def start(self, part: AssignedPartition, rows: Iterable[PendingRow]) -> None:
        """Let a partition run: pending requests first, in the order of their offsets, then new input."""
        for row in rows:
            request = self._request(part, row.offset, row.key, row.raw, row.headers, row.timestamp_ms)
            request.attempt = row.attempt
            request.row = ROW_DELIVERED
            part.restored[row.offset] = row
            part.ledger.restore(row.offset, request)
            part.pending.append(request)
        part.running = True
        self.pump()

    def drop(self, part: AssignedPartition) -> None:
        """Forget a partition: its calls are cancelled and what they still answer is ignored."""
        self.operator.discard(part.queue)
        if self.time is not None:
            self.time.drop(part)
        if self.partitions.get(part.number) is part:
            del self.partitions[part.number]
        self._room.set()

    def is_full(self, number: int) -> bool:
        """Tell whether a partition takes no records now: it has enough waiting, or it is not ours (any more)."""
        part = self.partitions.get(number)
        return part is None or part.frozen or len(part.inbox) >= self._inbox_limit

    def take(self, number: int, records: Collection[Any]) -> bool:
        """Take records of a partition from the consumer, in the order of their offsets; false if it is not ours now."""
        part = self.partitions.get(number)
        if part is None or part.frozen:
            return False
        part.inbox.extend(records)
        self.pump()
        return True

    def pump(self) -> None:
        """Fill free slots, the partitions in turn."""
        parts = [part for part in self.partitions.values() if part.running and not part.frozen]
        if len(parts) > 1:
            # Another one first each time, or the first alone would take the few slots that come free.
            self._first = (self._first + 1) % len(parts)
            parts = parts[self._first :] + parts[: self._first]
        while parts and self.operator.free > 0 and self.producer.has_room and not self.failed:
            parts = [part for part in parts if self._turn(part)]
        if not self._room.is_set() and any(len(p.inbox) < self._inbox_limit // 2 for p in self.partitions.values()):
            self._room.set()

    def _turn(self, part: AssignedPartition) -> bool:
        for _ in range(min(_TURN, self.operator.free)):
            if part.pending:
                self._submit(part, part.pending.popleft())
            elif part.inbox:
                self._accept(part, part.inbox.popleft())
            else:
                return False
        return True

    def _accept(self, part: AssignedPartition, record: Any) -> None:
        if part.restored and part.is_reread(record):
            part.ledger.skip(record.offset)
            return
        request = self._request(part, record.offset, record.key, record.value, list(record.headers), record.timestamp)
        if not part.ledger.accept(record.offset, request):
            return
        if self._always:
            self.write_row(request)
        self._submit(part, request)

    def _request(
        self,
        part: AssignedPartition,
        offset: int,
        key: bytes | None,
        raw: bytes | None,
        headers: list[tuple[str, bytes]],
        timestamp_ms: int,
    ) -> Request:
        place = (self.config.input, part.number, offset, key, raw)
        try:
            message = Message.decode(*place, headers, timestamp_ms, self._decode)
            event = None if self.time is None else self.time.event_of(message)
            one_by_one = None if self._key_of is None else self._key_of(message)
        except DataError as error:
            request = Request(part, Message(*place, {}, headers, timestamp_ms), self._loop.time())
            request.error = error
            return request
        request = Request(part, message, self._loop.time())
        request.event = event
        request.key = one_by_one
        request.passed = raw is None or message.value.get("isDdl") is True
        return request

    def _passed_on(self, message: Message) -> bytes | None:
        """Return the value of a message that no step sees: as it was, but where the output has another format."""
        return message.raw if self.config.format == "canal" else message.encode()

    def _submit(self, part: AssignedPartition, request: Request) -> None:
        message = request.message
        key = request.key
        if request.passed or request.error is not None:
            request.entry = self.operator.submit_done(
                message, part.queue, key=key, context=request, error=request.error
            )
        else:
            request.entry = self.operator.submit(message, part.queue, key=key, context=request, attempt=request.attempt)
        if self.time is not None:
            self.time.observe(part, request)

    # ---- output

    def _on_ready(self) -> None:
        if not self.may_emit():
            return
        for part in list(self.partitions.values()):
            if not part.frozen:
                while (entry := self.operator.pop_ready(part.queue)) is not None:
                    if entry.watermark is None:
                        self._emit(entry)
                    elif self.time is not None:
                        self.time.emitted(part, entry.watermark)
        self.pump()

    def _emit(self, entry: Entry) -> None:
        request: Request = entry.context
        request.entry = None
        if entry.error is not None:
            self._on_failure(request, entry.error)
            return
        if self.outputs.output is None or not entry.results:
            self._finish(request)
            return
        try:
            self._send(request, entry.results)
        except (ConnectError, ck.KafkaException) as error:
            self._on_failure(request, error)

    def _send(self, request: Request, results: list[Any]) -> None:
        source = request.message
        done = partial(self._delivered, request)
        if self.time is not None:
            self.time.stamp(request, [source] if request.passed else results)
        elif source.headers and self._queue is UnorderedQueue:
            drop_watermarks([source] if request.passed else results)
        encoded = [(source, self._passed_on(source))] if request.passed else self.outputs.encode(results)
        for result, value in encoded:
            self.outputs.send(source, result, value, done)
            request.left += 1
        if self._transactional:
            self._finish(request)

    def _on_failure(self, request: Request, error: BaseException) -> None:
        message = request.message
        place = f"stage {self.config.name}, {message.topic}-{message.partition}@{message.offset}"
        policy = self.operator.policy_of(error)
        if policy == "fail":
            self.stop_worker(f"{place}: {error}")
            return
        about = place_of(self.config.name, message.topic, message.partition, message.offset)
        log.warning("%s: %s (%s)", place, error, policy, extra=about)
        if policy == "dead-letter":
            name = _DECODER if request.error is error else self.operator.name
            self.outputs.send_dead_letter(message, error, name, partial(self._delivered, request))
            request.left += 1
            if self._transactional:
                self._finish(request)
        elif not request.left:
            self._finish(request)

    def _delivered(self, request: Request, error: ck.KafkaError | None, _: Any) -> None:
        if error is not None:
            self._undelivered("an output", request, error)
            return
        request.left -= 1
        if not request.left and not self._transactional:
            self._finish(request)

    def _finish(self, request: Request) -> None:
        part = request.partition
        part.ledger.finish(request.message.offset)
        if request.row != ROW_NONE and self.partitions.get(part.number) is part:
            # After the output's delivery, never before; and behind the row, as both go to one partition in order.
            key = b"%d-%d" % (part.number, request.message.offset)
            self.producer.send(self.table.topic, None, key, (), self._tombstone_delivered, partition=part.number)

    # ---- pending rows

    def write_row(self, request: Request) -> None:
        """Write a request into the pending table; the ledger knows when it is delivered."""
        left_s = request.accepted_at + self.config.timeout_s - self._loop.time()
        row = request.pending_row(self.config.deadline_ms(left_s))
        request.row = ROW_WRITTEN
        self.rows_undelivered += 1
        self.rows_written += 1
        self.rows_idle.clear()
        self.producer.send(
            self.table.topic,
            row.encode(),
            row.row_key(),
            (),
            partial(self._row_delivered, request),
            partition=row.partition,
        )

    def _row_delivered(self, request: Request, error: ck.KafkaError | None, _: Any) -> None:
        self.rows_undelivered -= 1
        if not self.rows_undelivered:
            self.rows_idle.set()  # after an error as well: the checkpoints of other partitions wait for it
        if error is not None:
            self._undelivered("the pending row", request, error)
            return
        request.row = ROW_DELIVERED
        request.partition.ledger.persisted(request.message.offset)

    def _tombstone_delivered(self, error: ck.KafkaError | None, _: Any) -> None:
        # In a transaction the commit fails with it, and begins anew from the last one.
        if error is not None and not is_purged(error) and not self._transactional:
            self.stop_worker(f"stage {self.config.name}: a pending row could not be cleared: {error.str()}")

    def _undelivered(self, what: str, request: Request, error: ck.KafkaError) -> None:
        if self.partitions.get(request.partition.number) is not request.partition:
            return  # the next owner of the partition does it again
        if self._transactional:
            return  # the commit fails with it, and begins anew from the last one
        message = request.message
        place = f"{message.topic}-{message.partition}@{message.offset}"
        self.stop_worker(f"stage {self.config.name}, {place}: {what} was not delivered: {error.str()}")

    def bury(self, row: UnreadableRow) -> None:
        """Put a row that nobody can read aside, so that it does not come back at each start."""
        log.error(
            "Stage %s: unreadable row of the pending table at %s-%d@%d: %s",
            self.config.name,
            row.topic,
            row.partition,
            row.offset,
            row.error,
        )
        if self.outputs.dead_letter is None:
            return  # it stays where it is, for somebody to look at

        def clear(error: ck.KafkaError | None, _: Any) -> None:
            if error is None:
                self.producer.send(row.topic, None, row.key, (), self._tombstone_delivered, partition=row.partition)
            elif not is_purged(error) and not self._transactional:
                self.stop_worker(f"stage {self.config.name}: a dead letter was not delivered: {error.str()}")

        self.outputs.send_dead_row((row.topic, row.partition, row.offset), row.key, row.value, row.error, clear)

    def stop_worker(self, sentence: str) -> None:
        """Stop the worker with an error; nothing further is accepted, and nothing unsafe is committed."""
        if not self.failed:
            self.failed = True
            self._fail(sentence)


def _kafka_key(message: Message) -> Hashable:
    return message.key
