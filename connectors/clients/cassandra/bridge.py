"""The bridge from the driver's thread to the event loop, and the limit of requests on their way.

Callbacks of the driver run in its reactor thread, or at once in the caller's where the reply is there already. They
touch nothing of asyncio: they append to a deque and wake the loop once for each burst of replies.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

__all__ = ["Bridge", "Permits"]

logger = logging.getLogger(__name__)


class Permits:
    """A semaphore that serves in the order of asking and is released from plain functions.

    Args:
        limit: How many may be taken at a time.
    """

    __slots__ = ("_free", "_waiting")

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._waiting: deque[asyncio.Future[None]] = deque()

    def try_acquire(self) -> bool:
        """Take a permit if one is free and nobody waits."""
        if self._free <= 0 or self._waiting:
            return False
        self._free -= 1
        return True

    async def acquire(self) -> None:
        """Take a permit, wait for one if none is free."""
        if self.try_acquire():
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()  # the permit was handed over in the same tick that the caller was cancelled
            raise

    def release(self) -> None:
        """Hand the permit to the one who waits longest."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


class Bridge:
    """Completes asyncio futures from the driver's callbacks.

    Args:
        loop: The loop of the futures.
        settled: Called on the loop once for each request whose reply came, also where nobody waits for it any more.
        translate: Makes our error of the driver's.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        settled: Callable[[], None],
        translate: Callable[[BaseException], BaseException],
    ) -> None:
        self._loop = loop
        self._settled = settled
        self._translate = translate
        self._replies: deque[tuple[asyncio.Future[Any], Any, BaseException | None]] = deque()
        self._woken = False

    def submit(self, response: Any, future: asyncio.Future[Any] | None = None) -> asyncio.Future[Any]:
        """Return a future of a driver's `ResponseFuture`, a new one if none is given. Called on the loop only."""
        future = self._loop.create_future() if future is None else future
        reply = _Reply(self, future)
        response.add_callbacks(reply.result, reply.error)
        return future

    def deliver(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        """Pass a reply on to the loop. Called from any thread."""
        self._replies.append((future, result, error))
        # Appended first, looked at after: the loop lowers the flag before it takes the replies, so none is left over.
        if self._woken:
            return
        self._woken = True
        try:
            self._loop.call_soon_threadsafe(self._drain)
        except RuntimeError:
            logger.debug("a reply of Cassandra came after its event loop was closed: nobody waits for it")

    def _drain(self) -> None:
        self._woken = False
        replies = self._replies
        while replies:
            future, result, error = replies.popleft()
            self._settled()
            if future.done():
                continue  # its caller was cancelled
            if error is not None:
                future.set_exception(self._translate(error))
            else:
                future.set_result(result)


class _Reply:
    """The two callbacks of one request. The driver may call both: the errback too, where the callback raised."""

    __slots__ = ("_bridge", "_done", "_future")

    def __init__(self, bridge: Bridge, future: asyncio.Future[Any]) -> None:
        self._bridge = bridge
        self._future = future
        self._done = False

    def result(self, rows: Any) -> None:
        if not self._done:
            self._done = True
            self._bridge.deliver(self._future, rows, None)

    def error(self, error: BaseException) -> None:
        if not self._done:
            self._done = True
            self._bridge.deliver(self._future, None, error)
