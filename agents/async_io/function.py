"""The contract between the async operator and the user's function."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

from agents.async_io.errors import AsyncTimeoutError

__all__ = [
    "AsyncFunction",
    "FunctionLike",
    "ResultFuture",
    "WrappedFunction",
    "as_async_function",
    "as_coroutine_function",
    "cancelled_from_outside",
    "check_results",
    "deliver_on",
    "name_of",
]

log = logging.getLogger(__name__)

In = TypeVar("In")
Out = TypeVar("Out")


class ResultFuture(Generic[Out]):
    """Completes one request. The first completion wins, later ones are ignored.

    Both methods may be called from any thread, so the callbacks of a client library can call them as they are.
    """

    __slots__ = ("_deliver", "_on_cancel", "owner")

    _on_cancel: Callable[[], object] | None

    def __init__(
        self, deliver: Callable[[ResultFuture[Out], Any, BaseException | None], None], owner: Any = None
    ) -> None:
        self._deliver = deliver
        self.owner = owner  # _on_cancel stays unset: most futures never have one, and this runs for each record

    def complete(self, results: list[Out]) -> None:
        """Give the results: none, one or several. An empty list drops the record.

        Args:
            results: A list; anything else fails the request with an error that names the function.
        """
        self._deliver(self, results, None)

    def complete_exceptionally(self, error: BaseException) -> None:
        """Fail this attempt. The retry strategy is asked; without a retry the request fails."""
        self._deliver(self, None, error)

    def on_cancel(self, callback: Callable[[], object]) -> None:
        """Have `callback` called when nobody waits for the answer any more and none was given.

        For requests that go on after `async_invoke` returned, so that they can be called off: the coroutine itself is
        cancelled anyway. It runs on the event loop, when the record's time is up or the stage gives the record away.

        Args:
            callback: Must not block; a later one replaces it.
        """
        self._on_cancel = callback

    def abandon(self) -> None:
        """Call the request off; for who made this future, not for the function."""
        callback = getattr(self, "_on_cancel", None)
        if callback is None:
            return
        self._on_cancel = None
        try:
            callback()
        except Exception:
            # It must not keep the other records whose time is up from their time-outs.
            log.exception("An on_cancel callback failed; its request may go on")


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

    @property
    def answers_timeouts(self) -> bool:
        """Whether there is a `timeout` that gives a fallback, rather than the default that fails."""
        return type(self).timeout is not AsyncFunction.timeout


class WrappedFunction(AsyncFunction[In, Out]):
    """A function that calls another one in its own way; the rest is the other's.

    Args:
        wrapped: The other function.
    """

    def __init__(self, wrapped: AsyncFunction[In, Out]) -> None:
        self.wrapped = wrapped

    async def open(self) -> None:
        """Open the wrapped function."""
        await self.wrapped.open()

    async def timeout(self, value: In, result_future: ResultFuture[Out]) -> None:
        """Ask the wrapped function."""
        await self.wrapped.timeout(value, result_future)

    async def close(self) -> None:
        """Close the wrapped function."""
        await self.wrapped.close()

    @property
    def answers_timeouts(self) -> bool:
        """Whether the wrapped function does."""
        return self.wrapped.answers_timeouts


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
    return CoroutineFunction(as_coroutine_function(function))


def as_coroutine_function(function: Any) -> Callable[[Any], Awaitable[Any]]:
    """Return `function` if it is a coroutine function.

    Raises:
        TypeError: It is not.
    """
    if isinstance(function, type):
        raise TypeError(f"{function.__qualname__} is a class; pass an instance of it")
    if not _is_async(function):
        raise TypeError(
            f"{name_of(function)} must be a coroutine function (async def f(value) -> list) or an AsyncFunction"
        )
    return function  # type: ignore[no-any-return]


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
    if isinstance(function, WrappedFunction):
        return name_of(function.wrapped)
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    name = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else type(function).__qualname__


def cancelled_from_outside() -> bool:
    """Tell, where CancelledError was caught, whether the running task is cancelled.

    A client library may raise it by itself, e.g. when its connection closes: that is a failed attempt.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def deliver_on(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *args: Any) -> None:
    """Call at once on the thread of an event loop, from others through the loop; after its end not at all."""
    try:
        running = asyncio.get_running_loop()
    except RuntimeError:
        running = None  # a thread of the client
    if running is loop:
        call(*args)
        return
    try:
        loop.call_soon_threadsafe(call, *args)
    except RuntimeError:
        if not loop.is_closed():
            raise


def _is_async(function: object) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
