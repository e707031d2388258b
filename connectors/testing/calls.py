"""Calls a plugin's methods, which may be coroutines or plain functions."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from connectors.api.connector import Connector

__all__ = ["LIMIT_S", "PlanningContext", "call", "planned"]

LIMIT_S = 10.0
"""Longest that a call may take. The runtime leaves a task behind that does not stop within 5 seconds."""


class PlanningContext:
    """What a connector may ask of the runtime; keeps what it asked."""

    def __init__(self) -> None:
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


async def planned(connector: type[Connector], props: Mapping[str, str], most: int) -> list[dict[str, str]]:
    """Return the tasks' configurations, as the plugin plans them."""
    plugin = connector()
    plugin.initialize(PlanningContext())
    await call(plugin.start, dict(props))
    try:
        return [dict(each) for each in await call(plugin.task_configs, most)]
    finally:
        await call(plugin.stop)
