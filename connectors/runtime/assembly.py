"""The connectors and task runners that live on this worker."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.api.connector import Connector
from connectors.api.errors import ConnectError, FatalError
from connectors.api.sink import SinkTask
from connectors.api.source import SourceTask
from connectors.runtime.base_config import plugin_props
from connectors.runtime.plugins import connector_class
from connectors.runtime.providers import resolve
from connectors.runtime.settings import WorkerSettings
from connectors.runtime.sink_task import SinkTaskRunner
from connectors.runtime.source_task import SourceTaskRunner, StoredOffsets
from connectors.runtime.state import State, TaskId
from connectors.runtime.store import Store
from connectors.runtime.task import Report, TaskRunner, TaskSpec

__all__ = ["Assembly"]

log = logging.getLogger(__name__)


class _Context:
    """What a connector may ask of the runtime while it plans."""

    def request_task_reconfiguration(self) -> None:
        """Plans are made anew at every change of the configuration, so there is nothing to do."""

    def raise_error(self, error: Exception) -> None:
        """Fail the connector."""
        raise FatalError(str(error)) from error


@dataclass(slots=True)
class _Running:
    runner: TaskRunner
    config: dict[str, str]
    restarts: int
    paused: bool


class Assembly:
    """Starts, keeps and stops what should run here.

    Args:
        settings: The worker's settings.
        store: The cluster's memory.
        report: Takes the states of tasks, from their threads.
    """

    PLAN_LIMIT_S = 10.0

    def __init__(self, settings: WorkerSettings, store: Store, report: Report) -> None:
        self._settings = settings
        self._store = store
        self._report = report
        self._tasks: dict[TaskId, _Running] = {}
        self._planned: dict[str, tuple[dict[str, str], int]] = {}

    async def plan(self, name: str) -> list[dict[str, str]] | None:
        """Have a connector split its work, where its configuration changed since the last time.

        Returns:
            The configurations of its tasks, references unresolved; None where nothing changed.

        Raises:
            ConnectError: The plugin refused, or took longer than its limit.
        """
        config = self._store.config(name)
        restarts = self._store.restarts(name).get("connector", 0)
        if config is None or (self._planned.get(name) == (config, restarts) and self._store.task_configs(name)):
            return None
        plugin = connector_class(config["connector.class"])()
        try:
            async with asyncio.timeout(self.PLAN_LIMIT_S):
                configs = await self._task_configs(plugin, config)
        except TimeoutError:
            raise FatalError(f"planning the tasks took longer than {self.PLAN_LIMIT_S:.0f} s") from None
        self._planned[name] = (config, restarts)
        return configs

    async def keep(self, task: TaskId, config: dict[str, str], restarts: int, *, paused: bool) -> None:
        """Have a task run with this configuration; start or restart it where needed."""
        running = self._tasks.get(task)
        if running is not None and (running.config != config or running.restarts != restarts):
            await self._stop([task], 5.0)
            running = None
        if running is None:
            runner = self._start(task, config, paused=paused)
            if runner is not None:
                self._tasks[task] = _Running(runner, config, restarts, paused)
        elif running.paused != paused:
            running.runner.pause(paused)
            running.paused = paused

    async def keep_only(self, tasks: set[TaskId], timeout_s: float) -> None:
        """Stop the tasks that have no place here any more."""
        await self._stop([task for task in self._tasks if task not in tasks or self._stopped(task)], timeout_s)

    async def stop_all(self, timeout_s: float) -> None:
        """Stop all tasks."""
        await self._stop(list(self._tasks), timeout_s)

    def _stopped(self, task: TaskId) -> bool:
        return task.number >= len(self._store.task_configs(task.connector)) or (
            self._store.target(task.connector) == "STOPPED"
        )

    async def _stop(self, tasks: list[TaskId], timeout_s: float) -> None:
        runners = {task: self._tasks.pop(task).runner for task in tasks}
        for runner in runners.values():
            runner.stop()
        ended = await asyncio.gather(*(asyncio.to_thread(runner.join, timeout_s) for runner in runners.values()))
        for task, done in zip(runners, ended, strict=True):
            if not done:
                log.error("%s did not stop within %.0f s and is left behind", task, timeout_s)
                self._report(task, State.UNASSIGNED, "")

    def _start(self, task: TaskId, config: dict[str, str], *, paused: bool) -> TaskRunner | None:
        try:
            runner = self._runner(task, config)
        except ConnectError as error:
            status = self._store.task_status(task)
            if status is None or status.trace != str(error):
                log.error("%s: %s", task, error)  # noqa: TRY400 - a sentence for the user
                self._report(task, State.FAILED, str(error))
            return None
        log.info("Starting %s", task)
        runner.start(paused=paused)
        return runner

    def _runner(self, task: TaskId, config: dict[str, str]) -> TaskRunner:
        connector = connector_class(config["connector.class"])
        spec = TaskSpec(task, connector.task_class(), resolve(config), self._settings)
        if issubclass(spec.task_class, SourceTask):
            stored = StoredOffsets(self._store.source_offsets(task.connector))
            return SourceTaskRunner(spec, self._report, stored)
        if issubclass(spec.task_class, SinkTask):
            return SinkTaskRunner(spec, self._report)
        raise FatalError(f"{spec.task_class.__name__} is neither a SourceTask nor a SinkTask")

    async def _task_configs(self, plugin: Connector, config: dict[str, str]) -> list[dict[str, str]]:
        resolved = resolve(config)
        most = int(resolved.get("tasks.max", "1"))
        plugin.initialize(_Context())
        await _call(plugin.start, plugin_props(type(plugin), resolved))
        try:
            planned = await _call(plugin.task_configs, most)
        finally:
            await _call(plugin.stop)
        return [config | _with_references(each, config, resolved) for each in planned[:most]]


def _with_references(planned: Mapping[str, str], config: dict[str, str], resolved: dict[str, str]) -> dict[str, str]:
    """Put references back where the plugin passed their values on, so that no secret gets into the config topic."""
    return {key: config[key] if resolved.get(key) == value else value for key, value in planned.items()}


async def _call(method: Any, *arguments: Any) -> Any:
    if inspect.iscoroutinefunction(method):
        return await method(*arguments)
    return await asyncio.to_thread(method, *arguments)
