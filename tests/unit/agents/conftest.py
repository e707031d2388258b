"""A loop whose time is simulated: it jumps to the next timer, and tells when nothing can ever happen again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._now = 0.0
        super().__init__()

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        if not self._ready:  # type: ignore[attr-defined]
            scheduled = [handle for handle in self._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]
            if not scheduled and not self._stopping:  # type: ignore[attr-defined]
                raise RuntimeError("deadlock: nothing is ready and no timer is set")
            if scheduled:
                self._now = max(self._now, min(handle.when() for handle in scheduled))
        super()._run_once()  # type: ignore[misc]


def run_virtually(coroutine: Coroutine[Any, Any, Any]) -> Any:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)


@pytest.fixture(scope="session")
def virtual() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run a coroutine in simulated time."""
    return run_virtually


@pytest.fixture(scope="session")
def stream_of() -> Callable[..., Any]:
    """Make an asynchronous iterable of values; a float-valued `every_s` paces it."""

    def make(values: Any, every_s: float = 0.0) -> Any:
        async def generate() -> Any:
            for value in values:
                if every_s:
                    await asyncio.sleep(every_s)
                yield value

        return generate()

    return make


@pytest.fixture(scope="session")
def drain() -> Callable[[Any], Awaitable[list[Any]]]:
    """Collect an asynchronous iterator."""

    async def collect(iterator: Any) -> list[Any]:
        return [value async for value in iterator]

    return collect
