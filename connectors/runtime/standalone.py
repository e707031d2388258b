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
        self._ended = asyncio.Event()
        self._failure: str | None = None
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        """Have `run` end; may be called from any thread or signal handler."""
        self._loop.call_soon_threadsafe(self._ended.set)

    async def run(self) -> None:
        """Run until stopped or until a task fails.

        Raises:
            ConfigError: The configuration is not valid; a line for each error.
            FatalError: A task failed; the text is why.
        """
        _, values = check(self._config)
        errors = [error for value in values for error in value.errors]
        if errors:
            raise ConfigError("\n".join(errors))
        # Only the offsets are read and written; the other two topics of a cluster are neither made nor opened.
        store = Store(self._settings, lambda _key: None)
        store.configs.data[f"connector-{self._name}"] = {"config": self._config}
        assembly = Assembly(self._settings, store, self._report)
        await store.offsets.start()
        try:
            await self._tasks(store, assembly)
        finally:
            await assembly.stop_all()
            await store.offsets.stop()
        if self._failure is not None:
            raise FatalError(self._failure)

    async def _tasks(self, store: Store, assembly: Assembly) -> None:
        configs = await assembly.plan(self._name)
        assert configs is not None
        store.configs.data[f"task-{self._name}"] = {"configs": configs}
        for number, config in enumerate(configs):
            await assembly.keep(TaskId(self._name, number), config, str(number), paused=False)
        await self._ended.wait()

    def _report(self, task: TaskId, state: State, trace: str, _version: str) -> None:
        """Take a task's state, from its thread."""
        if state is State.FAILED:
            # The whole trace is in the log; its last line is what a person reads.
            why = trace.strip().splitlines()[-1] if trace.startswith("Traceback") else trace
            self._failure = self._failure or f"{task} failed: {why}"
            self.stop()
        elif trace:
            log.warning("%s: %s", task, trace)
        else:
            log.info("%s is %s", task, state.value)
