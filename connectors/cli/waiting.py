"""Waiting for what a deployment should lead to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import click

from connectors.cli.client import Client
from connectors.cli.errors import FAILED, NOT_FOUND, UNREACHABLE, CommandError, NoWorkerError

__all__ = ["reason", "retried", "until_running"]

T = TypeVar("T")
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_POLL_PAUSE_S = 0.2
_QUIET_S = 0.5


def retried(call: Callable[[], T], deadline: float, *, patient: bool = True) -> T:
    """Make a call, again with growing pauses while the worker is starting or its cluster rebalances.

    Args:
        call: What to do; may be done twice.
        deadline: Time of `time.monotonic` after which it is not tried again.
        patient: Whether to wait also for a worker that does not answer at all.

    Raises:
        CommandError: It failed for good, or the time is up (exit code 5).
    """
    pauses, started, told = _pauses(), time.monotonic(), False
    while True:
        try:
            return call()
        except CommandError as error:
            hopeless = not error.retriable or (not patient and isinstance(error, NoWorkerError))
            if hopeless:
                raise
            if time.monotonic() >= deadline:
                error.exit_code = UNREACHABLE
                raise
            if not told and time.monotonic() - started > _QUIET_S:
                # A long silence looks like a hang.
                click.echo(f"Waiting: {error.message}", err=True)
                told = True
        time.sleep(max(0.0, min(next(pauses), deadline - time.monotonic())))


def until_running(client: Client, names: Sequence[str], deadline: float) -> None:
    """Return once connectors and all their tasks run; says so of each.

    All are watched at once: a failure of the last one is told before the first one has started.

    Raises:
        CommandError: One failed, or the time is up; the text says what it waits for.
    """
    open_: dict[str, str] = dict.fromkeys(names, "no status yet")
    while open_:
        for name in list(open_):
            state, waits = retried(partial(_look, client, name), deadline)
            if state:
                click.echo(f"{name}: {state}")
                del open_[name]
            else:
                open_[name] = waits
        if open_ and time.monotonic() >= deadline:
            waiting = "\n".join(f"{name}: not running in time: {waits}" for name, waits in open_.items())
            raise CommandError(waiting, UNREACHABLE)
        if open_:
            time.sleep(max(0.0, min(_POLL_PAUSE_S, deadline - time.monotonic())))


def reason(trace: str) -> str:
    """Return the sentence of a trace: all of a message, the last line of a stack trace."""
    text = trace.strip()
    return text.splitlines()[-1] if text.startswith("Traceback") else text


def _look(client: Client, name: str) -> tuple[str, str]:
    """Return the state that a connector has settled in, or else what it waits for."""
    try:
        status = client.request("GET", client.of(name, "status"))
    except CommandError as error:
        if error.exit_code != NOT_FOUND:
            raise
        return "", error.message  # Kafka Connect's workers know no status before the connector has started
    parts: list[tuple[str, Any]] = [("connector", status["connector"])]
    parts += [(f"task {task['id']}", task) for task in status["tasks"]]
    for part, each in parts:
        if each["state"] == "FAILED":
            raise CommandError(f"{name}: {part} FAILED: {reason(each.get('trace', ''))}", FAILED)
    state = str(status["connector"]["state"])
    settled = all(each["state"] in ("RUNNING", "PAUSED") and not each.get("trace") for _, each in parts)
    if (settled and status["tasks"]) or state == "STOPPED":
        return state.lower(), ""
    return "", "; ".join(_waits(part, each) for part, each in parts) + ("" if status["tasks"] else "; no task yet")


def _waits(part: str, each: dict[str, Any]) -> str:
    return f"{part} is {each['state']} {reason(each.get('trace', ''))}".strip()


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE_S
    while True:
        yield pause
        pause = min(pause * 2, _LONGEST_PAUSE_S)
