"""The cluster's memory: configs, target states, placement, statuses and source offsets, in three compacted topics."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from connectors.runtime.settings import WorkerSettings
from connectors.runtime.state import State, Status, Target, TaskId
from tables.compacted import CompactedTopic

__all__ = ["SIGNAL", "Placement", "Store"]


SIGNAL: Final = "signal-"
_TOPIC: Final = "status-topic-"


def _topic_key(connector: str, topic: str) -> str:
    return f"{_TOPIC}{topic}:connector-{connector}"


def _digest(value: Any) -> str:
    return hashlib.blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=6).hexdigest()


@dataclass(frozen=True, slots=True)
class Placement:
    """Who runs what.

    Attributes:
        epoch: Rises with each change.
        connectors: Connector to worker.
        tasks: Task, as `connector-number`, to worker.
    """

    epoch: int = 0
    connectors: dict[str, str] = field(default_factory=dict)
    tasks: dict[str, str] = field(default_factory=dict)


class Store:
    """Reads and writes the three topics.

    Keys are Kafka Connect's (`connector-<c>`, `target-state-<c>`, `task-<c>`, `status-connector-<c>`,
    `status-task-<c>-<n>`, `status-topic-<t>:connector-<c>`, `session-key`, `logger-cluster-<l>`, offsets under
    `["<c>", {partition}]`), plus `placement`, `restart-<c>` and `signal-<c>`.

    Args:
        settings: The worker's settings.
        changed: Called at every change of configs or statuses, with its key.
    """

    def __init__(self, settings: WorkerSettings, changed: Callable[[str], None]) -> None:
        def listener(key: str, _value: Any) -> None:
            kind, _, connector = key.partition("-")
            if kind in ("connector", "task", "restart"):
                self._versions.pop(connector, None)
            changed(key)

        self._versions: dict[str, dict[int | None, str]] = {}

        client = settings.kafka.aiokafka()
        admin = settings.kafka.librdkafka()
        self.configs = CompactedTopic(settings.internal("configs"), client, admin, listener=listener)
        self.statuses = CompactedTopic(settings.internal("status"), client, admin, listener=listener)
        self.offsets = CompactedTopic(settings.internal("offsets"), client, admin, transactional=True, every_s=1.0)

    def connectors(self) -> list[str]:
        """Return the names of all connectors."""
        prefix = "connector-"
        return sorted(key.removeprefix(prefix) for key in self.configs.data if key.startswith(prefix))

    def config(self, connector: str) -> dict[str, str] | None:
        """Return a connector's configuration as it was given, or None."""
        entry = self.configs.data.get(f"connector-{connector}")
        return None if entry is None else dict(entry["config"])

    def target(self, connector: str) -> Target:
        """Return what a connector should do."""
        entry = self.configs.data.get(f"target-state-{connector}")
        return Target.STARTED if entry is None else Target(entry["state"])

    def task_configs(self, connector: str) -> list[dict[str, str]]:
        """Return the configurations of a connector's tasks."""
        entry = self.configs.data.get(f"task-{connector}")
        return [] if entry is None else list(entry["configs"])

    def restarts(self, connector: str) -> dict[str, int]:
        """Return how often the connector (`connector`) and its tasks (their numbers) were asked to restart."""
        return dict(self.configs.data.get(f"restart-{connector}") or {})

    def placement(self) -> Placement:
        """Return who runs what."""
        entry = self.configs.data.get("placement")
        return Placement() if entry is None else Placement(entry["epoch"], entry["connectors"], entry["tasks"])

    def version(self, connector: str, task: int | None = None) -> str:
        """Return a word for the configuration and the number of restarts of a connector or of one of its tasks.

        A report carries the word of what it is about, so that an old state is not taken for the new one's.
        """
        # Kept only while every change is heard of.
        known = self._versions.setdefault(connector, {}) if self.configs.loaded else {}
        if task not in known:
            configs = [self.config(connector)] if task is None else self.task_configs(connector)[task : task + 1]
            restarts = self.restarts(connector).get("connector" if task is None else str(task), 0)
            known[task] = _digest([configs, restarts])
        return known[task]

    def connector_status(self, connector: str) -> Status | None:
        """Return the state of a connector, or None before the first report."""
        entry = self.statuses.data.get(f"status-connector-{connector}")
        return None if entry is None else Status.from_stored(entry)

    def task_status(self, task: TaskId) -> Status | None:
        """Return the state of a task, or None before the first report."""
        entry = self.statuses.data.get(f"status-task-{task}")
        return None if entry is None else Status.from_stored(entry)

    async def put_config(self, connector: str, config: dict[str, str]) -> None:
        """Store a configuration."""
        await self.configs.write(f"connector-{connector}", {"config": config}, undo=True)

    async def put_target(self, connector: str, target: Target) -> None:
        """Store what a connector should do."""
        await self.configs.write(f"target-state-{connector}", {"state": target.value}, undo=True)

    async def put_task_configs(self, connector: str, configs: list[dict[str, str]], config: dict[str, str]) -> None:
        """Store the task configurations of a connector; one record, so that they count all or not at all.

        Args:
            connector: The connector.
            configs: One for each task.
            config: The connector's configuration that they were made from.
        """
        await self.configs.write(f"task-{connector}", {"configs": configs, "of": _digest(config)})

    def is_planned(self, connector: str) -> bool:
        """Tell whether the task configurations were made from the connector's present configuration."""
        entry = self.configs.data.get(f"task-{connector}")
        return entry is not None and entry.get("of") in (None, _digest(self.config(connector)))

    async def put_placement(self, placement: Placement) -> None:
        """Store who runs what."""
        value = {"epoch": placement.epoch, "connectors": placement.connectors, "tasks": placement.tasks}
        await self.configs.write("placement", value)

    async def request_restart(self, connector: str, parts: list[str]) -> None:
        """Ask for a restart of the connector (`connector`) or of tasks (their numbers)."""
        counts = self.restarts(connector)
        counts |= {part: counts.get(part, 0) + 1 for part in parts}
        await self.configs.write(f"restart-{connector}", counts, undo=True)

    async def put_signal(self, connector: str, kind: str, data: dict[str, Any]) -> None:
        """Send a message to the tasks of a connector that run now; no effect on those that start later."""
        await self.configs.write(f"{SIGNAL}{connector}", {"type": kind, "data": data, "at": time.time_ns()})

    def signal(self, connector: str) -> tuple[str, dict[str, Any]] | None:
        """Return the last message to a connector's tasks."""
        entry = self.configs.data.get(f"{SIGNAL}{connector}")
        return None if entry is None else (entry["type"], entry["data"])

    async def delete(self, connector: str) -> None:
        """Remove a connector. Its offsets stay, as in Kafka Connect."""
        for kind in ("connector-", "target-state-", "task-", "restart-", SIGNAL):
            key = f"{kind}{connector}"
            if key in self.configs.data:
                await self.configs.write(key, None, undo=True)

    async def put_connector_status(self, connector: str, status: Status | None) -> None:
        """Report the state of a connector; None forgets it."""
        await self.statuses.write(f"status-connector-{connector}", status and status.stored())

    async def put_task_status(self, task: TaskId, status: Status | None) -> None:
        """Report the state of a task; None forgets it."""
        await self.statuses.write(f"status-task-{task}", status and status.stored())

    def topics(self, connector: str) -> list[str]:
        """Return the topics that a connector has used since they were last forgotten."""
        end = f":connector-{connector}"
        keys = (key.removeprefix(_TOPIC) for key in self.statuses.data if key.startswith(_TOPIC) and key.endswith(end))
        # A connector's name may itself end like this; the record says which one it is about.
        named = (key.removesuffix(end) for key in keys)
        return sorted(each for each in named if self._topic_of(each, connector))

    def _topic_of(self, topic: str, connector: str) -> bool:
        entry = self.statuses.data.get(_topic_key(connector, topic))
        return isinstance(entry, dict) and entry.get("connector") == connector

    def knows_topic(self, connector: str, topic: str) -> bool:
        """Tell whether it is noted already that a connector uses a topic."""
        return _topic_key(connector, topic) in self.statuses.data

    async def put_topic(self, connector: str, topic: str, value: dict[str, Any] | None) -> None:
        """Note that a connector uses a topic; None forgets it."""
        noted = None if value is None else value | {"connector": connector, "topic": topic}
        await self.statuses.write(_topic_key(connector, topic), noted)

    async def forget_topics(self, connector: str) -> None:
        """Forget the topics that a connector has used."""
        for topic in self.topics(connector):
            await self.put_topic(connector, topic, None)

    async def put_source_offset(self, connector: str, partition: dict[str, Any], offset: Any) -> None:
        """Store the offset of a source partition; None forgets it."""
        await self.offsets.write(json.dumps([connector, partition], sort_keys=True), offset)

    def source_offsets(self, connector: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Return the stored offsets of a source connector as (partition, offset)."""
        found = []
        for key, offset in self.offsets.data.items():
            name, partition = orjson.loads(key)
            if name == connector:
                found.append((partition, offset))
        return found

    def busy_elsewhere(self, task: TaskId, me: str, members: set[str]) -> bool:
        """Tell whether another living worker still runs a task that was moved here."""
        status = self.task_status(task)
        if status is None or status.worker_id == me or status.worker_id not in members:
            return False
        return status.state in (State.RUNNING, State.PAUSED, State.RESTARTING)
