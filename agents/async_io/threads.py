"""Blocking clients behind an asynchronous function: a pool of threads makes the calls."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from agents.async_io.function import AsyncFunction, ResultFuture, name_of

__all__ = ["in_thread_pool"]

Blocking = Callable[[Any], list[Any]]


class _InThreadPool(AsyncFunction[Any, Any]):
    def __init__(self, function: Blocking, workers: int, initializer: Callable[[], object] | None) -> None:
        self._function = function
        self._workers = workers
        self._initializer = initializer
        self._pool: ThreadPoolExecutor | None = None
        self.__qualname__ = name_of(function)

    async def open(self) -> None:
        name = f"async-io-{self.__qualname__}"
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix=name, initializer=self._initializer)

    async def async_invoke(self, value: Any, result_future: ResultFuture[Any]) -> None:
        assert self._pool is not None, "open comes before async_invoke"
        call: Future[None] = self._pool.submit(self._call, value, result_future)
        # A call that has a thread already goes on to its end; its answer is then late.
        result_future.on_cancel(call.cancel)

    def _call(self, value: Any, result_future: ResultFuture[Any]) -> None:
        try:
            results = self._function(value)
        except BaseException as error:
            result_future.complete_exceptionally(error)
        else:
            result_future.complete(results)

    async def close(self) -> None:
        if self._pool is not None:
            # Without waiting: a call that never comes back must not keep the stage from stopping.
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


def in_thread_pool(
    function: Blocking, workers: int, *, initializer: Callable[[], object] | None = None
) -> AsyncFunction[Any, Any]:
    """Return a blocking `def f(value) -> list` as an asynchronous function.

    At most `workers` calls run at a time, whatever the capacity of the stage. Python cannot interrupt a thread: a call
    whose record timed out keeps its worker until it comes back, so give the client a time-out of its own.

    Args:
        function: Called in a thread of the pool; must be safe to call from several threads.
        workers: Number of threads.
        initializer: Called once in each thread before its first call, e.g. to open a connection in a `threading.local`.

    Raises:
        TypeError: `function` cannot be called.
        ValueError: `workers` is not positive.
    """
    if not callable(function):
        raise TypeError(f"in_thread_pool needs a function, not a {type(function).__name__}")
    if workers < 1:
        raise ValueError(f"workers must be at least 1, it is {workers}")
    return _InThreadPool(function, workers, initializer)
