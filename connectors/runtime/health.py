"""Whether a connector does its work: a word beside Kafka Connect's states, which say RUNNING while all tasks failed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from connectors.runtime.state import CONNECTOR, Progress, State, Target, TaskId, iso_time

__all__ = ["Health", "health", "progress_json"]

STALLED_S = 60.0
"""A call of a plugin that goes on for longer is told as a reason."""


class Health(StrEnum):
    """HEALTHY: does what it should; DEGRADED: in part, or not now; FAILED: not until somebody acts."""

    HEALTHY = "HEALTHY"
    DEGRADED = "DEGRADED"
    FAILED = "FAILED"


_WANTED = {
    Target.STARTED: (State.RUNNING,),
    Target.PAUSED: (State.PAUSED,),
    Target.STOPPED: (State.STOPPED,),
}


def health(
    target: Target, connector: Mapping[str, Any], tasks: list[dict[str, Any]], progress: Mapping[TaskId, Progress],
    name: str,
) -> tuple[Health, list[str]]:  # fmt: skip
    """Judge a connector.

    Args:
        target: What it should do.
        connector: Its own status.
        tasks: The statuses of its tasks.
        progress: What it and its tasks are doing, where that is known.
        name: Its name.

    Returns:
        The judgement, and a sentence for each thing that is wrong.
    """
    reasons = _wrong(f"connector {name}", connector, target)
    reasons += _stalled(f"connector {name}", progress.get(TaskId(name, CONNECTOR)))
    for task in tasks:
        reasons += _wrong(f"task {task['id']}", task, target)
        reasons += _stalled(f"task {task['id']}", progress.get(TaskId(name, task["id"])))
    failed = [task for task in tasks if task["state"] == State.FAILED]
    if connector["state"] == State.FAILED or (tasks and len(failed) == len(tasks)):
        return Health.FAILED, reasons
    return (Health.DEGRADED if reasons else Health.HEALTHY), reasons


def _wrong(what: str, status: Mapping[str, Any], target: Target) -> list[str]:
    trace = str(status.get("trace", "")).strip()
    sentence = trace.splitlines()[-1] if trace.startswith("Traceback") else trace
    if status["state"] not in _WANTED[target]:
        return [f"{what} is {status['state']}{': ' if sentence else ''}{sentence}"]
    return [f"{what}: {sentence}"] if sentence else []


def _stalled(what: str, doing: Progress | None) -> list[str]:
    if doing is None or doing.stage == "waiting" or time.time() - doing.since <= STALLED_S:
        return []
    return [f"{what}: {doing.stage} goes on since {iso_time(doing.since)}"]


def progress_json(progress: Progress) -> dict[str, Any]:
    """Return the part of a task's status that tells what it does."""
    moved = None if progress.moved is None else iso_time(progress.moved)
    return {"stage": progress.stage, "stage_since": iso_time(progress.since), "last_progress": moved}
