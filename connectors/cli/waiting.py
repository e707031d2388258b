"""Waiting for what a deployment should lead to."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from connectors.cli.client import Client
from connectors.cli.errors import FAILED, UNREACHABLE, CommandError

__all__ = ["until_reachable", "until_running"]

T = TypeVar("T")
_PAUSE_S = 0.2


def until_reachable(call: Callable[[], T], deadline: float) -> T:
    """Make a call again while the worker is not up yet."""
    while True:
        try:
            return call()
        except CommandError as error:
            if error.exit_code != UNREACHABLE or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_S)


def until_running(client: Client, name: str, deadline: float) -> None:
    """Return once a connector and all its tasks run.

    Raises:
        CommandError: One failed, or the time is up; the text says what it waits for.
    """
    while True:
        status = client.request("GET", client.of(name, "status"))
        parts = [("connector", status["connector"]), *((f"task {task['id']}", task) for task in status["tasks"])]
        for part, each in parts:
            if each["state"] == "FAILED":
                raise CommandError(f"{name}: {part} FAILED: {reason(each.get('trace', ''))}", FAILED)
        settled = all(each["state"] in ("RUNNING", "PAUSED") and not each.get("trace") for _, each in parts)
        if (settled and status["tasks"]) or status["connector"]["state"] == "STOPPED":
            return
        if time.monotonic() > deadline:
            waits = "; ".join(
                f"{part} is {each['state']} {reason(each.get('trace', ''))}".strip() for part, each in parts
            )
            raise CommandError(f"{name}: not running in time: {waits}", UNREACHABLE)
        time.sleep(_PAUSE_S)


def reason(trace: str) -> str:
    """Return the sentence of a trace: all of a message, the last line of a stack trace."""
    text = trace.strip()
    return text.splitlines()[-1] if text.startswith("Traceback") else text
