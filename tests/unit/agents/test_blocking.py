"""A function that blocks the event loop is named in the log."""

from __future__ import annotations

import asyncio
import functools
import logging
import time

import pytest

from agents.async_io import AsyncBatchFunction, AsyncFunction, Cache, ResultFuture, unordered_wait


class Blocker(AsyncFunction[int, int]):
    async def async_invoke(self, value: int, result_future: ResultFuture[int]) -> None:
        time.sleep(0.4)  # noqa: ASYNC251 - that is the mistake
        result_future.complete([value])


class BatchBlocker(AsyncBatchFunction[int, int]):
    async def async_invoke_batch(self, values: list[int]) -> list[list[int]]:
        time.sleep(0.4)  # noqa: ASYNC251
        return [[value] for value in values]


@pytest.mark.parametrize(
    ("function", "name"),
    [(Blocker(), "Blocker.async_invoke"), (BatchBlocker(), "BatchBlocker.async_invoke_batch")],
)
@pytest.mark.parametrize("cache", [None, Cache(60)])
async def test_function_that_blocks_the_loop_is_named(
    function, name, cache, stream_of, drain, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "agents.async_io.blocking"):
        await drain(unordered_wait(stream_of(range(2)), function, timeout_s=60, cache=cache))
    (record,) = caplog.records
    assert f"{name} blocks the event loop for more than 100 ms" in record.getMessage()
    assert "test_blocking.py:" in record.getMessage()
    assert "in_thread_pool" in record.getMessage()


async def test_call_that_blocks_for_hardly_more_than_the_limit_is_named(
    stream_of, drain, caplog: pytest.LogCaptureFixture
) -> None:
    async def blocks(pause_s: float, value: int) -> list[int]:
        await asyncio.sleep(pause_s)
        time.sleep(0.18)  # noqa: ASYNC251
        return [value]

    names = [f"call {number}" for number in range(5)]
    with caplog.at_level(logging.WARNING, "agents.async_io.blocking"):
        for number, name in enumerate(names):
            # Wherever the watch stands when it begins.
            function = functools.partial(blocks, 0.1 + 0.02 * number)
            function.func.__code__ = function.func.__code__.replace(co_qualname=name)  # type: ignore[attr-defined]
            await drain(unordered_wait(stream_of([1]), function, timeout_s=60))
    assert [name for name in names if name not in caplog.text] == []


async def test_blocking_elsewhere_is_not_blamed_on_the_function(
    stream_of, drain, caplog: pytest.LogCaptureFixture
) -> None:
    async def innocent(value: int) -> list[int]:
        await asyncio.sleep(0.01)
        return [value]

    with caplog.at_level(logging.WARNING, "agents.async_io.blocking"):
        async for _ in unordered_wait(stream_of(range(1)), innocent, timeout_s=60):
            time.sleep(0.4)  # noqa: ASYNC251 - in the consumer
    assert not caplog.records
