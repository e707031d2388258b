"""Runs requests: capacity, time-outs, retries, key order. Knows neither Kafka nor where records come from.

Everything here runs on one event loop; only `ResultFuture` may be used from other threads, and what comes from there
is handed to the loop once per burst.

Source: Flink 2.3, `operators.async.AsyncWaitOperator`, and for the order by key `TableAsyncExecutionController`.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Hashable
from typing import Any, Final

from agents.async_io.blocking import watches_calls_of
from agents.async_io.errors import AsyncOperationError, AsyncTimeoutError
from agents.async_io.figures import Figures
from agents.async_io.function import (
    AsyncFunction,
    CoroutineFunction,
    FunctionLike,
    ResultFuture,
    as_async_function,
    cancelled_from_outside,
    check_results,
    deliver_on,
    name_of,
)
from agents.async_io.limits import AdaptiveCapacity, CapacityControl, RateControl, RateLimit
from agents.async_io.policy import FailurePolicy, TimeoutPolicy, asks_timeout, failure_policy
from agents.async_io.queue import Entry, StreamElementQueue
from agents.async_io.retry import RetryStrategy
from agents.async_io.watermark import Watermark

__all__ = ["AsyncWaitOperator"]

_TIMER_SLACK_S: Final = 0.001


class AsyncWaitOperator:
    """Calls a function for each entry, with bounds on number and time.

    A slot is taken at acceptance and given back by `pop_ready`, so capacity counts what runs, what waits for its key
    and what is done but not emitted. The caller asks `free` before it submits: that is the back-pressure.

    Args:
        function: An `AsyncFunction` or a plain coroutine function.
        timeout_s: Seconds from acceptance until the record's time is up, all attempts included; None or 0 for no limit.
        capacity: Number of slots.
        retry: When to call again.
        rate_limit: Calls per second, or None for any number.
        adaptive: How the capacity follows the latency; None leaves it as it is.
        on_timeout: What a time-out leads to. `fallback` asks the function's `timeout`, the others do not. None asks it
            where the function has one of its own, and is a failure like others where it has not.
        on_failure: What any other failure leads to.

    Attributes:
        capacity: Number of slots; changes if adaptive.
        figures: What it has done, in numbers.
        failure: Error of the first request that failed for good with the policy `fail`, or None.

    Raises:
        TypeError: `function` is not asynchronous.
        ValueError: `capacity` is not positive, `timeout_s` is negative, there is a retry without a time-out, or
            `on_timeout` is `fallback` for a function without `timeout`.
    """

    def __init__(
        self,
        function: FunctionLike,
        *,
        timeout_s: float | None,
        capacity: int = 100,
        retry: RetryStrategy | None = None,
        rate_limit: RateLimit | None = None,
        adaptive: AdaptiveCapacity | None = None,
        on_timeout: TimeoutPolicy | None = None,
        on_failure: FailurePolicy = "fail",
    ) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, it is {capacity}")
        if timeout_s is not None and timeout_s < 0:
            raise ValueError(f"timeout_s must not be negative, it is {timeout_s}")
        if retry is not None and not timeout_s:
            raise ValueError("a retry needs a time-out: timeout_s must be above 0")
        self.function: AsyncFunction[Any, Any] = as_async_function(function)
        self.name = name_of(function)
        self.figures = Figures()
        self.capacity = capacity
        self.size = 0
        self._timeout_s = timeout_s or None
        self._retry = retry
        self._on_ready: Callable[[], None] = lambda: None
        self._notified = False
        # In order of acceptance, which is the order of deadlines, since all have the same time: so one timer for the
        # first is enough, and a finished request leaves no trace.
        self._running: dict[Entry, None] = {}
        self._deadline_timer: asyncio.TimerHandle | None = None
        self._keys: dict[tuple[int, Hashable], deque[Entry]] = {}
        self._from_threads: deque[tuple[ResultFuture[Any], Any, BaseException | None]] = deque()
        self._woken = False
        self._loop: asyncio.AbstractEventLoop = None  # type: ignore[assignment]  # set by bind, before anything else
        self._thread = 0
        self.failure: BaseException | None = None
        self._call = self._invoke_plain if isinstance(self.function, CoroutineFunction) else self._invoke
        self._asks_timeout = asks_timeout(self.function, on_timeout)
        self._on_timeout = failure_policy(on_timeout, on_failure)
        self._on_failure = on_failure
        self._rate_limit = rate_limit
        self._rate: RateControl | None = None
        self._rate_timer: asyncio.TimerHandle | None = None
        self._control = CapacityControl(adaptive, capacity) if adaptive is not None else None
        if self._control is not None:
            self.capacity = self._control.capacity

    def bind(self, on_ready: Callable[[], None]) -> None:
        """Attach to the running event loop.

        Args:
            on_ready: Called, once per burst, after entries completed; also when the burst came from other threads.
        """
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._on_ready = on_ready
        if self._rate_limit is not None:
            self._rate = RateControl(self._rate_limit, self._loop.time())

    @property
    def free(self) -> int:
        """Records that may be submitted now; negative after restored entries. `on_ready` tells of a change."""
        free = self.capacity - self.size
        return free if self._rate is None or free <= 0 else self._free_by_rate(self._rate, free)

    def policy_of(self, error: BaseException) -> FailurePolicy:
        """Return what the error of an entry leads to."""
        return self._on_timeout if isinstance(error, AsyncTimeoutError) else self._on_failure

    # ---- acceptance and emission

    def submit(
        self, value: Any, queue: StreamElementQueue, *, key: Hashable = None, context: Any = None, attempt: int = 0
    ) -> Entry:
        """Accept a record and start its call, or let it wait for its key.

        Args:
            value: The record.
            queue: Order of emission.
            key: Records of one queue with equal keys run one after the other; None for no order.
            context: Given back with the entry.
            attempt: Calls before a restart.
        """
        entry = Entry(value, queue, key, context)
        entry.attempt = attempt
        self.size += 1
        queue.put(entry)
        if self._timeout_s is not None:
            entry.deadline = self._loop.time() + self._timeout_s
            if self._deadline_timer is None:
                self._deadline_timer = self._loop.call_at(entry.deadline, self._on_deadline)
        self._running[entry] = None
        if self._rate is not None:
            self._rate.take(self._loop.time())
        if key is None or self._takes_key(entry):
            self._start(entry)
        return entry

    def submit_done(
        self,
        value: Any,
        queue: StreamElementQueue,
        *,
        key: Hashable = None,
        context: Any = None,
        error: BaseException | None = None,
    ) -> Entry:
        """Accept a record that needs no call: it passes in its place, and behind earlier records of its key.

        Args:
            value: The record, which is its own result.
            queue: Order of emission.
            key: As for `submit`.
            context: Given back with the entry.
            error: What is wrong with the record, where it comes out as failed.
        """
        entry = Entry(value, queue, key, context)
        entry.results = [value]
        entry.error = error
        self.size += 1
        if key is not None and not self._takes_key(entry):
            queue.put(entry)
            entry.attempt = -1
            return entry
        entry.done = True
        queue.put(entry)
        if key is not None:
            self._release_key(entry)
        self._notify()
        return entry

    def submit_watermark(self, watermark: Watermark, queue: StreamElementQueue) -> Entry:
        """Accept a watermark; it takes a slot, as in Flink."""
        entry = Entry(watermark, queue)
        entry.watermark = watermark
        entry.done = True
        entry.results = [watermark]
        self.size += 1
        queue.put(entry)
        self._notify()
        return entry

    def pop_ready(self, queue: StreamElementQueue) -> Entry | None:
        """Take the next entry that may leave the queue, and free its slot."""
        entry = queue.pop_ready()
        if entry is not None:
            self.size -= 1
        return entry

    def discard(self, queue: StreamElementQueue) -> None:
        """Drop a queue with all its entries: calls are cancelled, results that still come are ignored."""
        entries = list(queue)
        for entry in entries:
            entry.dead = True
        for entry in entries:
            self._running.pop(entry, None)
            self._stop_call(entry)
            self._keys.pop((id(queue), entry.key), None)
        self.size -= len(entries)
        self._notify()

    def close(self) -> None:
        """Cancel every call and timer; nothing comes out any more."""
        for entry in list(self._running):
            entry.dead = True
            self._stop_call(entry)
        self._running.clear()
        self._keys.clear()
        if self._deadline_timer is not None:
            self._deadline_timer.cancel()
            self._deadline_timer = None
        if self._rate_timer is not None:
            self._rate_timer.cancel()
            self._rate_timer = None

    # ---- key order

    def _takes_key(self, entry: Entry) -> bool:
        place = (id(entry.queue), entry.key)
        waiting = self._keys.get(place)
        if waiting is None:
            self._keys[place] = deque()
            return True
        waiting.append(entry)
        return False

    def _release_key(self, entry: Entry) -> None:
        place = (id(entry.queue), entry.key)
        waiting = self._keys.get(place)
        while waiting:
            following = waiting.popleft()
            if following.dead or following.done:
                continue
            if following.attempt >= 0:
                self._start(following)
                return
            # It needs no call: it was only waiting for its turn.
            following.done = True
            following.queue.completed(following)
        self._keys.pop(place, None)

    # ---- calls

    def _start(self, entry: Entry) -> None:
        entry.attempt += 1
        entry.timer = None
        entry.started = self._loop.time()
        entry.future = future = ResultFuture(self._deliver, entry)
        entry.task = self._loop.create_task(self._call(entry, future))

    def _start_again(self, entry: Entry) -> None:
        if self._rate is not None:
            self._rate.take(self._loop.time())
        self.figures.retries += 1
        self._start(entry)

    async def _invoke(self, entry: Entry, future: ResultFuture[Any]) -> None:
        try:
            await self.function.async_invoke(entry.value, future)
        except asyncio.CancelledError as error:
            if cancelled_from_outside():
                raise
            self._settle(future, None, error)
        except Exception as error:
            self._settle(future, None, error)

    async def _invoke_plain(self, entry: Entry, future: ResultFuture[Any]) -> None:
        # One coroutine less per record than through CoroutineFunction.async_invoke.
        try:
            results = await self.function.function(entry.value)  # type: ignore[attr-defined]
        except asyncio.CancelledError as error:
            if cancelled_from_outside():
                raise
            self._settle(future, None, error)
        except Exception as error:
            self._settle(future, None, error)
        else:
            self._settle(future, results, None)

    def _stop_call(self, entry: Entry) -> None:
        future, entry.future = entry.future, None  # what this call still answers is late
        if future is not None:
            future.abandon()
        if entry.task is not None:
            entry.task.cancel()
            entry.task = None
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None

    # ---- completion

    def _deliver(self, future: ResultFuture[Any], results: Any, error: BaseException | None) -> None:
        if threading.get_ident() == self._thread:
            self._settle(future, results, error)
            return
        # A burst costs one wake-up. The flag is looked at after the result is in the queue, and taken back before the
        # queue is emptied: so a result that comes while the loop is at it is either seen or wakes the loop again.
        self._from_threads.append((future, results, error))
        if not self._woken:
            self._woken = True
            deliver_on(self._loop, self._settle_from_threads)

    def _settle_from_threads(self) -> None:
        self._woken = False
        while self._from_threads:
            self._settle(*self._from_threads.popleft())

    def _settle(self, future: ResultFuture[Any], results: Any, error: BaseException | None) -> None:
        entry: Entry = future.owner
        if entry.future is not future:
            return  # a late result, or a second completion: the first one won
        entry.future = None
        entry.task = None
        if self._control is not None and not entry.timed_out:
            self._judge(self._control, entry, timed_out=False)
        if error is None:
            try:
                results = check_results(self.function, results)
            except TypeError as mistake:
                self._finish(entry, [], mistake)
                return
        if not entry.timed_out and self._retry is not None:
            try:
                again = self._retry.wants_retry(entry.attempt, results, error)
            except Exception as mistake:
                self._finish(entry, [], mistake)
                return
            if again:
                delay_s = self._retry.delay_s(entry.attempt)
                entry.timer = self._loop.call_later(delay_s, self._start_again, entry)
                return
        self._finish(entry, results, error)

    def _finish(self, entry: Entry, results: list[Any], error: BaseException | None) -> None:
        figures = self.figures
        figures.observe(self._loop.time() - entry.started)
        if error is None:
            figures.completed += 1
            entry.results = results
        elif isinstance(error, AsyncTimeoutError):
            entry.error = error
        else:
            entry.error = AsyncOperationError(self.name, entry.value, error)
            entry.error.__cause__ = error
        if entry.error is not None:
            figures.failed += 1
            if self.failure is None and self.policy_of(entry.error) == "fail":
                self.failure = entry.error
        entry.done = True
        self._running.pop(entry, None)
        entry.queue.completed(entry)
        if entry.key is not None:
            self._release_key(entry)
        self._notify()

    def _notify(self) -> None:
        if not self._notified:
            self._notified = True
            self._loop.call_soon(self._ready)

    def _ready(self) -> None:
        self._notified = False
        self._on_ready()

    # ---- limits

    def _free_by_rate(self, rate: RateControl, free: int) -> int:
        now = self._loop.time()
        allowed = min(free, rate.free(now))
        if not allowed and self._rate_timer is None:
            self._rate_timer = self._loop.call_at(now + rate.wait_s(now), self._on_rate)
        return allowed

    def _on_rate(self) -> None:
        self._rate_timer = None
        self._notify()

    def _judge(self, control: CapacityControl, entry: Entry, *, timed_out: bool) -> None:
        full = self.size >= self.capacity
        control.ended(self._loop.time() - entry.started, timed_out=timed_out, full=full)
        self.capacity = control.capacity

    # ---- time

    def _on_deadline(self) -> None:
        self._deadline_timer = None
        now = self._loop.time() + _TIMER_SLACK_S
        due = []
        for entry in self._running:
            if entry.deadline > now:
                self._deadline_timer = self._loop.call_at(entry.deadline, self._on_deadline)
                break
            due.append(entry)
        # Those that still wait for their key leave the line first: else the end of one would start the next in vain.
        for entry in due:
            if entry.future is None and entry.timer is None and entry.key is not None:
                self._leave_key(entry)
        for entry in due:
            self._time_out(entry)

    def _time_out(self, entry: Entry) -> None:
        if entry.done or entry.dead:
            return
        if self._control is not None and entry.future is not None and not entry.timed_out:
            self._judge(self._control, entry, timed_out=True)
        self._stop_call(entry)
        self.figures.timed_out += not entry.timed_out
        if not self._asks_timeout or entry.timed_out:
            # Timed out twice: timeout() itself did not come back.
            self._finish(entry, [], AsyncTimeoutError(self.name, entry.value))
            return
        entry.timed_out = True
        self._extend(entry)
        entry.future = future = ResultFuture(self._deliver, entry)
        entry.task = self._loop.create_task(self._invoke_timeout(entry, future))

    def _leave_key(self, entry: Entry) -> None:
        waiting = self._keys.get((id(entry.queue), entry.key))
        if waiting is not None and entry in waiting:
            waiting.remove(entry)
            # It never held the key, so its end must not release it.
            entry.key = None

    def _extend(self, entry: Entry) -> None:
        # Goes to the end of the line with a new deadline, so that a timeout() that never ends cannot keep the slot.
        self._running.pop(entry, None)
        entry.deadline = self._loop.time() + (self._timeout_s or 0.0)
        self._running[entry] = None
        if self._deadline_timer is None:
            self._deadline_timer = self._loop.call_at(entry.deadline, self._on_deadline)

    async def _invoke_timeout(self, entry: Entry, future: ResultFuture[Any]) -> None:
        try:
            await self.function.timeout(entry.value, future)
        except asyncio.CancelledError:
            if cancelled_from_outside():
                raise
        except Exception as error:
            self._settle(future, None, error)
        self._settle_from_threads()
        self._settle(future, None, AsyncTimeoutError(self.name, entry.value))


watches_calls_of(
    AsyncWaitOperator._invoke.__code__,
    AsyncWaitOperator._invoke_plain.__code__,
    AsyncWaitOperator._invoke_timeout.__code__,
)
