"""Reads the binlog: the thread takes events off the connection, `get` makes records of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from operator import length_hint
from typing import Final

from connectors.api.record import SourceRecord
from connectors.sources.mysql.changes import ChangeStream
from connectors.sources.mysql.connection import BinlogChannel
from connectors.sources.mysql.incremental import IncrementalSnapshot
from connectors.sources.mysql.plan import Plan
from connectors.sources.mysql.position import Position
from connectors.sources.mysql.reader import SourceReader

__all__ = ["BinlogReader"]

_HEARTBEAT_S: Final = 10.0
_PIECE_BYTES: Final = 256 * 1024
_BATCH_BYTES: Final = 128 * 1024
"""Bytes of messages that are returned at once, about: with all that belongs to them they stay in a core's cache."""

OpenChannel = Callable[[Position], BinlogChannel]


class BinlogReader(SourceReader[list[bytes]]):
    """Reads events from one position on.

    Args:
        plan: What to do with the events.
        position: Where to start.
        open_channel: Makes the channel to the server.
        incremental: Snapshots that go on beside the stream, or None.
        max_batch: Most records that are returned at once, about.
        max_queue_bytes: Bytes of events that may wait.
    """

    def __init__(
        self,
        plan: Plan,
        position: Position,
        open_channel: OpenChannel,
        incremental: IncrementalSnapshot | None = None,
        *,
        max_batch: int,
        max_queue_bytes: int,
    ) -> None:
        super().__init__(plan, position, max_queue_bytes=max_queue_bytes)
        self._max_batch = max_batch
        self._open_channel = open_channel
        self._stream = ChangeStream(plan, position)
        self._stream.incremental = self.incremental = incremental
        self._events: Iterator[bytes] = iter(())
        self._next_beat = time.monotonic() + _HEARTBEAT_S

    @property
    def place(self) -> str:
        """Where the reader stands, for messages."""
        return self._stream.place

    @property
    def reached(self) -> tuple[str, int]:
        """File and position behind the last event."""
        return self._stream.reached

    def figures(self) -> dict[str, float]:
        """Return what to show of the reader, by name."""
        stream = self._stream
        last = stream.last_event_s
        behind = self._queue or length_hint(self._events) or stream.waiting
        file, pos = stream.reached
        return super().figures() | {
            # Where nothing waits there is no lag, however long ago the last change was.
            "lag_seconds": max(0.0, time.time() - last) if behind and last else 0.0,
            "last_event_timestamp_seconds": last,
            "binlog_file_number": int("0" + file.rpartition(".")[2]),
            "binlog_position_bytes": pos,
            "events_total": stream.events,
            "rows_total": stream.rows,
            "transactions_total": stream.transactions,
        }

    # In the thread

    def work(self) -> None:
        """Read until stopped."""
        channel = self._open_channel(self.position)
        if not self.interruptible(channel.interrupt):
            return
        with closing(channel):
            self._stream.start_at(*channel.open())
            while not self._stopped:
                self._read_piece(channel)

    def _read_piece(self, channel: BinlogChannel) -> None:
        """Read what is here already, and at least one event."""
        events: list[bytes] = []
        size = 0
        try:
            while size < _PIECE_BYTES and (not events or channel.has_event):
                event = channel.read()
                events.append(event)
                size += len(event)
        finally:
            if events:
                self._queue.put(events, len(events), size)

    # In the caller's thread

    def records(self, timeout_s: float) -> list[SourceRecord] | None:
        """Make records of the events that are here; of the next that come, where there are none."""
        stream, end = self._stream, time.monotonic() + timeout_s
        while True:
            while stream.go_on():
                if self._full():
                    return stream.take()
            stepped = self._step()
            if self._full() or (stepped and stream.waiting):
                return stream.take()
            event = next(self._events, None)
            if event is not None:
                stream.begin(event)
                continue
            now = time.monotonic()
            # What is complete goes on at once when the next event is not here yet: latency before batch size.
            piece = None if now >= end else self._queue.get(0 if stream.waiting or stepped else end - now)
            if piece is not None:
                self._events = iter(piece)
            elif stream.waiting:
                return stream.take()
            elif not stepped or now >= end:
                return self._beat()

    def _full(self) -> bool:
        stream = self._stream
        return stream.waiting >= self._max_batch or stream.size >= _BATCH_BYTES

    def _step(self) -> bool:
        """Go on with a snapshot beside the stream, if there is one."""
        incremental, stream = self.incremental, self._stream
        ready = incremental is not None and incremental.active and stream.between_transactions
        return ready and incremental is not None and incremental.step(stream)

    def _beat(self) -> list[SourceRecord] | None:
        """Move the stored offset while nothing but other tables changes, so that old binlogs can be purged."""
        now = time.monotonic()
        if now < self._next_beat:
            return None
        self._next_beat = now + _HEARTBEAT_S
        return [SourceRecord.heartbeat(self._plan.source_partition, self._stream.offset())]

    def rest(self) -> list[SourceRecord]:
        """Return the records of the events before the failure."""
        records = self._stream.take() if self._stream.waiting else []
        self.position = self._stream.position()
        return records

    def stop(self) -> None:
        """End the thread and wait for it."""
        if self.incremental is not None:
            self.incremental.close()
        super().stop()
