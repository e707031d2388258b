"""What runs a task: a thread with an event loop of its own, so that a plugin that hangs or crashes harms nobody else.

Coroutine methods of the plugin run on that loop, plain ones in a second thread, one at a time.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import random
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from connectors.api.connector import Task
from connectors.api.errors import ConfigError, ConnectError, RetriableError
from connectors.runtime.metrics import TaskMetrics
from connectors.runtime.secrets import SECRETS
from connectors.runtime.settings import WorkerSettings
from connectors.runtime.state import Progress, State, TaskId
from connectors.runtime.threads import DaemonThread

__all__ = ["EndedError", "Report", "TaskRunner", "TaskSpec"]

log = logging.getLogger(__name__)

Report = Callable[[TaskId, State, str], None]
"""Takes a task, its new state, and why."""


@dataclass(frozen=True)
class TaskSpec:
    """What is needed to run a task.

    Attributes:
        task_id: Which task.
        task_class: Its class.
        props: Its configuration, references resolved.
        plugin_props: The part of it that is the plugin's own; what `start` gets.
        settings: The worker's settings.
    """

    task_id: TaskId
    task_class: type[Task]
    props: dict[str, str]
    plugin_props: dict[str, str]
    settings: WorkerSettings


class EndedError(Exception):
    """The task has to end, through no fault of its own."""


class _HungError(Exception):
    """A call of the plugin goes on though the task is to stop."""


class TaskRunner(ABC):
    """Runs one task until it is stopped or fails.

    Args:
        spec: What to run.
        report: Called from the task's thread at each change of state.
    """

    # Within this time a task ends by itself; a call of the plugin that lasts longer than half of it is left behind.
    STOP_LIMIT_S = 4.0

    def __init__(self, spec: TaskSpec, report: Report) -> None:
        self.spec = spec
        self.abandoned = False
        self.metrics = TaskMetrics(spec.task_id.connector, spec.task_id.number)
        self.task: Task = spec.task_class()
        self._report = report
        self._stage = ("starting", time.time())
        self._moved: float | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None
        self._hung: asyncio.Future[None] | None = None
        self._stop_asked = threading.Event()
        self._stop_by = float("inf")
        self._paused = False
        self._running = False
        self._plain = DaemonThread(f"{spec.task_id}-plugin")
        self._thread = threading.Thread(target=self._main, name=str(spec.task_id), daemon=True)

    def stopping(self) -> bool:
        """Tell whether the task was asked to stop."""
        return self._stop_asked.is_set()

    @property
    def alive(self) -> bool:
        """Whether the task's thread runs."""
        return self._thread.is_alive()

    @property
    def progress(self) -> Progress:
        """What the task is doing; may be asked from any thread."""
        return Progress(*self._stage, self._moved)

    @property
    def topics(self) -> set[str]:
        """The topics that the task has used so far, without the prefix; may be asked from any thread."""
        return set()

    def signal(self, kind: str, data: dict[str, Any]) -> None:
        """Take a user's message to the plugin, from any thread. Sinks have none."""
        log.warning("%s takes no signals: %s %s is dropped", self.spec.task_id, kind, data)

    def start(self, *, paused: bool = False) -> None:
        """Start the thread."""
        self._paused = paused
        self.metrics.starts.inc()
        self._thread.start()

    def pause(self, paused: bool) -> None:
        """Pause or resume; takes effect after the call that runs now."""
        self._paused = paused
        self._poke()

    def stop(self) -> None:
        """Ask the task to stop; returns at once."""
        self._stop_by = time.monotonic() + self.STOP_LIMIT_S
        self._stop_asked.set()
        self._poke()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; False means that it hangs and is left behind, and stores nothing any more."""
        self._thread.join(timeout_s)
        self.abandoned = self._thread.is_alive()
        return not self.abandoned

    # --- in the task's thread ---

    @abstractmethod
    async def open(self) -> None:
        """Make clients and start the plugin."""

    @abstractmethod
    async def step(self) -> None:
        """Do one round of work; returns within about a second."""

    @abstractmethod
    async def finish(self) -> None:
        """Store what is done, after the last step."""

    async def leave(self) -> None:
        """Give back what the plugin must be told of before its `stop`; called always."""
        return

    @abstractmethod
    async def release(self) -> None:
        """Close clients; called always."""

    async def on_pause(self) -> None:
        """Called once when the task becomes paused."""
        return

    async def on_resume(self) -> None:
        """Called once when the task goes on."""
        return

    async def idle(self) -> None:
        """Keep clients alive while paused; returns within about a second."""
        await self.wait(0.5)

    async def call(self, method: Callable[..., Any], *arguments: Any, name: str = "") -> Any:
        """Call a method of the plugin, coroutine or plain.

        Args:
            method: What to call.
            arguments: What it takes.
            name: What the status calls it; the default is the method's own name.

        Raises:
            _HungError: The task is to stop, and the call goes on and on.
        """
        assert self._hung is not None
        name = name or getattr(method, "__name__", "a call")
        self._stage = (name, time.time())
        if inspect.iscoroutinefunction(method):
            calling = asyncio.ensure_future(method(*arguments))
        else:
            calling = asyncio.ensure_future(self._in_thread(method, *arguments))
        if self._hung.done():
            await asyncio.wait([calling], timeout=1.0)
        else:
            await asyncio.wait([calling, self._hung], return_when=asyncio.FIRST_COMPLETED)
        if not calling.done():
            calling.cancel()
            raise _HungError(f"{name}() goes on though the task is to stop; it is left behind")
        now = time.time()
        self._stage = ("waiting", now)
        result = calling.result()
        if (name == "put" and arguments[0]) or (name == "poll" and result):
            self._moved = now
        return result

    async def _in_thread(self, method: Callable[..., Any], *arguments: Any) -> Any:
        result = await asyncio.get_running_loop().run_in_executor(self._plain, method, *arguments)
        return await result if inspect.isawaitable(result) else result

    async def wait(self, seconds: float) -> None:
        """Wait, but end at once where the task is stopped, paused or resumed."""
        assert self._wake is not None
        self._wake.clear()
        if self.stopping():
            return
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except TimeoutError:
            return

    async def retried(self, call: Callable[[], Any], pause: Callable[[float], Any] | None = None) -> Any:
        """Make a call until it no longer raises `RetriableError`, or the task is stopped.

        Args:
            call: Returns an awaitable; called again with the same input.
            pause: Waits a number of seconds; the default is `wait`.
        """
        delay, longest = 0.3, float(self.spec.props.get("errors.retry.delay.max.ms", 10_000)) / 1000
        while not self.stopping():
            try:
                return await call()
            except RetriableError as error:
                self.metrics.retries.inc()
                log.warning("%s: %s; trying again in %.1f s", self.spec.task_id, error, delay)
                self.report(State.RUNNING if self._running else State.UNASSIGNED, str(error))
                await (pause or self.wait)(delay)
                delay = min(delay * 2, longest) * random.uniform(0.8, 1.0)
        return []

    def report(self, state: State, trace: str = "") -> None:
        """Tell the herder what the task does."""
        self.metrics.state(state.value)
        self._report(self.spec.task_id, state, SECRETS.masked(trace))

    def _poke(self) -> None:
        if self._loop is not None and self._wake is not None and not self._loop.is_closed():
            try:
                self._loop.call_soon_threadsafe(self._poked)
            except RuntimeError:  # the loop closed meanwhile: nothing waits any more
                log.debug("%s had ended already", self.spec.task_id)

    def _poked(self) -> None:
        assert self._wake is not None
        self._wake.set()
        if self.stopping():
            asyncio.get_running_loop().call_later(self.STOP_LIMIT_S / 2, self._give_up)

    def _give_up(self) -> None:
        if self._hung is not None and not self._hung.done():
            self._hung.set_result(None)

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except Exception:  # the last resort: a thread has nobody above it
            log.exception("%s: ended unexpectedly", self.spec.task_id)
            self.report(State.FAILED, traceback.format_exc())
        finally:
            self._plain.shutdown(wait=False)

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._hung = self._loop.create_future()
        if self.stopping():  # before there was a loop to tell it
            self._poked()
        failure = ""
        try:
            await self._work()
        except (EndedError, _HungError) as error:
            log.warning("%s: %s", self.spec.task_id, error)
        except ConnectError as error:
            failure = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
            log.error("%s: %s", self.spec.task_id, failure)  # noqa: TRY400 - a sentence for the user
        except Exception:
            failure = traceback.format_exc()
            log.exception("%s failed", self.spec.task_id)
        finally:
            await self._end()
        if failure and not self._running:
            self.metrics.failed_starts.inc()
        self.report(State.FAILED if failure else State.UNASSIGNED, failure)

    async def _end(self) -> None:
        for part in (self.leave, lambda: self.call(self.task.stop), self.release):
            try:
                await part()
            except _HungError as error:
                log.warning("%s: %s", self.spec.task_id, error)
            except Exception:
                log.exception("%s did not end cleanly", self.spec.task_id)

    async def _work(self) -> None:
        await self.open()
        if self.stopping():
            return
        self._running = True
        shown: bool | None = None
        while not self.stopping():
            paused = self._paused
            if paused != shown:
                if shown is not None or paused:
                    await (self.on_pause() if paused else self.on_resume())
                self.report(State.PAUSED if paused else State.RUNNING)
                shown = paused
            try:
                await (self.idle() if paused else self.step())
            except _HungError as error:
                log.warning("%s: %s", self.spec.task_id, error)
        await self.finish()
