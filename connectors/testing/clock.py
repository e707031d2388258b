"""Time that a test moves by hand."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

__all__ = ["ManualClock"]


class ManualClock:
    """A clock that stands still until it is told to go on.

    Give a plugin `clock.time` where it takes `time.time` or `time.monotonic`, and `clock.sleep` for `asyncio.sleep`.

    Args:
        now: Seconds that it shows at first.
    """

    def __init__(self, now: float = 0.0) -> None:
        self._now = now
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def time(self) -> float:
        """Return the seconds shown."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has moved on by `seconds`."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Move on, waking sleepers one after the other, each at its own moment."""
        end = self._now + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, future = heapq.heappop(self._sleepers)
            self._now = max(self._now, due)
            if not future.done():
                future.set_result(None)
            # Whoever woke may sleep again before `end`; this lets it come so far.
            for _ in range(3):
                await asyncio.sleep(0)
        self._now = end
