"""The connectors and task runners that live on this worker."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.api.connector import Connector
from connectors.api.errors import ConnectError, FatalError, RetriableError
from connectors.api.sink import SinkTask
from connectors.api.source import SourceTask
from connectors.runtime.base_config import definition, plugin_props
from connectors.runtime.fencing import fence
from connectors.runtime.metrics import TaskMetrics, forget
from connectors.runtime.plugins import connector_class, kind_of
from connectors.runtime.providers import resolve
from connectors.runtime.secrets import SECRETS, secret_values
from connectors.runtime.settings import WorkerSettings
from connectors.runtime.sink_task import SinkTaskRunner
from connectors.runtime.source_context import StoredOffsets
from connectors.runtime.source_task import SourceTaskRunner
from connectors.runtime.state import State, Target, TaskId
from connectors.runtime.store import Store
from connectors.runtime.task import Progress, TaskRunner, TaskSpec
from connectors.runtime.threads import in_daemon_thread
from connectors.runtime.transactional_task import ReadOffsets, TransactionalSourceRunner, is_exactly_once

__all__ = ["Assembly"]

log = logging.getLogger(__name__)

VersionedReport = Callable[[TaskId, State, str, str], None]
"""Takes a task, its new state, why, and the version of the configuration that the report is about."""


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
    version: str
    paused: bool


@dataclass(slots=True)
class _Plan:
    version: str
    tried_at: float
    refusal: ConnectError | None = None


class Assembly:
    """Starts, keeps and stops what should run here.

    Args:
        settings: The worker's settings.
        store: The cluster's memory.
        report: Takes the states of tasks, from their threads.
    """

    PLAN_LIMIT_S = 10.0
    STOP_LIMIT_S = 5.0
    # A connector that could not plan for now, as its system is away, is asked again after this time.
    REPLAN_S = 10.0

    def __init__(self, settings: WorkerSettings, store: Store, report: VersionedReport) -> None:
        self._settings = settings
        self._store = store
        self._report = report
        self._tasks: dict[TaskId, _Running] = {}
        self._plans: dict[str, _Plan] = {}
        self._refused: dict[TaskId, str] = {}

    async def plan(self, name: str) -> list[dict[str, str]] | None:
        """Have a connector split its work, where its configuration changed since the last time.

        Returns:
            The configurations of its tasks, references unresolved; None where nothing changed.

        Raises:
            ConnectError: The plugin refused, or took longer than its limit; the same again until it is asked anew.
        """
        config, version = self._store.config(name), self._store.version(name)
        if config is None:
            return None
        last = self._plans.get(name)
        if last is not None and last.version == version:
            if last.refusal is None and self._store.task_configs(name):
                return None
            if last.refusal is not None and not self._may_ask_again(last):
                raise last.refusal
        plan = self._plans[name] = _Plan(version, time.monotonic())
        try:
            planned = await self._task_configs(connector_class(config["connector.class"])(), config)
            await self._fence_leavers(name, len(planned))
            return planned
        except ConnectError as error:
            plan.refusal = error
            raise
        except TimeoutError:
            plan.refusal = FatalError(f"planning the tasks took longer than {self.PLAN_LIMIT_S:.0f} s")
            raise plan.refusal from None
        except Exception as error:
            log.exception("%s could not plan its tasks", name)
            plan.refusal = FatalError(SECRETS.masked(traceback.format_exc()))
            raise plan.refusal from error

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

    async def keep_only(self, tasks: set[TaskId]) -> None:
        """Stop the tasks that have no place here any more."""
        for task in self._refused.keys() - tasks:
            del self._refused[task]
            forget(*task)
        leaving = [task for task in self._tasks if task not in tasks or self._stopped(task)]
        await self._stop(leaving)
        for task in leaving:
            forget(*task)

    def progress(self) -> dict[TaskId, Progress]:
        """Return what the tasks here are doing."""
        return {task: running.runner.progress for task, running in self._tasks.items() if running.runner.alive}

    def topics(self) -> set[tuple[str, str]]:
        """Return what the tasks here have used, as (connector, topic)."""
        return {(task.connector, topic) for task, running in self._tasks.items() for topic in running.runner.topics}

    async def stop_all(self) -> None:
        """Stop all tasks."""
        await self._stop(list(self._tasks))

    async def _fence_leavers(self, name: str, count: int) -> None:
        """End the transactions of tasks that fall away, before the others take their share of the source."""
        leavers = []
        for number, config in list(enumerate(self._store.task_configs(name)))[count:]:
            if is_exactly_once(connector_class(config["connector.class"]), resolve(config), self._settings):
                leavers.append(TaskId(name, number))
        if leavers:
            log.info("%s: fencing its tasks %s", name, ", ".join(map(str, leavers)))
            await fence(self._settings, leavers)

    def _may_ask_again(self, last: _Plan) -> bool:
        return isinstance(last.refusal, RetriableError) and time.monotonic() - last.tried_at >= self.REPLAN_S

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
            if not done:
                log.error("%s did not stop within %.0f s and is left behind", task, self.STOP_LIMIT_S)
                self._report(task, State.UNASSIGNED, "", running.version)

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

    async def _runner(self, task: TaskId, config: dict[str, str], version: str) -> TaskRunner:
        def report(which: TaskId, state: State, trace: str) -> None:
            self._report(which, state, trace, version)

        connector = connector_class(config["connector.class"])
        props = _resolved(connector, config)
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

    async def _task_configs(self, plugin: Connector, config: dict[str, str]) -> list[dict[str, str]]:
        resolved = _resolved(type(plugin), config)
        most = int(resolved.get("tasks.max", "1"))
        plugin.initialize(_Context())
        await self._call(plugin.start, plugin_props(type(plugin), resolved))
        try:
            planned = await self._call(plugin.task_configs, most)
        finally:
            await self._call(plugin.stop)
        return [config | _with_references(each, config, resolved) for each in planned[:most]]

    async def _call(self, method: Any, *arguments: Any) -> Any:
        if inspect.iscoroutinefunction(method):
            return await asyncio.wait_for(method(*arguments), self.PLAN_LIMIT_S)
        return await in_daemon_thread(method, *arguments, limit_s=self.PLAN_LIMIT_S)


def _resolved(plugin: type[Connector], config: dict[str, str]) -> dict[str, str]:
    """Resolve the references, and keep what is secret among the values out of logs and traces from here on."""
    resolved = resolve(config)
    SECRETS.remember(secret_values(config, resolved, definition(kind_of(plugin)) | plugin.config()))
    return resolved


def _with_references(planned: Mapping[str, str], config: dict[str, str], resolved: dict[str, str]) -> dict[str, str]:
    """Put references back where the plugin passed their values on, so that no secret gets into the config topic."""
    return {key: config[key] if resolved.get(key) == value else value for key, value in planned.items()}
