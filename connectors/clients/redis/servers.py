"""One server, or the master that sentinels name: where the requests of a batch go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, cast

from redis.asyncio import Redis
from redis.asyncio.sentinel import Sentinel

__all__ = ["Servers", "SingleServer", "Words"]

Words = tuple[Any, ...]
"""A command and its arguments."""


class Servers(Protocol):
    """What a client needs of the servers it asks."""

    async def ping(self) -> None:
        """Check that they answer."""

    def string_requests(self, keys: Sequence[bytes]) -> list[Words]:
        """Return the fewest requests, GET or MGET, that look up all keys."""

    async def send(self, requests: Sequence[Words]) -> list[Any]:
        """Return the answer to each request, or its error. What fails them all is raised."""

    async def close(self) -> None:
        """Disconnect."""


class SingleServer:
    """A server on its own.

    Args:
        driver: Client of redis-py.
        sentinel: Sentinels that name the server, if any; they are closed with it.
    """

    def __init__(self, driver: Redis, sentinel: Sentinel | None = None) -> None:
        self._driver = driver
        self._sentinel = sentinel

    async def ping(self) -> None:
        """Check that they answer."""
        await cast("Any", self._driver.ping())

    def string_requests(self, keys: Sequence[bytes]) -> list[Words]:
        """Return one MGET for all keys."""
        return [("MGET", *keys)] if keys else []

    async def send(self, requests: Sequence[Words]) -> list[Any]:
        """Return the answer to each request, or its error."""
        async with self._driver.pipeline(transaction=False) as pipe:
            for words in requests:
                pipe.execute_command(*words)
            return await pipe.execute(raise_on_error=False)

    async def close(self) -> None:
        """Disconnect."""
        await self._driver.aclose()
        if self._sentinel is not None:
            for sentinel in self._sentinel.sentinels:
                await sentinel.aclose()
