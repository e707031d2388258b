"""One connector in the foreground, without a cluster: for development, and for a Procfile with a process for each.

The tasks, the offsets in Kafka and the consumer group are the same as a worker's; placement, REST and the other
workers are left out. Offsets live in a topic of their own, `<cluster>-offsets`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from connectors.api.errors import ConfigError, FatalError
from connectors.runtime.assembly import Assembly
from connectors.runtime.base_config import check
from connectors.runtime.live_connectors import LiveConnectors
from connectors.runtime.settings import WorkerSettings
from connectors.runtime.state import State, TaskId
from connectors.runtime.store import Store

__all__ = ["Standalone"]

log = logging.getLogger(__name__)


class Standalone:
    """Plans one connector and runs all its tasks in this process.

    Args:
        name: The connector.
        config: Its options, references unresolved.
        settings: How to reach Kafka; `cluster` names the offsets topic.
    """

    def __init__(self, name: str, config: Mapping[str, str], settings: WorkerSettings) -> None:
        self._name = name
        self._config = dict(config)
        self._settings = settings
        self._ended = False
        self._wake = asyncio.Event()
        self._failure: str | None = None
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        """Have `run` end; may be called from any thread or signal handler."""
        self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        self._ended = True
        self._wake.set()

    async def run(self) -> None:
        """Run until stopped or until a task fails.

        Raises:
            ConfigError: The configuration is not valid; a line for each error.
            FatalError: The connector or a task failed; the text is why.
        """
        _, values = check(self._config)
        errors = [error for value in values for error in value.errors]
        if errors:
            raise ConfigError("\n".join(errors))
        # Only the offsets are read and written; the other two topics of a cluster are neither made nor opened.
        store = Store(self._settings, lambda _key: None)
        store.configs.data[f"connector-{self._name}"] = {"config": self._config}
        assembly = Assembly(self._settings, store, self._report)
        connectors = LiveConnectors(self._settings, store, self._wake.set)
        await store.offsets.start()
        self._wake.set()
        try:
            await self._follow(store, connectors, assembly)
        finally:
            await asyncio.gather(connectors.stop_all(), assembly.stop_all())
            await store.offsets.stop()
        if self._failure is not None:
            raise FatalError(self._failure)

    async def _follow(self, store: Store, connectors: LiveConnectors, assembly: Assembly) -> None:
        """Run the tasks that the connector plans, and others once it plans anew."""
        while not self._ended:
            await self._wake.wait()
            self._wake.clear()
            live = connectors.follow([self._name])[self._name]
            if live.state is State.FAILED:
                raise FatalError(f"connector {self._name} failed: {_last_line(live.trace)}")
            if live.planned is not None and live.planned != store.task_configs(self._name):
                store.configs.data[f"task-{self._name}"] = {"configs": live.planned}
                await self._run_tasks(store, assembly)

    async def _run_tasks(self, store: Store, assembly: Assembly) -> None:
        configs = store.task_configs(self._name)
        await assembly.keep_only({TaskId(self._name, number) for number in range(len(configs))})
        for number, config in enumerate(configs):
            version = store.version(self._name, number)
            await assembly.keep(TaskId(self._name, number), config, version, paused=False)

    def _report(self, task: TaskId, state: State, trace: str, _version: str) -> None:
        """Take a task's state, from its thread."""
        if state is State.FAILED:
            # The whole trace is in the log; its last line is what a person reads.
            self._failure = self._failure or f"{task} failed: {_last_line(trace)}"
            self.stop()
        elif trace:
            log.warning("%s: %s", task, trace)
        else:
            log.info("%s is %s", task, state.value)


def _last_line(trace: str) -> str:
    return trace.strip().splitlines()[-1] if trace.startswith("Traceback") else trace
