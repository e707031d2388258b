"""What reads a server: a thread that waits for its bytes, and the decoding of them, which is the caller's work.

Records that one thread makes and another sends are out of the processor's cache in between, and both threads want the
interpreter's lock. So the thread only takes bytes off the socket; `get` makes records of a few of them, in the thread
that sends those at once. That is half as fast again.
"""

from __future__ import annotations

import logging
import struct
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from connectors.api.errors import ConnectError, FatalError
from connectors.api.record import SourceRecord
from connectors.sources.mysql.piece_queue import PieceQueue
from connectors.sources.mysql.plan import Plan
from connectors.sources.mysql.position import Position

__all__ = ["SourceReader"]

logger = logging.getLogger(__name__)

_MALFORMED: Final = (ValueError, IndexError, KeyError, struct.error, OverflowError)
_JOIN_TIMEOUT_S: Final = 15.0

T = TypeVar("T")


class SourceReader(ABC, Generic[T]):
    """Reads from one position on until it is stopped or fails.

    It never connects again by itself: the error goes to `poll`, the runtime waits and polls again, and a new reader
    starts at `position`.

    Args:
        plan: What to do.
        position: Where to start.
        max_queue_bytes: Bound of the queue.
    """

    def __init__(self, plan: Plan, position: Position, *, max_queue_bytes: int) -> None:
        self._plan = plan
        self._queue = PieceQueue[T](max_queue_bytes)
        self._lock = threading.Lock()
        self._stopped = False
        self._failure: ConnectError | None = None
        self._interrupt: Callable[[], None] | None = None
        self._thread = threading.Thread(target=self._run, name=type(self).__name__, daemon=True)
        self.position = position
        """Position after everything that was returned; to be read once the reader has failed."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def get(self, timeout_s: float) -> list[SourceRecord] | None:
        """Return records, or None where there are none.

        Args:
            timeout_s: Longest wait in seconds.

        Raises:
            ConnectError: Reading ended; everything before was returned.
        """
        if self._failure is None:
            try:
                return self.records(timeout_s)
            except ConnectError as error:
                self._failure = error
            except Exception as error:
                self._failure = self._unexpected(error)
            rest = self.rest()
            if rest:
                return rest
        raise self._failure

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
        count, size = self._queue.waiting
        return {"queue_records": count, "queue_bytes": size}

    @abstractmethod
    def work(self) -> None:
        """Fill the queue; in the thread. Errors go to `get`, after what was put before them."""

    @abstractmethod
    def records(self, timeout_s: float) -> list[SourceRecord] | None:
        """Take from the queue and make some records, or None where nothing comes for `timeout_s` seconds."""

    def rest(self) -> list[SourceRecord]:
        """Return the records that were made before a failure."""
        return []

    def interruptible(self, interrupt: Callable[[], None]) -> bool:
        """Tell how to end a wait of `work`. Returns False where the reader was stopped already."""
        with self._lock:
            self._interrupt = interrupt
            return not self._stopped

    @property
    def place(self) -> str:
        """Where the reader stands, for messages."""
        return f"{self.position.file}:{self.position.pos}"

    def _run(self) -> None:
        try:
            self.work()
        except ConnectError as error:
            failure = error
        except Exception as error:
            failure = self._unexpected(error)
        else:
            return
        # Once stopped, an error is only that of the connection that `stop` cut.
        if not self._stopped:
            self._queue.fail(failure)

    def _unexpected(self, error: Exception) -> ConnectError:
        if isinstance(error, _MALFORMED):
            logger.error("%s: an event cannot be read", self.place, exc_info=error)
            return FatalError(f"{self.place}: an event cannot be read: {error!r}")
        logger.error("%s failed", self._thread.name, exc_info=error)
        return FatalError(f"{self.place}: {error!r}")
