"""The task runners that live on this worker."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from connectors.api.collector import free_memory
from connectors.api.errors import ConnectError, FatalError
from connectors.api.sink import SinkTask
from connectors.api.source import SourceTask
from connectors.runtime.base_config import plugin_props
from connectors.runtime.metrics import TaskMetrics, forget
from connectors.runtime.plugin_config import resolved_config
from connectors.runtime.plugins import connector_class
from connectors.runtime.settings import WorkerSettings
from connectors.runtime.sink_task import SinkTaskRunner
from connectors.runtime.source_context import StoredOffsets
from connectors.runtime.source_task import SourceTaskRunner
from connectors.runtime.state import Progress, State, Target, TaskId
from connectors.runtime.store import Store
from connectors.runtime.task import TaskRunner, TaskSpec
from connectors.runtime.transactional_task import ReadOffsets, TransactionalSourceRunner, is_exactly_once

__all__ = ["Assembly"]

log = logging.getLogger(__name__)

VersionedReport = Callable[[TaskId, State, str, str], None]
"""Takes a task, its new state, why, and the version of the configuration that the report is about."""


@dataclass(slots=True)
class _Running:
    runner: TaskRunner
    version: str
    paused: bool


class Assembly:
    """Starts, keeps and stops what should run here.

    Args:
        settings: The worker's settings.
        store: The cluster's memory.
        report: Takes the states of tasks, from their threads.
    """

    STOP_LIMIT_S = 5.0
    FREE_S = 1.0
    # Threads of that many tasks would keep REST and the control loop waiting for long, as each that has work may go on
    # for 5 ms by default; a shorter time costs the fast task of a worker with few some speed.
    MANY, SWITCH_S = 20, 0.001

    def __init__(self, settings: WorkerSettings, store: Store, report: VersionedReport) -> None:
        self._settings = settings
        self._store = store
        self._report = report
        self._freeing: asyncio.TimerHandle | None = None
        self._switch_s = sys.getswitchinterval()
        self._tasks: dict[TaskId, _Running] = {}
        self._refused: dict[TaskId, str] = {}

    async def keep(self, task: TaskId, config: dict[str, str], version: str, *, paused: bool) -> None:
        """Have a task run with this configuration; start or restart it where needed.

        Args:
            task: Which task.
            config: Its configuration, references unresolved.
            version: `Store.version` of it; another one than before is a reason to restart.
            paused: Whether it should be paused.
        """
        running = self._tasks.get(task)
        if running is not None and running.version != version:
            await self._stop([task])
            running = None
        if running is None:
            await self._start(task, config, version, paused=paused)
        elif running.paused != paused:
            running.runner.pause(paused)
            running.paused = paused
            if paused:
                self._free_soon()

    def has(self, task: TaskId) -> bool:
        """Tell whether a task was started here and is to go on."""
        return task in self._tasks

    async def keep_only(self, tasks: set[TaskId]) -> None:
        """Stop the tasks that have no place here any more."""
        for task in self._refused.keys() - tasks:
            del self._refused[task]
            forget(*task)
        leaving = [task for task in self._tasks if task not in tasks or self._stopped(task)]
        await self._stop(leaving)
        for task in leaving:
            forget(*task)

    def signal(self, connector: str, kind: str, data: dict[str, Any]) -> None:
        """Hand a user's message to the tasks of a connector that run here."""
        for task, running in self._tasks.items():
            if task.connector == connector:
                running.runner.signal(kind, data)

    def progress(self) -> dict[TaskId, Progress]:
        """Return what the tasks here are doing."""
        return {task: running.runner.progress for task, running in self._tasks.items() if running.runner.alive}

    def topics(self) -> set[tuple[str, str]]:
        """Return what the tasks here have used, as (connector, topic)."""
        return {(task.connector, topic) for task, running in self._tasks.items() for topic in running.runner.topics}

    async def stop_all(self) -> None:
        """Stop all tasks."""
        await self._stop(list(self._tasks))

    def _stopped(self, task: TaskId) -> bool:
        return task.number >= len(self._store.task_configs(task.connector)) or (
            self._store.target(task.connector) is Target.STOPPED
        )

    async def _stop(self, tasks: list[TaskId]) -> None:
        stopping = {task: self._tasks.pop(task) for task in tasks}
        for running in stopping.values():
            running.runner.stop()
        joins = (asyncio.to_thread(running.runner.join, self.STOP_LIMIT_S) for running in stopping.values())
        for (task, running), done in zip(stopping.items(), await asyncio.gather(*joins), strict=True):
            if done:
                log.info("Stopped %s", task)
            else:
                log.error("%s did not stop within %.0f s and is left behind", task, self.STOP_LIMIT_S)
                self._report(task, State.UNASSIGNED, "", running.version)
        self._share_time()
        if stopping:
            self._free_soon()

    def _share_time(self) -> None:
        sys.setswitchinterval(self.SWITCH_S if len(self._tasks) > self.MANY else self._switch_s)

    def _free_soon(self) -> None:
        """Free what tasks leave behind, once for all that stop or pause together: it keeps everything waiting."""
        if self._freeing is None:
            self._freeing = asyncio.get_running_loop().call_later(self.FREE_S, self._free)

    def _free(self) -> None:
        self._freeing = None
        free_memory()

    async def _start(self, task: TaskId, config: dict[str, str], version: str, *, paused: bool) -> None:
        if self._refused.get(task) == version:
            return
        try:
            runner = await self._runner(task, config, version)
        except ConnectError as error:
            log.error("%s: %s", task, error)  # noqa: TRY400 - a sentence for the user
            metrics = TaskMetrics(task.connector, task.number)
            metrics.failed_starts.inc()
            metrics.state(State.FAILED.value)
            self._refused[task] = version
            self._report(task, State.FAILED, str(error), version)
            return
        log.info("Starting %s", task)
        runner.start(paused=paused)
        self._tasks[task] = _Running(runner, version, paused)
        self._share_time()

    async def _runner(self, task: TaskId, config: dict[str, str], version: str) -> TaskRunner:
        def report(which: TaskId, state: State, trace: str) -> None:
            self._report(which, state, trace, version)

        connector = connector_class(config["connector.class"])
        props = resolved_config(connector, config)
        spec = TaskSpec(task, connector.task_class(), props, plugin_props(connector, props), self._settings)
        if issubclass(spec.task_class, SourceTask):
            if is_exactly_once(connector, props, self._settings):
                return TransactionalSourceRunner(spec, report, self._offsets_reader(task.connector))
            # What the task's former worker stored last may not have been read here yet.
            await self._store.offsets.catch_up()
            return SourceTaskRunner(spec, report, StoredOffsets(self._store.source_offsets(task.connector)))
        if issubclass(spec.task_class, SinkTask):
            return SinkTaskRunner(spec, report)
        raise FatalError(f"{spec.task_class.__name__} is neither a SourceTask nor a SinkTask")

    def _offsets_reader(self, connector: str) -> ReadOffsets:
        """Return what reads the offsets from a task's thread, once the task has fenced its former instance."""
        home = asyncio.get_running_loop()

        async def read() -> StoredOffsets:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._store.offsets.catch_up(), home))
            return StoredOffsets(self._store.source_offsets(connector))

        return read
