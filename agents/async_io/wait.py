"""`ordered_wait` and `unordered_wait`: the async operator around any asynchronous iterable."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypedDict, TypeVar, Unpack

from agents.async_io.blocking import watch
from agents.async_io.cache import Cache, CachedFunction
from agents.async_io.event_time import PeriodicWatermarks, WatermarkStrategy
from agents.async_io.function import FunctionLike, as_async_function
from agents.async_io.limits import AdaptiveCapacity, RateLimit
from agents.async_io.operator import AsyncWaitOperator
from agents.async_io.policy import FailurePolicy, TimeoutPolicy
from agents.async_io.queue import Entry, OrderedQueue, StreamElementQueue, UnorderedQueue
from agents.async_io.retry import RetryStrategy
from agents.async_io.sources import Source, source_of
from agents.async_io.watermark import Watermark

__all__ = ["WaitOptions", "ordered_wait", "unordered_wait"]

log = logging.getLogger(__name__)

In = TypeVar("In")
KeyOf = Callable[[Any], Hashable]
DeadLetter = Callable[[Any, BaseException], Awaitable[None]]


class WaitOptions(TypedDict, total=False):
    """Options of `ordered_wait` and `unordered_wait` beside the usual ones; each is off when left out.

    Attributes:
        cache: Use the results of equal keys again for a time.
        rate_limit: Calls per second.
        adaptive: Let the capacity follow the latency.
        on_timeout: What a time-out leads to: `fail`, `drop`, `dead-letter`, or `fallback` (the function's `timeout`).
            Left out: the function's `timeout` where it has one of its own, else as `on_failure`.
        on_failure: What another failure leads to: `fail` (the default), `drop` or `dead-letter`.
        dead_letter: `async def f(value, error)` for `dead-letter`; the element is acknowledged after it returned.
        watermarks: Make watermarks from the elements. Those that are in the stream already are left out then.
    """

    cache: Cache | None
    rate_limit: RateLimit | None
    adaptive: AdaptiveCapacity | None
    on_timeout: TimeoutPolicy | None
    on_failure: FailurePolicy
    dead_letter: DeadLetter | None
    watermarks: WatermarkStrategy | None


def ordered_wait(
    stream: AsyncIterable[In],
    function: FunctionLike,
    *,
    timeout_s: float | None,
    capacity: int = 100,
    retry: RetryStrategy | None = None,
    key: KeyOf | None = None,
    **options: Unpack[WaitOptions],
) -> AsyncIterator[Any]:
    """Call `function` for each element, many at a time; results come in the order of the input.

    Args:
        stream: A Faust stream or any asynchronous iterable. `Watermark` elements come out in their place. Elements of a
            Faust stream are acknowledged in the order of their offsets, after their results were taken.
        function: An `AsyncFunction` or a plain `async def f(value) -> list`.
        timeout_s: Seconds for one element, all attempts included; None or 0 for no limit.
        capacity: Elements in the operator at most: running, and done but not taken.
        retry: When to call again; needs a time-out.
        key: Returns an element's key. Elements of equal keys run one after the other while others overtake them.
        options: See `WaitOptions`.

    Returns:
        An asynchronous iterator over the results. A failure or time-out that nothing handles ends it with an error
        that names the element.

    Raises:
        TypeError: `function` is not asynchronous, or there is no such option.
        ValueError: An option is out of range.

    Source: Flink 2.3, `AsyncDataStream.orderedWait` and `orderedWaitWithRetry`.
    """
    made = _Options(**options)
    operator = made.operator(function, timeout_s, capacity, retry)
    return _Wait(source_of(stream), operator, OrderedQueue(), key, made).results()


def unordered_wait(
    stream: AsyncIterable[In],
    function: FunctionLike,
    *,
    timeout_s: float | None,
    capacity: int = 100,
    retry: RetryStrategy | None = None,
    key: KeyOf | None = None,
    **options: Unpack[WaitOptions],
) -> AsyncIterator[Any]:
    """Call `function` for each element, many at a time; results come as they complete.

    Nothing passes a `Watermark`, in either direction. Arguments, result and errors are those of `ordered_wait`.

    Source: Flink 2.3, `AsyncDataStream.unorderedWait` and `unorderedWaitWithRetry`.
    """
    made = _Options(**options)
    operator = made.operator(function, timeout_s, capacity, retry)
    return _Wait(source_of(stream), operator, UnorderedQueue(), key, made).results()


@dataclass(frozen=True, slots=True)
class _Options:
    """`WaitOptions` with their defaults."""

    cache: Cache | None = None
    rate_limit: RateLimit | None = None
    adaptive: AdaptiveCapacity | None = None
    on_timeout: TimeoutPolicy | None = None
    on_failure: FailurePolicy = "fail"
    dead_letter: DeadLetter | None = None
    watermarks: WatermarkStrategy | None = None

    def operator(
        self, function: FunctionLike, timeout_s: float | None, capacity: int, retry: RetryStrategy | None
    ) -> AsyncWaitOperator:
        for name in ("on_timeout", "on_failure"):
            if getattr(self, name) == "dead-letter" and self.dead_letter is None:
                raise ValueError(f"{name} is dead-letter, and dead_letter does not say where to")
        called = as_async_function(function)
        return AsyncWaitOperator(
            called if self.cache is None else CachedFunction(called, self.cache),
            timeout_s=timeout_s,
            capacity=capacity,
            retry=retry,
            rate_limit=self.rate_limit,
            adaptive=self.adaptive,
            on_timeout=self.on_timeout,
            on_failure=self.on_failure,
        )


class _Wait:
    """One iteration over a stream."""

    def __init__(
        self,
        source: Source,
        operator: AsyncWaitOperator,
        queue: StreamElementQueue,
        key: KeyOf | None,
        options: _Options,
    ) -> None:
        self._source = source
        self._operator = operator
        self._queue = queue
        self._key = key
        self._options = options
        self._ready = asyncio.Event()
        self._room = asyncio.Event()

    async def results(self) -> AsyncIterator[Any]:
        operator = self._operator
        operator.bind(self._on_ready)
        await operator.function.open()
        feeder = asyncio.create_task(self._feed())
        feeder.add_done_callback(lambda _: self._ready.set())
        try:
            with watch():
                while True:
                    self._ready.clear()
                    while (entry := operator.pop_ready(self._queue)) is not None or operator.failure is not None:
                        self._room.set()
                        if entry is None or entry.error is not None:
                            await self._handle(entry)
                        else:
                            for result in entry.results:
                                yield result
                        if entry is not None:
                            self._source.emitted(entry.context)
                    if feeder.done() and not len(self._queue):
                        feeder.result()
                        return
                    await self._ready.wait()
        finally:
            feeder.cancel()
            operator.close()
            await asyncio.gather(feeder, return_exceptions=True)
            await operator.function.close()

    def _on_ready(self) -> None:
        self._ready.set()
        self._room.set()

    async def _handle(self, entry: Entry | None) -> None:
        error = None if entry is None else entry.error
        policy = "fail" if error is None else self._operator.policy_of(error)
        if entry is None or error is None or policy == "fail":
            raise self._operator.failure or RuntimeError("the operator failed without an error")
        log.warning("%s (%s)", error, policy)
        if policy == "dead-letter" and self._options.dead_letter is not None:
            await self._options.dead_letter(entry.value, error)

    async def _feed(self) -> None:
        operator, queue, key = self._operator, self._queue, self._key
        strategy = self._options.watermarks
        times = None
        if strategy is not None:
            times = PeriodicWatermarks(strategy, self._emit_watermark, self._source.partitions)
        try:
            async for value, context in self._source:
                if isinstance(value, Watermark):
                    if times is None:
                        operator.submit_watermark(value, queue)
                else:
                    operator.submit(value, queue, key=key(value) if key is not None else None, context=context)
                    if times is not None:
                        times.observe(self._source.partition_of(context), value)
                # Waiting before the next element is asked for leaves it where it came from.
                while operator.free <= 0:
                    self._room.clear()
                    await self._room.wait()
            if times is not None:
                times.flush()
        finally:
            if times is not None:
                times.close()

    def _emit_watermark(self, watermark: Watermark) -> bool:
        if self._operator.size >= self._operator.capacity:
            return False
        self._operator.submit_watermark(watermark, self._queue)
        return True
