"""Threads that plugins run in. They are daemons: a plugin that hangs must not keep the worker from ending."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

__all__ = ["DaemonThread", "in_daemon_thread"]


class DaemonThread(Executor):
    """One thread that makes calls one after the other; the standard library's pools wait for theirs at exit.

    Args:
        name: Name of the thread.
    """

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._name = name

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have the thread make a call."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._main, name=self._name, daemon=True)
            self._thread.start()
        future: Future[Any] = Future()
        self._calls.put((future, lambda: fn(*args, **kwargs)))
        return future

    @property
    def wanted(self) -> bool:
        """Whether calls wait for the one that is made."""
        return not self._calls.empty()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the thread after the calls that it has."""
        del cancel_futures
        self._calls.put(None)
        if wait and self._thread is not None:
            self._thread.join()

    def _main(self) -> None:
        while (item := self._calls.get()) is not None:
            future, call = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = call()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)


async def in_daemon_thread(method: Callable[..., Any], *arguments: Any, limit_s: float) -> Any:
    """Make one call in a thread of its own.

    Raises:
        TimeoutError: It took longer than `limit_s`; the thread is left behind.
    """
    thread = DaemonThread(getattr(method, "__qualname__", "call"))
    future = thread.submit(method, *arguments)
    thread.shutdown(wait=False)
    return await asyncio.wait_for(asyncio.wrap_future(future), limit_s)
