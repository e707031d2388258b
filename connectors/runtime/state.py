"""The words for what a connector or task should do and what it does.

Source: Kafka Connect's `TargetState` and `AbstractStatus.State`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

__all__ = ["CONNECTOR", "Progress", "State", "Status", "Target", "TaskId", "iso_time"]

CONNECTOR: Final = -1
"""Stands for the connector itself where there are the numbers of its tasks."""


class Target(StrEnum):
    """What a user asked for."""

    STARTED = "STARTED"
    PAUSED = "PAUSED"
    STOPPED = "STOPPED"


class State(StrEnum):
    """What a connector or task does."""

    UNASSIGNED = "UNASSIGNED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    FAILED = "FAILED"
    RESTARTING = "RESTARTING"
    STOPPED = "STOPPED"


class TaskId(NamedTuple):
    """A task of a connector."""

    connector: str
    number: int

    def __str__(self) -> str:
        return f"{self.connector}-{self.number}"


@dataclass(frozen=True, slots=True)
class Status:
    """The state that a worker reported.

    Attributes:
        state: The state.
        worker_id: Who reported it.
        trace: Why it failed, or what it waits for.
        version: Which configuration and restart the report is about, see `Store.version`; not shown to users.
        restarts: How often the restart policy has restarted it in a row.
        restart_at_ms: When the policy restarts it next, milliseconds since 1970; 0: not planned.
    """

    state: State
    worker_id: str
    trace: str = ""
    version: str = ""
    restarts: int = 0
    restart_at_ms: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return Kafka Connect's JSON of it, `trace` only where there is one; `restarts` is ours."""
        shown: dict[str, Any] = {"state": self.state.value, "worker_id": self.worker_id}
        if self.trace:
            shown["trace"] = self.trace
        if self.restarts or self.restart_at_ms:
            shown["restarts"] = {"count": self.restarts} | (
                {"next": iso_time(self.restart_at_ms / 1000)} if self.restart_at_ms else {}
            )
        return shown

    def stored(self) -> dict[str, Any]:
        """Return what the status topic holds of it."""
        value = {"state": self.state.value, "worker_id": self.worker_id, "trace": self.trace, "version": self.version}
        return value | {"restarts": self.restarts, "restart_at_ms": self.restart_at_ms}

    @classmethod
    def from_stored(cls, value: dict[str, Any]) -> Status:
        """Read what `stored` wrote."""
        trace, version = value.get("trace", ""), value.get("version", "")
        restarts, restart_at_ms = value.get("restarts", 0), value.get("restart_at_ms", 0)
        return cls(State(value["state"]), value["worker_id"], trace, version, restarts, restart_at_ms)

    def seen_from(self, version: str) -> Status:
        """Return the state to show where `version` is wanted: a report about an older one is no longer true."""
        if self.version == version or self.state is State.UNASSIGNED:
            return self
        return Status(State.RESTARTING, self.worker_id, restarts=self.restarts)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a task or a connector is doing now.

    Attributes:
        stage: The call of the plugin that goes on, or `waiting` between two calls.
        since: When that began, seconds since 1970.
        moved: When the task last moved records, seconds since 1970; None: not yet.
    """

    stage: str
    since: float
    moved: float | None


def iso_time(seconds: float) -> str:
    """Return a time (seconds since 1970) as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
