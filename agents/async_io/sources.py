"""Elements of a stream, with what is needed to acknowledge them."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Collection, Hashable
from typing import Any, Protocol

__all__ = ["Source", "source_of"]


class Source(Protocol):
    """Elements with a context that is given back when their results were taken."""

    def __aiter__(self) -> AsyncIterator[tuple[Any, Any]]: ...

    def partition_of(self, context: Any) -> Hashable:
        """Return the partition that an element came from; watermarks are the least of all partitions."""

    def partitions(self) -> Collection[Hashable] | None:
        """Return the partitions that are read at present, or None where that is not known."""

    def emitted(self, context: Any) -> None:
        """Note that the results of an element were taken."""


class _PlainSource:
    def __init__(self, stream: AsyncIterable[Any]) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[tuple[Any, Any]]:
        async for value in self._stream:
            yield value, None

    def partition_of(self, context: Any) -> Hashable:
        """It is all one."""
        return None

    def partitions(self) -> Collection[Hashable] | None:
        """It is all one."""
        return None

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

    def partition_of(self, context: Any) -> Hashable:
        """Return topic and partition of the event."""
        partition: Hashable = context[0]
        return partition

    def partitions(self) -> Collection[Hashable] | None:
        """Return what is assigned of the topics seen so far."""
        consumer = getattr(getattr(self._stream, "app", None), "consumer", None)
        if consumer is None:
            return None
        topics = {partition.topic for partition in self._open}
        return [partition for partition in consumer.assignment() if partition.topic in topics]

    def emitted(self, context: Any) -> None:
        """Acknowledge the finished events at the head of the partition."""
        if context is None:
            return
        partition, done = context
        done[0] = True
        line = self._open[partition]
        while line and line[0][1][0]:
            line.popleft()[0].ack()


def source_of(stream: AsyncIterable[Any]) -> Source:
    """Return the elements of a stream; those of a Faust stream are acknowledged by us."""
    if hasattr(stream, "noack") and hasattr(stream, "events"):
        return _FaustSource(stream)
    return _PlainSource(stream)
