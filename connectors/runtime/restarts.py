"""The restart policy: a failed task is started again after a pause that doubles each time.

Kafka Connect leaves a failed task FAILED for ever; here that is the default, and `restart.policy=on-failure` the one
option that changes it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from connectors.api.errors import ConfigError
from connectors.runtime.providers import resolve
from connectors.runtime.state import State, Status, Target, TaskId
from connectors.runtime.store import Store

__all__ = ["Policy", "Restarts"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Policy:
    """When a failed task is started again.

    Attributes:
        first_s: Pause before the first restart, seconds.
        longest_s: Longest pause, seconds.
        most: Most restarts in a row; -1: no limit.
    """

    first_s: float = 1.0
    longest_s: float = 600.0
    most: int = -1

    @classmethod
    def of(cls, config: Mapping[str, str]) -> Policy | None:
        """Read a connector's `restart.*`; None where failed tasks stay as they are."""
        try:
            own = resolve({name: text for name, text in config.items() if name.startswith("restart.")})
            if own.get("restart.policy") != "on-failure":
                return None
            first, longest = int(own.get("restart.delay.ms", 1000)), int(own.get("restart.delay.max.ms", 600_000))
            return cls(first / 1000, longest / 1000, int(own.get("restart.max", -1)))
        except (ConfigError, ValueError):  # a reference that led somewhere when the configuration was checked
            return None

    def pause_s(self, restarts: int) -> float:
        """Return the pause after so many restarts in a row."""
        return min(self.first_s * 2.0 ** min(restarts, 40), self.longest_s)


@dataclass(slots=True)
class _Tally:
    count: int
    version: str
    running_since: float | None = None


class Restarts:
    """Applies the policy to the tasks of this worker.

    Args:
        store: The cluster's memory.
        me: This worker's name.
        wake_in: Has the control loop go round after a number of seconds.
    """

    # A task that ran for so long before it failed again begins anew with the shortest pause.
    RESET_S = 600.0

    def __init__(self, store: Store, me: str, wake_in: Callable[[float], object]) -> None:
        self._store = store
        self._me = me
        self._wake_in = wake_in
        self._tallies: dict[TaskId, _Tally] = {}

    def count(self, task: TaskId, state: State, version: str) -> int:
        """Return how often the policy has restarted a task in a row, to be stored with its new state."""
        tally = self._tally(task, version)
        if state is State.RUNNING and tally.running_since is None:
            tally.running_since = time.monotonic()
        if state is State.FAILED:
            since, tally.running_since = tally.running_since, None
            if since is not None and time.monotonic() - since > self.RESET_S:
                tally.count = 0
        return tally.count

    async def apply(self, tasks: Iterable[TaskId]) -> None:
        """Plan a restart of each task that has failed, and carry out those that are due."""
        for task in tasks:
            status = self._store.task_status(task)
            if status is not None and status.state is State.FAILED and status.worker_id == self._me:
                policy = Policy.of(self._store.config(task.connector) or {})
                started = self._store.target(task.connector) is Target.STARTED
                if policy is not None and started and status.version == self._store.version(*task):
                    await self._apply(task, status, policy)

    async def _apply(self, task: TaskId, status: Status, policy: Policy) -> None:
        now_ms = int(time.time() * 1000)
        if not status.restart_at_ms:
            if 0 <= policy.most <= status.restarts:
                return
            pause_s = policy.pause_s(status.restarts)
            log.info("%s is restarted in %.1f s (restart.policy; %d so far)", task, pause_s, status.restarts)
            await self._store.put_task_status(task, replace(status, restart_at_ms=now_ms + int(pause_s * 1000)))
            self._wake_in(pause_s)
        elif status.restart_at_ms <= now_ms:
            await self._store.request_restart(task.connector, [str(task.number)])
            self._tallies[task] = _Tally(status.restarts + 1, self._store.version(*task))
        else:
            self._wake_in((status.restart_at_ms - now_ms) / 1000)

    def _tally(self, task: TaskId, version: str) -> _Tally:
        """Return the count for a version; a change or a restart by hand makes another version, which begins at 0."""
        tally = self._tallies.get(task)
        if tally is None or tally.version != version:
            stored = self._store.task_status(task)
            known = stored is not None and stored.version == version
            tally = self._tallies[task] = _Tally(stored.restarts if known and stored is not None else 0, version)
        return tally
