"""The connectors that have their place on this worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping

from connectors.runtime.fencing import fence
from connectors.runtime.live_connector import LiveConnector
from connectors.runtime.plugin_config import resolved_config
from connectors.runtime.plugins import connector_class
from connectors.runtime.settings import WorkerSettings
from connectors.runtime.source_context import Pairs
from connectors.runtime.state import CONNECTOR, Progress, TaskId
from connectors.runtime.store import Store
from connectors.runtime.transactional_task import is_exactly_once

__all__ = ["LiveConnectors"]

log = logging.getLogger(__name__)


class LiveConnectors:
    """Makes, replaces and retires the instances. Is what is around them.

    Args:
        settings: The worker's settings.
        store: The cluster's memory.
        changed: Has the control loop go round; called on its event loop.
    """

    def __init__(self, settings: WorkerSettings, store: Store, changed: Callable[[], None]) -> None:
        self.changed = changed
        self._settings = settings
        self._store = store
        self._live: dict[str, LiveConnector] = {}
        self._leaving: dict[str, asyncio.Task[None]] = {}

    def follow(self, names: Iterable[str]) -> dict[str, LiveConnector]:
        """Have these connectors live here, as they are configured now, and no others; returns at once."""
        wanted = set(names)
        for name in self._live.keys() - wanted:
            self._retire(name)
        for name in wanted:
            version = self._store.version(name)
            live = self._live.get(name)
            if live is not None and live.version != version:
                self._retire(name)
                live = None
            if live is None:
                config = self._store.config(name) or {}
                live = LiveConnector(name, config, version, self, self._leaving.get(name))
                self._live[name] = live
            live.follow(self._store.target(name))
        return dict(self._live)

    def has(self, name: str) -> bool:
        """Tell whether an instance of a connector is here, be it on its way out."""
        return name in self._live or name in self._leaving

    def progress(self) -> dict[TaskId, Progress]:
        """Return which calls of connectors go on."""
        return {TaskId(name, CONNECTOR): live.progress for name, live in self._live.items()}

    async def stop_all(self) -> None:
        """Stop all connectors."""
        for name in list(self._live):
            self._retire(name)
        await asyncio.gather(*self._leaving.values())

    def _retire(self, name: str) -> None:
        live, before = self._live.pop(name), self._leaving.get(name)

        async def leave() -> None:
            if before is not None:
                await before
            await live.retire()

        def left(task: asyncio.Task[None]) -> None:
            if self._leaving.get(name) is task:
                del self._leaving[name]
            self.changed()

        self._leaving[name] = task = asyncio.get_running_loop().create_task(leave())
        task.add_done_callback(left)

    # ---- what is around an instance

    def offsets(self, connector: str) -> Pairs:
        """Return the stored offsets of a source connector."""
        return self._store.source_offsets(connector)

    async def make_way(self, connector: str, config: Mapping[str, str], count: int) -> None:
        """End the transactions of tasks that fall away, before the others take their share of the source."""
        plugin = connector_class(config["connector.class"])
        leavers = [
            TaskId(connector, number)
            for number, former in enumerate(self._store.task_configs(connector))
            if number >= count and is_exactly_once(plugin, resolved_config(plugin, former), self._settings)
        ]
        if leavers:
            log.info("%s: fencing its tasks %s", connector, ", ".join(map(str, leavers)))
            await fence(self._settings, leavers)
