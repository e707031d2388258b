"""Answers that are used again: by key, for a time, the least used go first, and equal keys are asked for once."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Protocol

from agents.async_io.blocking import watches_calls_of
from agents.async_io.function import (
    AsyncFunction,
    ResultFuture,
    WrappedFunction,
    cancelled_from_outside,
    check_results,
    deliver_on,
)

__all__ = ["Answers", "Cache", "CachedFunction"]


@dataclass(frozen=True, slots=True)
class Cache:
    """How long the results of a call may be used again.

    Attributes:
        ttl_s: Age in seconds at which a key is asked for again.
        key: Returns the key of a value, by default the value itself; None for a value that is not cached. Values of
            equal keys get equal results.
        max_entries: Most keys kept; the least recently used go first.
        negative_ttl_s: The age for an empty list of results; 0 keeps none. None takes `ttl_s`.
    """

    ttl_s: float
    key: Callable[[Any], Hashable] | None = None
    max_entries: int = 10_000
    negative_ttl_s: float | None = None

    def __post_init__(self) -> None:
        if self.ttl_s <= 0:
            raise ValueError(f"ttl_s must be above 0, it is {self.ttl_s}")
        if self.max_entries < 1:
            raise ValueError(f"max_entries must be at least 1, it is {self.max_entries}")
        if self.negative_ttl_s is not None and self.negative_ttl_s < 0:
            raise ValueError(f"negative_ttl_s must not be negative, it is {self.negative_ttl_s}")


class Answers(Protocol):
    """What is kept of a call, and how it becomes the results of another value with the same key."""

    def keep(self, value: Any, results: list[Any]) -> tuple[Any, bool]:
        """Return what is to be kept of the results of `value`, and whether that is a miss."""

    def results(self, value: Any, kept: Any) -> list[Any]:
        """Return the results of another value with the same key."""


class _Results:
    """The results as they are; they must not be changed."""

    def keep(self, value: Any, results: list[Any]) -> tuple[Any, bool]:
        return results, not results

    def results(self, value: Any, kept: Any) -> list[Any]:
        return list(kept)


class CachedFunction(WrappedFunction[Any, Any]):
    """A function whose answers are used again; calls with equal keys that run at the same time are one call.

    A failure is nobody's answer: all who waited for the call get it, their retries are theirs, and nothing is kept.
    The call is cancelled when the last of them is gone.

    Args:
        wrapped: The function.
        cache: Options.
        answers: What is kept; by default the results themselves.

    Attributes:
        hits: Values answered without a call.
        misses: Values that made a call or joined one.
    """

    def __init__(
        self,
        wrapped: AsyncFunction[Any, Any],
        cache: Cache,
        answers: Answers | None = None,
    ) -> None:
        super().__init__(wrapped)
        self._cache = cache
        self._answers = answers or _Results()
        self._kept: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        self._flights: dict[Hashable, _Flight] = {}
        self.hits = 0
        self.misses = 0

    async def async_invoke(self, value: Any, result_future: ResultFuture[Any]) -> None:
        """Answer from the cache, join a running call, or make one."""
        key = self._cache.key(value) if self._cache.key is not None else value
        if key is None:
            await self.wrapped.async_invoke(value, result_future)
            return
        kept = self._kept.get(key)
        if kept is not None and asyncio.get_running_loop().time() < kept[0]:
            self.hits += 1
            self._kept.move_to_end(key)
            result_future.complete(self._answers.results(value, kept[1]))
            return
        self.misses += 1
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(self, key, value)
        flight.join(value, result_future)

    async def close(self) -> None:
        """Cancel what runs and close the wrapped function."""
        for flight in list(self._flights.values()):
            flight.end()
        await super().close()

    def land(self, flight: _Flight, results: Any, error: BaseException | None) -> None:
        """Deal the answer of a call out; only the first counts."""
        if self._flights.get(flight.key) is not flight:
            return
        del self._flights[flight.key]
        kept: Any = None
        if error is None:
            try:
                kept = self._keep(flight, check_results(self.wrapped, results))
            except Exception as mistake:
                error = mistake
        for future, value in flight.waiting.items():
            if error is not None:
                future.complete_exceptionally(error)
            elif value is flight.value:
                future.complete(results)
            else:
                self._answer(future, value, kept)

    def leave(self, flight: _Flight) -> None:
        """Forget a call that nobody waits for."""
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
        flight.end()

    def _answer(self, future: ResultFuture[Any], value: Any, kept: Any) -> None:
        try:
            results = self._answers.results(value, kept)
        except Exception as error:
            future.complete_exceptionally(error)
        else:
            future.complete(results)

    def _keep(self, flight: _Flight, results: list[Any]) -> Any:
        kept, miss = self._answers.keep(flight.value, results)
        cache = self._cache
        age_s = cache.negative_ttl_s if miss and cache.negative_ttl_s is not None else cache.ttl_s
        if age_s > 0:
            self._kept[flight.key] = (asyncio.get_running_loop().time() + age_s, kept)
            self._kept.move_to_end(flight.key)
            if len(self._kept) > cache.max_entries:
                self._kept.popitem(last=False)
        return kept


class _Flight:
    """One call and all who wait for it."""

    __slots__ = ("_cached", "_future", "_loop", "_task", "key", "value", "waiting")

    def __init__(self, cached: CachedFunction, key: Hashable, value: Any) -> None:
        self._cached = cached
        self.key = key
        self.value = value
        self.waiting: dict[ResultFuture[Any], Any] = {}
        self._loop = asyncio.get_running_loop()
        self._future: ResultFuture[Any] = ResultFuture(self._deliver)
        # A task of its own: the record that made the call may time out while others still wait for the answer.
        self._task = self._loop.create_task(self._call())

    def join(self, value: Any, future: ResultFuture[Any]) -> None:
        self.waiting[future] = value
        future.on_cancel(lambda: self._leave(future))

    def end(self) -> None:
        self._task.cancel()
        self._future.abandon()

    def _leave(self, future: ResultFuture[Any]) -> None:
        self.waiting.pop(future, None)
        if not self.waiting:
            self._cached.leave(self)

    async def _call(self) -> None:
        try:
            await self._cached.wrapped.async_invoke(self.value, self._future)
        except asyncio.CancelledError as error:
            if cancelled_from_outside():
                raise
            self._cached.land(self, None, error)
        except Exception as error:
            self._cached.land(self, None, error)

    def _deliver(self, _: ResultFuture[Any], results: Any, error: BaseException | None) -> None:
        deliver_on(self._loop, self._cached.land, self, results, error)


watches_calls_of(_Flight._call.__code__)
