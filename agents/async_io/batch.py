"""One call for several records: they are collected until enough are there or the oldest has waited long enough."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from agents.async_io.blocking import watches_calls_of
from agents.async_io.function import AsyncFunction, ResultFuture, as_coroutine_function, cancelled_from_outside, name_of
from connectors.api.errors import DataError, RetriableError

__all__ = ["AsyncBatchFunction", "in_batches"]

In = TypeVar("In")
Out = TypeVar("Out")

BatchCall = Callable[[list[Any]], Awaitable[list[list[Any]]]]


class AsyncBatchFunction(AsyncFunction[In, Out]):
    """A request for many records at once; each record has its results, its retries and its time-out.

    A subclass defines `async_invoke_batch`. A batch leaves when `max_size` records are collected or the first of them
    has waited `max_wait_s`; several batches run at a time. A batch that fails with anything but a `RetriableError` is
    cut in halves until the record that is at fault is alone, so only that one fails. A record whose time is up leaves
    its batch; a batch that nobody waits for is cancelled.

    Attributes:
        max_size: Most records of a batch.
        max_wait_s: Seconds that a record waits for others at most; 0 takes what one turn of the event loop brings.

    Source: Flink, FLINK-38825 (`AsyncBatchFunction`), which is not in a release yet.
    """

    max_size: int = 100
    max_wait_s: float = 0.005
    _batcher: _Batcher | None = None

    async def async_invoke_batch(self, values: list[In]) -> list[list[Out]]:
        """Request many records.

        Args:
            values: One to `max_size` records.

        Returns:
            A list of results for each of them, in the same order.
        """
        raise NotImplementedError(f"{name_of(self)} must define async_invoke_batch")

    async def async_invoke(self, value: In, result_future: ResultFuture[Out]) -> None:
        """Put the record into the batch that is being collected."""
        loop = asyncio.get_running_loop()
        if self._batcher is None or self._batcher.loop is not loop:
            self._batcher = _Batcher(self, loop)
        self._batcher.add(value, result_future)


class _FunctionInBatches(AsyncBatchFunction[Any, Any]):
    def __init__(self, function: BatchCall, max_size: int, max_wait_s: float) -> None:
        self._function = function
        self.max_size = max_size
        self.max_wait_s = max_wait_s
        self.__qualname__ = name_of(function)

    async def async_invoke_batch(self, values: list[Any]) -> list[list[Any]]:
        return await self._function(values)


def in_batches(function: BatchCall, max_size: int = 100, max_wait_s: float = 0.005) -> AsyncBatchFunction[Any, Any]:
    """Return a plain `async def f(values) -> list of lists` as an `AsyncBatchFunction`.

    Args:
        function: Gives a list of results for each of the values.
        max_size: Most records of a batch.
        max_wait_s: Seconds that a record waits for others at most.

    Raises:
        TypeError: `function` is no coroutine function.
        ValueError: `max_size` or `max_wait_s` is out of range.
    """
    as_coroutine_function(function)
    if max_size < 1:
        raise ValueError(f"max_size must be at least 1, it is {max_size}")
    if max_wait_s < 0:
        raise ValueError(f"max_wait_s must not be negative, it is {max_wait_s}")
    return _FunctionInBatches(function, max_size, max_wait_s)


class _Batcher:
    """Collects records and runs the batches of one function."""

    def __init__(self, function: AsyncBatchFunction[Any, Any], loop: asyncio.AbstractEventLoop) -> None:
        self._function = function
        self.loop = loop
        self._collected: _Batch | None = None
        self._timer: asyncio.Handle | None = None
        self._running: set[asyncio.Task[None]] = set()  # the event loop itself holds tasks only weakly

    def add(self, value: Any, future: ResultFuture[Any]) -> None:
        batch = self._collected
        if batch is None:
            batch = self._collected = _Batch()
            wait_s = self._function.max_wait_s
            self._timer = self.loop.call_later(wait_s, self._flush) if wait_s > 0 else self.loop.call_soon(self._flush)
        batch.add(value, future)
        if len(batch.items) >= self._function.max_size:
            self._flush()

    def _flush(self) -> None:
        batch, self._collected = self._collected, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if batch is None or not batch.items:
            return
        batch.task = task = self.loop.create_task(batch.run(self._function))
        self._running.add(task)
        task.add_done_callback(self._running.discard)


class _Batch:
    """Records of one batch that still wait for their results, while it is collected and while it runs."""

    __slots__ = ("items", "task")

    def __init__(self) -> None:
        self.items: dict[ResultFuture[Any], Any] = {}
        self.task: asyncio.Task[None] | None = None

    def add(self, value: Any, future: ResultFuture[Any]) -> None:
        self.items[future] = value
        future.on_cancel(lambda: self._leave(future))

    def _leave(self, future: ResultFuture[Any]) -> None:
        self.items.pop(future, None)
        if not self.items and self.task is not None:
            self.task.cancel()

    async def run(self, function: AsyncBatchFunction[Any, Any]) -> None:
        await self._call(function, list(self.items))

    async def _call(self, function: AsyncBatchFunction[Any, Any], futures: list[ResultFuture[Any]]) -> None:
        futures = [future for future in futures if future in self.items]
        if not futures:
            return
        try:
            answers = await function.async_invoke_batch([self.items[future] for future in futures])
            self._complete(futures, _check(function, answers, len(futures)))
        except asyncio.CancelledError as error:
            if cancelled_from_outside():
                raise
            self._fail(futures, error)
        except Exception as error:
            if len(futures) == 1 or isinstance(error, RetriableError | _WrongAnswerError):
                self._fail(futures, error)
                return
            half = len(futures) // 2
            await asyncio.gather(self._call(function, futures[:half]), self._call(function, futures[half:]))

    def _complete(self, futures: list[ResultFuture[Any]], answers: list[Any]) -> None:
        for future, results in zip(futures, answers, strict=True):
            if self.items.pop(future, self) is not self:
                future.complete(results)

    def _fail(self, futures: list[ResultFuture[Any]], error: BaseException) -> None:
        for future in futures:
            if self.items.pop(future, self) is not self:
                future.complete_exceptionally(error)


class _WrongAnswerError(DataError, TypeError):
    """The function answered with something that cannot be dealt out; no part of the batch would be better."""


def _check(function: AsyncBatchFunction[Any, Any], answers: Any, count: int) -> list[Any]:
    if not isinstance(answers, list) or len(answers) != count:
        what = f"{len(answers)} lists" if isinstance(answers, list) else f"a {type(answers).__name__}"
        raise _WrongAnswerError(f"{name_of(function)} completed {count} records with {what}; a list for each is needed")
    return answers


watches_calls_of(_Batch._call.__code__)
