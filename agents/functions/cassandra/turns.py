"""Order: one at a time for each key while other keys go on, and a time for records that carry none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from agents.message import Message
from connectors.formats.canal import ts_us_of

__all__ = ["Clock", "Turns"]


class Turns:
    """Keeps the requests of a key in order: a read must find what the request before it wrote."""

    def __init__(self) -> None:
        self._last: dict[Hashable, asyncio.Future[None]] = {}

    @asynccontextmanager
    async def turn(self, *keys: Hashable) -> AsyncIterator[None]:
        """Wait until all earlier turns of these keys are over.

        Nobody waits for a later one, so two requests with several keys cannot block each other.
        """
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        earlier = [self._last[key] for key in keys if key in self._last]
        self._last.update(dict.fromkeys(keys, mine))
        try:
            if earlier:
                await asyncio.wait(earlier)
            yield
        finally:
            mine.set_result(None)
            for key in keys:
                if self._last.get(key) is mine:
                    del self._last[key]


class Clock:
    """Gives records their place in the order.

    A record without the header `connect.ts_us` has Kafka's timestamp, in milliseconds; two of one key in the same
    millisecond would be merged cell by cell in Cassandra. So the offset counts on within a millisecond.
    """

    def __init__(self) -> None:
        # For each partition the present millisecond and the offset it began with.
        self._began: dict[tuple[str, int], tuple[int, int]] = {}

    def order_of(self, message: Message) -> int:
        """Return the order in microseconds since 1970; a retry of the message gets the same one.

        Raises:
            DataError: The header is no number.
        """
        ts_us = ts_us_of(message.headers)
        if ts_us is not None:
            return ts_us
        where, millis = (message.topic, message.partition), message.timestamp_ms
        present, began = self._began.get(where, (-1, 0))
        if millis > present:
            present, began = self._began[where] = millis, message.offset
        steps = message.offset - began if millis == present else 0
        return millis * 1000 + max(0, min(steps, 999))
