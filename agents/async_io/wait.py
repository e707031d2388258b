"""`ordered_wait` and `unordered_wait`: the async operator around any asynchronous iterable."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Hashable
from typing import Any, Protocol, TypeVar

from agents.async_io.function import FunctionLike
from agents.async_io.operator import AsyncWaitOperator
from agents.async_io.queue import OrderedQueue, StreamElementQueue, UnorderedQueue
from agents.async_io.retry import RetryStrategy
from agents.async_io.watermark import Watermark

__all__ = ["ordered_wait", "unordered_wait"]

In = TypeVar("In")
KeyOf = Callable[[Any], Hashable]


def ordered_wait(
    stream: AsyncIterable[In],
    function: FunctionLike,
    *,
    timeout_s: float | None,
    capacity: int = 100,
    retry: RetryStrategy | None = None,
    key: KeyOf | None = None,
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

    Returns:
        An asynchronous iterator over the results. A failure or time-out that nothing handles ends it with an error
        that names the element.

    Raises:
        TypeError: `function` is not asynchronous.
        ValueError: An option is out of range.

    Source: Flink 2.3, `AsyncDataStream.orderedWait` and `orderedWaitWithRetry`.
    """
    operator = AsyncWaitOperator(function, timeout_s=timeout_s, capacity=capacity, retry=retry)
    return _wait(_source(stream), operator, OrderedQueue(), key)


def unordered_wait(
    stream: AsyncIterable[In],
    function: FunctionLike,
    *,
    timeout_s: float | None,
    capacity: int = 100,
    retry: RetryStrategy | None = None,
    key: KeyOf | None = None,
) -> AsyncIterator[Any]:
    """Call `function` for each element, many at a time; results come as they complete.

    Nothing passes a `Watermark`, in either direction. Arguments, result and errors are those of `ordered_wait`.

    Source: Flink 2.3, `AsyncDataStream.unorderedWait` and `unorderedWaitWithRetry`.
    """
    operator = AsyncWaitOperator(function, timeout_s=timeout_s, capacity=capacity, retry=retry)
    return _wait(_source(stream), operator, UnorderedQueue(), key)


async def _wait(
    source: _Source, operator: AsyncWaitOperator, queue: StreamElementQueue, key: KeyOf | None
) -> AsyncIterator[Any]:
    ready, room = asyncio.Event(), asyncio.Event()
    operator.bind(ready.set)
    await operator.function.open()
    feeder = asyncio.create_task(_feed(source, operator, queue, key, room))
    feeder.add_done_callback(lambda _: ready.set())
    try:
        while True:
            ready.clear()
            while (entry := operator.pop_ready(queue)) is not None or operator.failure is not None:
                if entry is None or entry.error is not None:
                    raise operator.failure or RuntimeError("the operator failed without an error")
                room.set()
                for result in entry.results:
                    yield result
                source.emitted(entry.context)
            if feeder.done() and not len(queue):
                feeder.result()
                return
            await ready.wait()
    finally:
        feeder.cancel()
        operator.close()
        await asyncio.gather(feeder, return_exceptions=True)
        await operator.function.close()


async def _feed(
    source: _Source, operator: AsyncWaitOperator, queue: StreamElementQueue, key: KeyOf | None, room: asyncio.Event
) -> None:
    async for value, context in source:
        if isinstance(value, Watermark):
            operator.submit_watermark(value, queue)
        else:
            operator.submit(value, queue, key=key(value) if key is not None else None, context=context)
        # Waiting before the next element is asked for leaves it where it came from.
        while operator.free <= 0:
            room.clear()
            await room.wait()


class _Source(Protocol):
    """Elements with what is needed to acknowledge them."""

    def __aiter__(self) -> AsyncIterator[tuple[Any, Any]]: ...

    def emitted(self, context: Any) -> None:
        """Note that the results of an element were taken."""


class _PlainSource:
    def __init__(self, stream: AsyncIterable[Any]) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[tuple[Any, Any]]:
        async for value in self._stream:
            yield value, None

    def emitted(self, context: Any) -> None:
        """Nothing to acknowledge."""


class _FaustSource:
    """A Faust stream whose events are acknowledged by us.

    Faust acknowledges an event when the next one is taken, long before its result is there, and commits past events
    that were acknowledged out of order; so each partition is acknowledged strictly from its head.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._open: dict[Any, deque[tuple[Any, list[bool]]]] = {}

    async def __aiter__(self) -> AsyncIterator[tuple[Any, Any]]:
        async for event in self._stream.noack().events():
            done = [False]
            self._open.setdefault(event.message.tp, deque()).append((event, done))
            yield event.value, (event.message.tp, done)

    def emitted(self, context: Any) -> None:
        """Acknowledge the finished events at the head of the partition."""
        if context is None:
            return
        partition, done = context
        done[0] = True
        line = self._open[partition]
        while line and line[0][1][0]:
            line.popleft()[0].ack()


def _source(stream: AsyncIterable[Any]) -> _Source:
    if hasattr(stream, "noack") and hasattr(stream, "events"):
        return _FaustSource(stream)
    return _PlainSource(stream)
