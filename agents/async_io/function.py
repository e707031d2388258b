"""The contract between the async operator and the user's function."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from agents.async_io.errors import AsyncTimeoutError

__all__ = ["AsyncFunction", "FunctionLike", "ResultFuture", "as_async_function", "check_results", "name_of"]

In = TypeVar("In")
Out = TypeVar("Out")


class ResultFuture(Generic[Out]):
    """Completes one request. The first completion wins, later ones are ignored.

    Both methods may be called from any thread, so the callbacks of a client library can call them as they are.
    """

    __slots__ = ("_deliver", "owner")

    def __init__(
        self, deliver: Callable[[ResultFuture[Out], Any, BaseException | None], None], owner: Any = None
    ) -> None:
        self._deliver = deliver
        self.owner = owner

    def complete(self, results: list[Out]) -> None:
        """Give the results: none, one or several. An empty list drops the record.

        Args:
            results: A list; anything else fails the request with an error that names the function.
        """
        self._deliver(self, results, None)

    def complete_exceptionally(self, error: BaseException) -> None:
        """Fail this attempt. The retry strategy is asked; without a retry the request fails."""
        self._deliver(self, None, error)


class AsyncFunction(Generic[In, Out]):
    """A request to somewhere else for each record, e.g. a look-up in a database.

    The life of an instance:

    1. `open` once, before the first record.
    2. `async_invoke` for each record and each retry, many at a time, in the order of the input.
    3. `timeout` for a record whose time is up.
    4. `close` once; not promised after a crash.

    All coroutines run on one event loop: a blocking call in any of them blocks the whole stage.

    Source: Flink 2.3, `org.apache.flink.streaming.api.functions.async.RichAsyncFunction`.
    """

    async def open(self) -> None:
        """Open clients. Called before the first record; an error here stops the stage."""

    async def async_invoke(self, value: In, result_future: ResultFuture[Out]) -> None:
        """Start the request of one record and see to it that `result_future` is completed.

        The future may be completed here or later by a callback, from any thread. An exception raised here completes it
        exceptionally. When the record's time is up this coroutine is cancelled.

        Args:
            value: The record; must not be kept after the completion.
            result_future: To be completed once.
        """
        raise NotImplementedError(f"{name_of(self)} must define async_invoke")

    async def timeout(self, value: In, result_future: ResultFuture[Out]) -> None:
        """Answer for a record whose time is up; by default it fails.

        An override gives a fallback by completing `result_future`; if it returns without doing so the record fails.

        Args:
            value: The record.
            result_future: To be completed once; results that come for it are not retried.
        """
        result_future.complete_exceptionally(AsyncTimeoutError(name_of(self), value))

    async def close(self) -> None:
        """Close clients. Called once when the stage stops."""


FunctionLike = AsyncFunction[Any, Any] | Callable[[Any], Awaitable[list[Any]]]
"""What the operators accept: an `AsyncFunction`, or a plain `async def f(value) -> list`."""


class CoroutineFunction(AsyncFunction[In, Out]):
    """A plain `async def f(value) -> list` as an `AsyncFunction`."""

    def __init__(self, function: Callable[[In], Awaitable[list[Out]]]) -> None:
        self.function = function

    async def async_invoke(self, value: In, result_future: ResultFuture[Out]) -> None:
        """Await the function and complete with its list."""
        result_future.complete(await self.function(value))


def as_async_function(function: FunctionLike) -> AsyncFunction[Any, Any]:
    """Return `function` as an `AsyncFunction`.

    Raises:
        TypeError: It is neither an `AsyncFunction` nor a coroutine function.
    """
    if isinstance(function, AsyncFunction):
        plain = [m for m in ("open", "async_invoke", "timeout", "close") if not _is_async(getattr(function, m))]
        if plain:
            raise TypeError(f"{name_of(function)}.{plain[0]} must be a coroutine function (async def)")
        return function
    if isinstance(function, type):
        raise TypeError(f"{function.__qualname__} is a class; pass an instance of it")
    if not _is_async(function):
        raise TypeError(
            f"{name_of(function)} must be a coroutine function (async def f(value) -> list) or an AsyncFunction"
        )
    return CoroutineFunction(function)


def check_results(function: object, results: object) -> list[Any]:
    """Return `results` if they are a list.

    Raises:
        TypeError: They are not; the message names the function.
    """
    if isinstance(results, list):
        return results
    what = "None" if results is None else f"a {type(results).__name__}"
    raise TypeError(f"{name_of(function)} completed with {what}; a list of results is needed (an empty one drops)")


def name_of(function: object) -> str:
    """Return the name by which errors call a function."""
    if isinstance(function, CoroutineFunction):
        return name_of(function.function)
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    name = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else type(function).__qualname__


def _is_async(function: object) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
