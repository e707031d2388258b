"""Notices a function that blocks the event loop, and names it.

A thread asks the loop for a sign of life fifty times a second. If none comes within 100 ms it looks at what the loop's
thread is executing. So a record costs nothing, whatever the number of records.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from types import CodeType, FrameType
from typing import Final

__all__ = ["LIMIT_S", "watch", "watches_calls_of"]

log = logging.getLogger(__name__)

LIMIT_S: Final = 0.1
# Often, as only what goes on for the whole limit after a question is seen.
_ASK_EVERY_S: Final = 0.02
_SAY_AGAIN_S: Final = 10.0
_INTERNAL: Final = ("agents.async_io.", "agents.steps")

_callers: set[CodeType] = set()


def watches_calls_of(*callers: CodeType) -> None:
    """Declare code that calls users' functions; what it calls is theirs."""
    _callers.update(callers)


class _Watch:
    """One loop under watch; ends with it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread_id = threading.get_ident()
        self._alive = threading.Event()
        self._stop = threading.Event()
        self._said: dict[str, float] = {}
        self.users = 0
        self._thread = threading.Thread(target=self._run, name="async-io-watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._alive.set()

    def _run(self) -> None:
        while not self._stop.wait(_ASK_EVERY_S):
            self._alive.clear()
            try:
                self._loop.call_soon_threadsafe(self._alive.set)
            except RuntimeError:
                return  # the loop is closed
            if not self._alive.wait(LIMIT_S):
                self._say(sys._current_frames().get(self._thread_id))
                self._alive.wait()

    def _say(self, frame: FrameType | None) -> None:
        found = _blamed(frame)
        if found is None:
            return
        name, place = found
        now = time.monotonic()
        if now - self._said.get(name, -_SAY_AGAIN_S) < _SAY_AGAIN_S:
            return
        self._said[name] = now
        log.warning(
            "%s blocks the event loop for more than %.0f ms, and with it every other request; it is at %s. "
            "Use an asynchronous client, or in_thread_pool for a blocking one",
            name,
            LIMIT_S * 1000,
            place,
        )


_watches: dict[asyncio.AbstractEventLoop, _Watch] = {}


class watch:  # noqa: N801 - used like a function
    """Watch the running loop while the block runs, or from `start` to `stop`; several at a time share one thread."""

    _loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin on the running loop."""
        self._loop = asyncio.get_running_loop()
        found = _watches.get(self._loop)
        if found is None:
            found = _watches[self._loop] = _Watch(self._loop)
        found.users += 1

    def stop(self) -> None:
        """End; without effect where there was no beginning."""
        if self._loop is None:
            return
        found, loop = _watches[self._loop], self._loop
        self._loop = None
        found.users -= 1
        if not found.users:
            found.stop()
            del _watches[loop]


def _blamed(frame: FrameType | None) -> tuple[str, str] | None:
    """Return the user's function that a thread is in, and the line it is at; None if it is in none."""
    if frame is None:
        return None
    place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
    name: str | None = None
    while frame is not None:
        code = frame.f_code
        if code in _callers:
            return None if name is None else (name, place)
        # From the inside out: the last one that is not ours, before our caller, is what the caller called.
        if not str(frame.f_globals.get("__name__", "")).startswith(_INTERNAL):
            name = code.co_qualname
        frame = frame.f_back
    return None
