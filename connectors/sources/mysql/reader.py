"""The thread that reads the binlog, and the bounded queue between it and `poll`."""

from __future__ import annotations

import logging
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import closing
from typing import Final

from connectors.api.errors import ConnectError, FatalError
from connectors.api.record import SourceRecord
from connectors.sources.mysql.changes import ChangeStream
from connectors.sources.mysql.connection import BinlogChannel
from connectors.sources.mysql.incremental import IncrementalSnapshot
from connectors.sources.mysql.plan import Plan
from connectors.sources.mysql.position import Position

__all__ = ["BinlogReader", "RecordQueue", "SourceReader"]

logger = logging.getLogger(__name__)

_MALFORMED: Final = (ValueError, IndexError, KeyError, struct.error, OverflowError)
_JOIN_TIMEOUT_S: Final = 15.0
_HEARTBEAT_S: Final = 10.0

OpenChannel = Callable[[Position], BinlogChannel]


class RecordQueue:
    """Batches of records between two threads, bounded by bytes.

    Args:
        max_bytes: A batch that comes when so much is waiting waits itself.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._batches: deque[tuple[list[SourceRecord], int]] = deque()
        self._bytes = 0
        self._error: ConnectError | None = None
        self._closed = False
        self._changed = threading.Condition()

    def put(self, batch: list[SourceRecord], size: int) -> None:
        """Add a batch of `size` bytes; waits while too much is waiting, and drops it once the queue is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._bytes < self._max_bytes)
            if not self._closed:
                self._batches.append((batch, size))
                self._bytes += size
                self._changed.notify_all()

    def fail(self, error: ConnectError) -> None:
        """Have `get` raise `error` once all batches are taken."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def get(self, timeout_s: float, max_records: int) -> list[SourceRecord] | None:
        """Return what is waiting, or None after `timeout_s` seconds without anything.

        Args:
            timeout_s: Longest wait in seconds.
            max_records: Batches are joined up to about so many.

        Raises:
            ConnectError: What `fail` was given.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._batches or self._error or self._closed, timeout_s)
            if not self._batches:
                if self._error is not None:
                    raise self._error
                return None
            records, size = self._batches.popleft()
            while self._batches and len(records) + len(self._batches[0][0]) <= max_records:
                more, more_size = self._batches.popleft()
                records += more
                size += more_size
            self._bytes -= size
            self._changed.notify_all()
            return records

    @property
    def waiting(self) -> tuple[int, int]:
        """Records and bytes that wait to be taken."""
        with self._changed:
            return sum(len(batch) for batch, _ in self._batches), self._bytes

    def close(self) -> None:
        """Wake both sides for good."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class SourceReader(ABC):
    """A thread that reads the server and fills the queue, from one position on until it is stopped or fails.

    It never connects again by itself: the error goes to `poll`, the runtime waits and polls again, and a new reader
    starts at `position`.

    Args:
        plan: What to do.
        position: Where to start.
        max_batch: Most records of a batch, about.
        max_queue_bytes: Bound of the queue.
    """

    def __init__(self, plan: Plan, position: Position, *, max_batch: int, max_queue_bytes: int) -> None:
        self._plan = plan
        self._max_batch = max_batch
        self._max_batch_bytes = max(max_queue_bytes // 4, 1)
        self._queue = RecordQueue(max_queue_bytes)
        self._lock = threading.Lock()
        self._stopped = False
        self._interrupt: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)
        self.position = position
        """Position after everything that was put into the queue; to be read once the reader has ended."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def get(self, timeout_s: float) -> list[SourceRecord] | None:
        """Return records, or None where there are none.

        Args:
            timeout_s: Longest wait in seconds.

        Raises:
            ConnectError: The reader ended; everything before was returned.
        """
        return self._queue.get(timeout_s, self._max_batch)

    def stop(self) -> None:
        """End the thread and wait for it.

        Raises:
            FatalError: It did not end in 15 seconds.
        """
        with self._lock:
            self._stopped = True
            interrupt = self._interrupt
        self._queue.close()
        if interrupt is not None:
            interrupt()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_TIMEOUT_S)
            if self._thread.is_alive():
                raise FatalError(f"the thread {self._thread.name} did not stop")

    def figures(self) -> dict[str, float]:
        """Return what to show of the reader, by name."""
        records, size = self._queue.waiting
        return {"queue_records": records, "queue_bytes": size}

    @abstractmethod
    def work(self) -> None:
        """Fill the queue. Errors go to `poll`, after the records before them."""

    def interruptible(self, interrupt: Callable[[], None]) -> bool:
        """Tell how to end a wait of `work`. Returns False where the reader was stopped already."""
        with self._lock:
            self._interrupt = interrupt
            return not self._stopped

    def fail(self, error: ConnectError) -> None:
        """Hand an error to `poll`; a subclass puts its last records before it."""
        self._queue.fail(error)

    @property
    def place(self) -> str:
        """Where the reader stands, for messages."""
        return f"{self.position.file}:{self.position.pos}"

    def _run(self) -> None:
        try:
            self.work()
        except ConnectError as error:
            failure = error
        except _MALFORMED as error:
            logger.exception("%s: an event cannot be read", self.place)
            failure = FatalError(f"{self.place}: an event cannot be read: {error!r}")
        except Exception as error:
            logger.exception("the thread %s failed", self._thread.name)
            failure = FatalError(f"{self.place}: {error!r}")
        else:
            return
        # Once stopped, an error is only that of the connection that `stop` cut.
        if not self._stopped:
            self.fail(failure)


class BinlogReader(SourceReader):
    """Reads events from one position on.

    Args:
        plan: What to do with the events.
        position: Where to start.
        open_channel: Makes the channel to the server.
        incremental: Snapshots that go on beside the stream, or None.
        **bounds: `max_batch` and `max_queue_bytes`.
    """

    def __init__(
        self,
        plan: Plan,
        position: Position,
        open_channel: OpenChannel,
        incremental: IncrementalSnapshot | None = None,
        **bounds: int,
    ) -> None:
        super().__init__(plan, position, **bounds)
        self._open_channel = open_channel
        self._channel: BinlogChannel | None = None
        self._stream = ChangeStream(plan, position)
        self._stream.incremental = self.incremental = incremental
        self._stream.between_events = self._put_much

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
        stream, channel = self._stream, self._channel
        last = stream.last_event_s
        behind = (channel is not None and channel.has_event) or stream.waiting
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

    def work(self) -> None:
        """Read until stopped."""
        self._channel = channel = self._open_channel(self.position)
        if not self.interruptible(channel.interrupt):
            return
        with closing(channel):
            self._stream.start_at(*channel.open())
            try:
                self._read(channel, self._stream)
            finally:
                if self.incremental is not None:
                    self.incremental.close()

    def _read(self, channel: BinlogChannel, stream: ChangeStream) -> None:
        read, handle, clock = channel.read, stream.handle, time.monotonic
        next_beat = clock() + _HEARTBEAT_S
        incremental = self.incremental
        if incremental is not None and incremental.active:
            self._go_on_with(incremental, channel)
        while not self._stopped:
            handle(read())
            if incremental is not None and incremental.active:
                self._go_on_with(incremental, channel)
            waiting = stream.waiting
            if clock() >= next_beat:
                next_beat = clock() + _HEARTBEAT_S
                if not waiting:
                    self._beat(stream)
            # What is complete goes on at once when the next event is not here yet: latency before batch size.
            if waiting and (
                waiting >= self._max_batch or stream.size >= self._max_batch_bytes or not channel.has_event
            ):
                self._put()

    def _go_on_with(self, incremental: IncrementalSnapshot, channel: BinlogChannel) -> None:
        stream = self._stream
        while not self._stopped and incremental.active and stream.between_transactions and incremental.step(stream):
            if stream.waiting >= self._max_batch or not channel.has_event:
                self._put()
            if channel.has_event:
                return

    def _beat(self, stream: ChangeStream) -> None:
        """Move the stored offset while nothing but other tables changes, so that old binlogs can be purged."""
        beat = SourceRecord.heartbeat(self._plan.source_partition, stream.offset())
        self._queue.put([beat], 0)

    def _put_much(self) -> None:
        if self._stream.waiting >= self._max_batch or self._stream.size >= self._max_batch_bytes:
            self._put()

    def _put(self) -> None:
        if not self._stream.waiting:
            return
        size = self._stream.size
        self._queue.put(self._stream.take(), size)

    def fail(self, error: ConnectError) -> None:
        """Put the records of the events before the error, then the error."""
        if self._stream.waiting:
            self._put()
        self.position = self._stream.position()
        super().fail(error)
