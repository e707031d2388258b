"""The order in which results leave the operator.

The operator owns calls, time and capacity; a queue owns order only.

Source: Flink 2.3, `operators.async.queue.OrderedStreamElementQueue` and `UnorderedStreamElementQueue`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from agents.async_io.operator import Entry

__all__ = ["OrderedQueue", "StreamElementQueue", "UnorderedQueue"]


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
