"""The operator in a simulated loop, beside a model that is too simple to be wrong."""

from __future__ import annotations

import asyncio
import heapq
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agents.async_io import AsyncFunction, AsyncTimeoutError, ResultFuture, Watermark, fixed_delay
from agents.async_io.operator import AsyncWaitOperator
from agents.async_io.queue import Entry, OrderedQueue, StreamElementQueue, UnorderedQueue
from connectors.api.errors import DataError

# Milliseconds; no sum of steps gives the same instant to a retry and a time-out.
TIMEOUT_MS = 10_000
RETRY_MS = 1301
STEPS_MS = (101, 1009, 5003, 12_007)


class SimulatedLoop(asyncio.AbstractEventLoop):
    """As much of an event loop as the operator and its tasks need."""

    def __init__(self) -> None:
        self.now = 0.0
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[asyncio.TimerHandle] = []

    def time(self) -> float:
        return self.now

    def get_debug(self) -> bool:
        return False

    def is_closed(self) -> bool:
        return False

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, handle)
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        return self.call_at(self.now + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=self, **options)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        raise AssertionError(context)

    def run_ready(self) -> None:
        while self._ready:
            handle = self._ready.popleft()
            if not handle.cancelled():
                handle._run()

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while self._timers and self._timers[0].when() <= end + 1e-6:
            handle = heapq.heappop(self._timers)
            if not handle.cancelled():
                self.now = max(self.now, handle.when())
                handle._run()
                self.run_ready()
        self.now = end

    def __enter__(self) -> SimulatedLoop:
        asyncio._set_running_loop(self)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio._set_running_loop(None)


# ---- the model


@dataclass(eq=False)
class Record:
    number: int
    lane: int
    key: int | None
    state: str  # waits (for its key), calls, pauses (before a retry), asks (its timeout()), done
    deadline_ms: int = 0
    until_ms: int = 0
    attempts: int = 0
    holds_key: bool = False
    passes: bool = False
    barrier: bool = False
    outcome: Any = None
    done_as: int = 0
    turn: int = 0


@dataclass
class Model:
    ordered: bool
    capacity: int
    retries: int
    timeout: str
    now_ms: int = 0
    count: int = 0
    lanes: list[list[Record]] = field(default_factory=lambda: [[], []])
    called_off: list[tuple[int, int]] = field(default_factory=list)

    def tick(self) -> int:
        self.count += 1
        return self.count

    @property
    def records(self) -> list[Record]:
        return [record for lane in self.lanes for record in lane]

    def submit(self, number: int, lane: int, key: int | None, kind: str) -> None:
        record = Record(number, lane, key, "waits", self.now_ms + TIMEOUT_MS, turn=self.tick())
        record.passes, record.barrier = kind == "passes", kind == "barrier"
        self.lanes[lane].append(record)
        taken = key is not None and any(
            other.holds_key for other in self.lanes[lane] if other.key == key and other is not record
        )
        if not taken:
            self._begin(record)

    def _begin(self, record: Record) -> None:
        if record.passes or record.barrier:
            self._done(record, ("ok", [record.number]))
            return
        record.holds_key = record.key is not None
        record.state = "calls"
        record.attempts += 1

    def _done(self, record: Record, outcome: Any) -> None:
        record.state, record.outcome, record.done_as = "done", outcome, self.tick()
        if record.holds_key:
            record.holds_key = False
            line = [one for one in self.lanes[record.lane] if one.key == record.key and one.state == "waits"]
            for following in sorted(line, key=lambda one: one.number):
                if not following.passes and following.deadline_ms <= self.now_ms:
                    continue  # its time is up at the same moment
                self._begin(following)
                if following.holds_key:
                    break

    def answer(self, record: Record, how: str) -> None:
        if how in ("ok", "empty"):
            self._done(record, ("ok", [record.number] if how == "ok" else []))
        elif record.state == "calls" and how == "error" and record.attempts <= self.retries:
            record.state, record.until_ms = "pauses", self.now_ms + RETRY_MS
        else:
            self._done(record, ("failed", None))

    def pass_time(self, milliseconds: int) -> None:
        end = self.now_ms + milliseconds
        while True:
            due = [(one.until_ms, 0, one) for one in self.records if one.state == "pauses"]
            due += [
                (one.deadline_ms, one.turn, one)
                for one in self.records
                if one.state != "done" and not (one.passes or one.barrier)
            ]
            at, what, record = min(due, key=lambda one: one[:2], default=(end + 1, 0, None))
            if record is None or at > end:
                break
            self.now_ms = at
            if what == 0:
                record.state = "calls"
                record.attempts += 1
            else:
                self._time_out(record)
        self.now_ms = end

    def _time_out(self, record: Record) -> None:
        if record.state in ("calls", "asks"):
            self.called_off.append((record.number, -1 if record.state == "asks" else record.attempts))
        if record.state == "asks" or self.timeout in ("default", "returns"):
            self._done(record, ("timeout", None))
        elif self.timeout == "answers":
            self._done(record, ("ok", [-record.number]))
        elif self.timeout == "raises":
            self._done(record, ("failed", None))
        else:
            record.state, record.deadline_ms, record.turn = "asks", self.now_ms + TIMEOUT_MS, self.tick()

    def pop(self, lane: int) -> Record | None:
        line = self.lanes[lane]
        if self.ordered:
            found = line[0] if line and line[0].state == "done" else None
        else:
            barriers = [i for i, one in enumerate(line) if one.barrier]
            segment = line[: barriers[0]] if barriers else line
            done = [one for one in segment if one.state == "done"]
            found = min(done, key=lambda one: one.done_as, default=None)
            if not segment and barriers:
                found = line[0]
        if found is not None:
            line.remove(found)
        return found

    def discard(self, lane: int) -> None:
        for record in self.lanes[lane]:
            if record.state in ("calls", "asks"):
                self.called_off.append((record.number, -1 if record.state == "asks" else record.attempts))
        self.lanes[lane] = []


# ---- the function under the operator


class Called(AsyncFunction[int, int]):
    """Answers when the machine says so."""

    def __init__(self, loop: SimulatedLoop, timeout: str) -> None:
        self._loop = loop
        self._timeout = timeout
        self.as_coroutine: set[int] = set()
        self.attempts: dict[int, int] = {}
        self.gates: dict[ResultFuture[int], asyncio.Future[str]] = {}
        self.futures: dict[int, ResultFuture[int]] = {}
        self.old: list[ResultFuture[int]] = []
        self.called_off: list[tuple[int, int]] = []

    async def async_invoke(self, value: int, result_future: ResultFuture[int]) -> None:
        attempt = self.attempts[value] = self.attempts.get(value, 0) + 1
        self._note(value, attempt, result_future)
        if value in self.as_coroutine:
            gate = self.gates[result_future] = self._loop.create_future()
            try:
                how = await gate
            except asyncio.CancelledError:
                result_future.complete([999])  # a stubborn client: it is too late
                raise
            say(result_future, value, how, raising=True)
            result_future.complete([999])

    async def timeout(self, value: int, result_future: ResultFuture[int]) -> None:
        if self._timeout == "answers":
            result_future.complete([-value])
        elif self._timeout == "raises":
            raise LookupError("in timeout")
        elif self._timeout == "later":
            self._note(value, -1, result_future)
            gate = self.gates[result_future] = self._loop.create_future()
            say(result_future, value, await gate, raising=False)

    @property
    def answers_timeouts(self) -> bool:
        return self._timeout != "default"

    def _note(self, value: int, attempt: int, future: ResultFuture[int]) -> None:
        if value in self.futures:
            self.old.append(self.futures[value])
        self.futures[value] = future
        future.on_cancel(lambda: self.called_off.append((value, attempt)))


def say(future: ResultFuture[int], value: int, how: str, *, raising: bool) -> None:
    error = {"error": OSError("away"), "data": DataError("bad row"), "cancelled": asyncio.CancelledError()}.get(how)
    if error is not None and raising:
        raise error
    if error is not None:
        future.complete_exceptionally(error)
    else:
        future.complete({"ok": [value], "empty": [], "no list": None}[how])  # type: ignore[arg-type]


def in_a_thread(call: Callable[[], None]) -> None:
    thread = threading.Thread(target=call)
    thread.start()
    thread.join()


class Harness:
    """One operator and its model; every step is taken by both."""

    def __init__(self, ordered: bool, capacity: int, retries: int, timeout: str) -> None:
        self.loop = SimulatedLoop()
        self.model = Model(ordered, capacity, retries, timeout)
        self.function = Called(self.loop, timeout)
        self.operator = AsyncWaitOperator(
            self.function,
            timeout_s=TIMEOUT_MS / 1000,
            capacity=capacity,
            retry=fixed_delay(retries, RETRY_MS / 1000) if retries else None,
        )
        self.kind: type[StreamElementQueue] = OrderedQueue if ordered else UnorderedQueue
        self.queues: list[StreamElementQueue] = [self.kind(), self.kind()]
        self.numbers = 0
        self.ready = False
        with self.loop:
            self.operator.bind(self._on_ready)

    def _on_ready(self) -> None:
        self.ready = True

    @property
    def running(self) -> list[Record]:
        return [one for one in self.model.records if one.state in ("calls", "asks")]

    @property
    def has_room(self) -> bool:
        return self.operator.free > 0

    def submit(self, lane: int, key: int | None, as_coroutine: bool) -> None:
        self.numbers += 1
        if as_coroutine:
            self.function.as_coroutine.add(self.numbers)
        with self.loop:
            self.operator.submit(self.numbers, self.queues[lane], key=key)
        self.model.submit(self.numbers, lane, key, "calls")
        self._agree()

    def submit_without_a_call(self, lane: int, key: int | None) -> None:
        self.numbers += 1
        with self.loop:
            self.operator.submit_done(self.numbers, self.queues[lane], key=key)
        self.model.submit(self.numbers, lane, key, "passes")
        self._agree()

    def submit_watermark(self, lane: int) -> None:
        self.numbers += 1
        with self.loop:
            self.operator.submit_watermark(Watermark(self.numbers), self.queues[lane])
        self.model.submit(self.numbers, lane, None, "barrier")
        self._agree()

    def answer(self, pick: int, how: str, elsewhere: int) -> None:
        record = self.running[pick % len(self.running)]
        future = self.function.futures[record.number]
        gate = self.function.gates.get(future)
        with self.loop:
            if gate is not None:
                gate.set_result(how)
            elif elsewhere == 0:
                in_a_thread(lambda: say(future, record.number, how, raising=False))
            else:
                say(future, record.number, how, raising=False)
        self.model.answer(record, how)
        self._agree()
        self.function.old.append(future)

    def answer_late_or_again(self, pick: int, how: str, elsewhere: int) -> None:
        future = self.function.old[-1 - pick % len(self.function.old)]
        with self.loop:
            if elsewhere == 0:
                in_a_thread(lambda: say(future, 998, how, raising=False))
            else:
                say(future, 998, how, raising=False)
        self._agree()

    def pass_time(self, milliseconds: int) -> None:
        with self.loop:
            self.loop.pass_time(milliseconds / 1000)
        self.model.pass_time(milliseconds)
        self._agree()

    def emit(self, lane: int, most: int) -> None:
        for _ in range(most):
            with self.loop:
                entry = self.operator.pop_ready(self.queues[lane])
            expected = self.model.pop(lane)
            assert (entry is None) == (expected is None)
            if entry is None or expected is None:
                break
            assert what(entry) == (expected.number, expected.outcome)
        self._agree()

    def take_partition_away(self, lane: int) -> None:
        with self.loop:
            self.operator.discard(self.queues[lane])
        self.queues[lane] = self.kind()
        self.model.discard(lane)
        self._agree()

    def _agree(self) -> None:
        done_before = {one.number for one in self.model.records if one.state == "done"}
        with self.loop:
            self.loop.run_ready()
        assert self.operator.size == len(self.model.records) == sum(len(queue) for queue in self.queues)
        for record in self.model.records:
            assert self.function.attempts.get(record.number, 0) == record.attempts
        assert sorted(self.function.called_off) == sorted(self.model.called_off)
        assert not done_before or self.ready, "whoever emits was told"

    def end(self) -> None:
        for _ in range(4):  # each record times out once, and its timeout() once more
            self.pass_time(STEPS_MS[-1])
            self.emit(0, 99)
            self.emit(1, 99)
            if not self.operator.size:
                break
        assert self.operator.size == 0, "time alone empties the operator"
        with self.loop:
            self.operator.close()
            self.loop.run_ready()


def what(entry: Entry) -> tuple[int, Any]:
    if entry.watermark is not None:
        return entry.watermark.ts_us, ("ok", [entry.watermark.ts_us])
    if entry.error is None:
        return entry.value, ("ok", entry.results)
    return entry.value, ("timeout" if isinstance(entry.error, AsyncTimeoutError) else "failed", None)
