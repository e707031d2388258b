"""The order in which results leave the operator.

The operator owns calls, time and capacity; a queue owns order only.

Source: Flink 2.3, `operators.async.queue.OrderedStreamElementQueue` and `UnorderedStreamElementQueue`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable, Iterator
from typing import Any, Protocol

from agents.async_io.function import ResultFuture
from agents.async_io.watermark import Watermark

__all__ = ["Entry", "OrderedQueue", "StreamElementQueue", "UnorderedQueue"]


class StreamElementQueue(Protocol):
    """Entries between acceptance and emission."""

    def put(self, entry: Entry) -> None:
        """Add an entry behind all others; a watermark is done from the start."""

    def completed(self, entry: Entry) -> None:
        """Note that an entry of this queue has its result."""

    def pop_ready(self) -> Entry | None:
        """Remove and return the next entry that may leave, or None."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Entry]: ...


class Entry:
    """One record in the operator, from acceptance to emission.

    Attributes:
        value: The record, or what `submit` was given.
        watermark: The watermark, where the entry is one.
        queue: Where it waits for its turn to leave.
        context: Whatever the caller wants back with the result.
        attempt: Calls so far.
        done: Whether results or error are there.
        results: The outputs, when done.
        error: Why the request failed, when done.
        segment: Where the queue keeps it.
        started: Loop time of the last call's start.
    """

    __slots__ = (
        "attempt",
        "context",
        "dead",
        "deadline",
        "done",
        "error",
        "future",
        "key",
        "queue",
        "results",
        "segment",
        "started",
        "task",
        "timed_out",
        "timer",
        "value",
        "watermark",
    )

    def __init__(self, value: Any, queue: StreamElementQueue, key: Hashable = None, context: Any = None) -> None:
        self.value = value
        self.queue = queue
        self.key = key
        self.context = context
        self.watermark: Watermark | None = None
        self.attempt = 0
        self.deadline = 0.0
        self.done = False
        self.dead = False
        self.timed_out = False
        self.results: list[Any] = []
        self.error: BaseException | None = None
        self.future: ResultFuture[Any] | None = None
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.segment: Any = None
        self.started = 0.0


class OrderedQueue:
    """First in, first out: a finished entry behind a slow one waits."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque()

    def put(self, entry: Entry) -> None:
        """Add an entry."""
        self._entries.append(entry)

    def completed(self, entry: Entry) -> None:
        """Nothing to do: the head tells by itself whether it is done."""

    def pop_ready(self) -> Entry | None:
        """Return the head if it is done."""
        if self._entries and self._entries[0].done:
            return self._entries.popleft()
        return None

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)


class _Segment:
    """Entries between two watermarks; they may leave in any order."""

    __slots__ = ("done", "running")

    def __init__(self) -> None:
        self.running: dict[Entry, None] = {}
        self.done: deque[Entry] = deque()

    def __len__(self) -> int:
        return len(self.running) + len(self.done)


class UnorderedQueue:
    """Completion order, but nothing passes a watermark.

    The queue is a list of segments: a watermark is a segment of its own and the entries between two watermarks are
    one. Only the first segment emits.
    """

    __slots__ = ("_segments", "_size")

    def __init__(self) -> None:
        self._segments: deque[_Segment] = deque([_Segment()])
        self._size = 0

    def put(self, entry: Entry) -> None:
        """Add an entry to the last segment; a watermark closes it."""
        self._size += 1
        if entry.watermark is not None:
            barrier = _Segment()
            barrier.done.append(entry)
            self._segments.append(barrier)
            self._segments.append(_Segment())
            return
        segment = self._segments[-1]
        if entry.done:
            segment.done.append(entry)
            return
        segment.running[entry] = None
        entry.segment = segment

    def completed(self, entry: Entry) -> None:
        """Move an entry to the results of its segment."""
        segment: _Segment = entry.segment
        entry.segment = None
        del segment.running[entry]
        segment.done.append(entry)

    def pop_ready(self) -> Entry | None:
        """Return the next result of the first segment."""
        segments = self._segments
        while len(segments) > 1 and not len(segments[0]):
            segments.popleft()
        if not segments[0].done:
            return None
        self._size -= 1
        return segments[0].done.popleft()

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Entry]:
        for segment in self._segments:
            yield from segment.done
            yield from segment.running
