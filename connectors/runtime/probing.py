"""Whether the system that a configuration names can be reached: what a dry run wants to know."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Mapping
from typing import Any

from connectors.api.connector import Connector
from connectors.api.errors import ConnectError
from connectors.runtime.base_config import plugin_props
from connectors.runtime.providers import resolve

__all__ = ["probe"]


def probe(plugin: type[Connector], props: Mapping[str, str]) -> str | None:
    """Have a plugin try its system. Blocks, as long as the plugin does.

    Args:
        plugin: The connector's class.
        props: A configuration that is valid, references unresolved.

    Returns:
        Why the system cannot be used, or None.
    """
    try:
        result = plugin.probe(plugin_props(plugin, resolve(props)))
        if inspect.isawaitable(result):
            asyncio.run(_awaited(result))
    except ConnectError as error:
        return str(error)
    return None


async def _awaited(result: Awaitable[Any]) -> None:
    await result
