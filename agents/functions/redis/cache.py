"""A cache in front of a look-up: entries grow old, the least used go first, and equal keys are asked for once."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from connectors.api.errors import ConfigError

__all__ = ["CacheOptions", "LookupCache"]


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """How long an answer may be used.

    Attributes:
        ttl_s: Age in seconds at which an answer is asked for again. Until then a change in Redis is not seen.
        max_entries: Most answers kept.
        negative_ttl_s: The same age for a miss; 0 keeps no misses. None takes `ttl_s`.
    """

    ttl_s: float
    max_entries: int = 10_000
    negative_ttl_s: float | None = None

    def __post_init__(self) -> None:
        if self.ttl_s <= 0:
            raise ConfigError("cache.ttl_s must be more than 0 seconds", key="cache.ttl_s")
        if self.max_entries < 1:
            raise ConfigError("cache.max_entries must be at least 1", key="cache.max_entries")
        if self.negative_ttl_s is not None and self.negative_ttl_s < 0:
            raise ConfigError("cache.negative_ttl_s must not be negative", key="cache.negative_ttl_s")


class LookupCache:
    """Answers by key, for one event loop. None stands for a miss.

    Args:
        options: Ages and size.
        load: Asks for the answer of a key. Its errors are not kept.
        clock: Seconds that never run backwards.
    """

    def __init__(
        self,
        options: CacheOptions,
        load: Callable[[str], Awaitable[Any]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._load = load
        self._clock = clock
        self._entries: OrderedDict[str, tuple[float, Any]] = OrderedDict()
        self._loading: dict[str, asyncio.Task[Any]] = {}
        self.hits = 0
        self.misses = 0

    async def find(self, key: str) -> Any:
        """Return the answer for a key, kept or fresh."""
        entry = self._entries.get(key)
        if entry is not None and self._clock() < entry[0]:
            self.hits += 1
            self._entries.move_to_end(key)
            return entry[1]
        self.misses += 1
        task = self._loading.get(key)
        if task is None:
            task = self._loading[key] = asyncio.get_running_loop().create_task(self._fetch(key))
        # A caller whose time is up must not take the answer away from the others.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait until nothing is being asked for."""
        await asyncio.gather(*self._loading.values(), return_exceptions=True)

    async def _fetch(self, key: str) -> Any:
        try:
            answer = await self._load(key)
        finally:
            del self._loading[key]
        age_s = self._options.ttl_s
        if answer is None and self._options.negative_ttl_s is not None:
            age_s = self._options.negative_ttl_s
        self._entries[key] = (self._clock() + age_s, answer)
        self._entries.move_to_end(key)
        if len(self._entries) > self._options.max_entries:
            self._entries.popitem(last=False)
        return answer
