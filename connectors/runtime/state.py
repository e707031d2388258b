"""The words for what a connector or task should do and what it does.

Source: Kafka Connect's `TargetState` and `AbstractStatus.State`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

__all__ = ["State", "Status", "Target", "TaskId"]


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
    """

    state: State
    worker_id: str
    trace: str = ""
    version: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return Kafka Connect's JSON of it; `trace` only where there is one."""
        shown: dict[str, Any] = {"state": self.state.value, "worker_id": self.worker_id}
        return shown | {"trace": self.trace} if self.trace else shown

    def stored(self) -> dict[str, Any]:
        """Return what the status topic holds of it."""
        return self.to_json() | {"version": self.version}

    @classmethod
    def from_stored(cls, value: dict[str, Any]) -> Status:
        """Read what `stored` wrote."""
        return cls(State(value["state"]), value["worker_id"], value.get("trace", ""), value.get("version", ""))

    def seen_from(self, version: str) -> Status:
        """Return the state to show where `version` is wanted: a report about an older one is no longer true."""
        if self.version == version or self.state is State.UNASSIGNED:
            return self
        return Status(State.RESTARTING, self.worker_id)
