"""The bodies of answers, as the OpenAPI document tells them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

__all__ = [
    "ConnectorHealth",
    "ConnectorInfo",
    "ConnectorStatus",
    "Error",
    "HealthAnswer",
    "KeyDefinition",
    "LoggerLevel",
    "Message",
    "OffsetsAnswer",
    "Plugin",
    "TaskInfo",
    "TaskStatus",
    "Topics",
    "Validation",
    "WorkerInfo",
]

State = Literal["UNASSIGNED", "RUNNING", "PAUSED", "FAILED", "RESTARTING", "STOPPED"]
Health = Literal["HEALTHY", "DEGRADED", "FAILED"]
Kind = Literal["source", "sink", "unknown"]


class Error(BaseModel):
    """Why a request was refused."""

    error_code: int
    message: str


class WorkerInfo(BaseModel):
    """A worker and its cluster."""

    version: str
    commit: str
    kafka_cluster_id: str
    cluster: str
    worker_id: str
    leader: str
    workers: dict[str, str]


class ConnectorHealth(BaseModel):
    """Whether a connector does its work, and why not."""

    name: str
    health: Health
    reasons: list[str]


class HealthAnswer(BaseModel):
    """Whether a worker, or connectors, do their work."""

    status: Literal["starting", "healthy", "unhealthy"]
    message: str
    connectors: list[ConnectorHealth] = []


class TaskName(BaseModel):
    """A task."""

    connector: str
    task: int


class ConnectorInfo(BaseModel):
    """A connector."""

    name: str
    config: dict[str, str]
    tasks: list[TaskName]
    type: Kind


class TaskInfo(BaseModel):
    """A task and its configuration."""

    id: TaskName
    config: dict[str, str]


class Restarts(BaseModel):
    """What the restart policy did and will do."""

    count: int
    next: str = ""


class ConnectorState(BaseModel):
    """The state of a connector itself; stage: the call of the plugin that goes on."""

    state: State
    worker_id: str
    trace: str = ""
    stage: str = ""
    stage_since: str = ""


class TaskStatus(BaseModel):
    """The state of a task; stage and progress where its worker tells them."""

    id: int
    state: State
    worker_id: str
    trace: str = ""
    restarts: Restarts | None = None
    stage: str = ""
    stage_since: str = ""
    last_progress: str | None = None


class ConnectorStatus(BaseModel):
    """The states of a connector and its tasks."""

    name: str
    connector: ConnectorState
    tasks: list[TaskStatus]
    type: Kind
    health: Health
    reasons: list[str]


class Expanded(BaseModel):
    """A connector in a list with `expand`."""

    status: ConnectorStatus | None = None
    info: ConnectorInfo | None = None


class Topics(BaseModel):
    """The topics of a connector."""

    topics: list[str]


class OffsetEntry(BaseModel):
    """An offset of a partition of a source or sink."""

    partition: dict[str, Any]
    offset: dict[str, Any] | None


class OffsetsAnswer(BaseModel):
    """The offsets of a connector."""

    offsets: list[OffsetEntry]


class Message(BaseModel):
    """What was done."""

    message: str


class Plugin(BaseModel):
    """A plugin."""

    model_config = {"json_schema_extra": {"required": ["class", "type", "version"]}}

    type: str
    version: str


class KeyDefinition(BaseModel):
    """An option."""

    name: str
    type: str
    required: bool
    default_value: str | None
    importance: str
    documentation: str
    group: str
    width: str
    display_name: str
    dependents: list[str]
    order: int


class KeyValue(BaseModel):
    """What the check found out about an option."""

    name: str
    value: str | None
    recommended_values: list[str]
    errors: list[str]
    visible: bool


class Checked(BaseModel):
    """An option and what the check found out."""

    definition: KeyDefinition
    value: KeyValue


class Validation(BaseModel):
    """The check of a configuration."""

    name: str
    error_count: int
    groups: list[str]
    configs: list[Checked]


class LoggerLevel(BaseModel):
    """The level of a logger, and when it was changed, milliseconds since 1970."""

    level: str
    last_modified: int | None
