"""The bounded queue between the thread that reads the server and the one that decodes."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

from connectors.api.errors import ConnectError

__all__ = ["PieceQueue"]

T = TypeVar("T")


class PieceQueue(Generic[T]):
    """Pieces of what a server sent, bounded by bytes.

    Args:
        max_bytes: A piece that comes when so much is waiting waits itself.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._pieces: deque[tuple[T, int, int]] = deque()
        self._bytes = 0
        self._error: ConnectError | None = None
        self._closed = False
        self._changed = threading.Condition()

    def __bool__(self) -> bool:
        """Tell whether something is waiting."""
        return bool(self._pieces)

    def put(self, piece: T, count: int, size: int) -> None:
        """Add a piece of `count` rows or events in `size` bytes.

        Waits while too much is waiting, and drops the piece once the queue is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._bytes < self._max_bytes)
            if not self._closed:
                self._pieces.append((piece, count, size))
                self._bytes += size
                self._changed.notify_all()

    def fail(self, error: ConnectError) -> None:
        """Have `get` raise `error` once all pieces are taken."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def get(self, timeout_s: float) -> T | None:
        """Return the next piece, or None after `timeout_s` seconds without one.

        Raises:
            ConnectError: What `fail` was given.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._pieces or self._error or self._closed, timeout_s)
            if not self._pieces:
                if self._error is not None:
                    raise self._error
                return None
            piece, _, size = self._pieces.popleft()
            self._bytes -= size
            self._changed.notify_all()
            return piece

    @property
    def waiting(self) -> tuple[int, int]:
        """Rows or events, and bytes, that wait to be taken."""
        with self._changed:
            return sum(count for _, count, _ in self._pieces), self._bytes

    def close(self) -> None:
        """Wake both sides for good."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
