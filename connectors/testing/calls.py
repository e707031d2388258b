"""Calls a plugin's methods, which may be coroutines or plain functions."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

from connectors.api.connector import Connector

__all__ = ["LIMIT_S", "Offsets", "PlanningContext", "call", "partition_text", "planned"]

LIMIT_S = 10.0
"""Longest that a call may take. The runtime leaves a task behind that does not stop within 5 seconds."""


class Offsets:
    """Stored offsets, by source partition as JSON text."""

    def __init__(self, stored: Mapping[str, dict[str, Any]]) -> None:
        self._stored = dict(stored)

    def offset(self, partition: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the last stored offset of a source partition, or None."""
        return self._stored.get(partition_text(partition))

    def offsets(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Return all pairs of source partition and offset."""
        return [(json.loads(partition), offset) for partition, offset in self._stored.items()]


def partition_text(partition: Mapping[str, Any] | None) -> str:
    """Return a source partition as the text that offsets are kept by."""
    return json.dumps(dict(partition or {}), sort_keys=True)


class PlanningContext:
    """What a connector may ask of the runtime; keeps what it asked.

    Args:
        stored: The offsets of a source, by source partition as JSON text.
    """

    def __init__(self, stored: Mapping[str, dict[str, Any]] | None = None) -> None:
        self.offset_storage_reader = Offsets(stored or {})
        self.reconfigurations = 0
        self.errors: list[Exception] = []

    def request_task_reconfiguration(self) -> None:
        """Count the request."""
        self.reconfigurations += 1

    def raise_error(self, error: Exception) -> None:
        """Keep the error."""
        self.errors.append(error)


async def call(method: Callable[..., Any], *arguments: Any) -> Any:
    """Call a method as the runtime does: a coroutine on the loop, a plain function in a thread.

    Raises:
        TimeoutError: It took longer than `LIMIT_S`.
    """
    async with asyncio.timeout(LIMIT_S):
        if inspect.iscoroutinefunction(method):
            return await method(*arguments)
        result = await asyncio.to_thread(method, *arguments)
        return await result if inspect.isawaitable(result) else result


async def planned(
    connector: type[Connector],
    props: Mapping[str, str],
    most: int,
    stored: Mapping[str, dict[str, Any]] | None = None,
) -> list[dict[str, str]]:
    """Return the tasks' configurations, as the plugin plans them.

    Args:
        connector: The plugin.
        props: Its own options, as text.
        most: How many tasks it may plan.
        stored: The offsets of a source, by source partition as JSON text.
    """
    plugin = connector()
    plugin.initialize(PlanningContext(stored))
    await call(plugin.start, dict(props))
    try:
        return [dict(each) for each in await call(plugin.task_configs, most)]
    finally:
        await call(plugin.stop)
