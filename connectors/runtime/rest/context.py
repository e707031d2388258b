"""What the handlers share: the cluster's memory, the plugins, and the JSON of a connector."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any
from urllib.parse import quote

from aiohttp import web

from connectors.api.errors import did_you_mean
from connectors.runtime.base_config import check
from connectors.runtime.catalog import Catalog
from connectors.runtime.herder import Herder
from connectors.runtime.offsets import Offsets
from connectors.runtime.rest.answers import RestError
from connectors.runtime.rest.forwarding import Forwarder
from connectors.runtime.secrets import masked
from connectors.runtime.state import TaskId

__all__ = ["Context", "location"]


class Context:
    """See the module.

    Attributes:
        herder: The worker's control loop.
        catalog: The connector classes.
        forwarder: Calls other workers.
        offsets: Offsets of stopped connectors.
        locks: A lock for each connector, so that changes of one come one after the other.
    """

    def __init__(self, herder: Herder) -> None:
        self.herder = herder
        self.store = herder.store
        self.catalog = Catalog()
        self.forwarder = Forwarder(herder)
        self.offsets = Offsets(herder.settings, herder.store, self.catalog)
        self.locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def known(self, request: web.Request) -> str:
        """Return the connector that the path names.

        Raises:
            RestError: 404, there is none.
        """
        name = request.match_info["connector"]
        if self.store.config(name) is None:
            raise RestError(404, f"Connector {name} not found{did_you_mean(name, self.store.connectors())}")
        return name

    def known_task(self, request: web.Request) -> TaskId:
        """Return the task that the path names.

        Raises:
            RestError: 404, there is none.
        """
        name, number = self.known(request), int(request.match_info["task"])
        if number >= len(self.store.task_configs(name)):
            raise RestError(404, f"Connector {name} has no task {number}")
        return TaskId(name, number)

    async def check(self, props: dict[str, str]) -> None:
        """Check a configuration before it is stored.

        Raises:
            RestError: 400, with all errors.
        """
        _, values = await self.catalog.call(props.get("connector.class", ""), check, props)
        errors = list(dict.fromkeys(text for value in values for text in value.errors))
        if errors:
            raise RestError(400, "\n".join([f"The configuration has {len(errors)} error(s):", *errors]))

    async def kind(self, name: str) -> str:
        """Return `source` or `sink`, or `unknown` where the plugin cannot be had here."""
        described = await self.catalog.find((self.store.config(name) or {}).get("connector.class", ""))
        return "unknown" if described is None else described.kind

    async def info(self, name: str) -> dict[str, Any]:
        """Return Kafka Connect's ConnectorInfo."""
        tasks = [{"connector": name, "task": number} for number in range(len(self.store.task_configs(name)))]
        config = await self.masked(self.store.config(name) or {})
        return {"name": name, "config": config, "tasks": tasks, "type": await self.kind(name)}

    async def status(self, name: str) -> dict[str, Any]:
        """Return Kafka Connect's status, and ours."""
        progress = await self.forwarder.progress()
        return self.herder.status(name, progress) | {"type": await self.kind(name)}

    async def masked(self, config: dict[str, str]) -> dict[str, str]:
        """Hide secrets; where the plugin cannot tell which options are secret, all but name and class."""
        described = await self.catalog.find(config.get("connector.class", ""))
        if described is None:
            return {key: config[key] for key in ("name", "connector.class") if key in config}
        return masked(config, described.keys)


def location(request: web.Request, name: str) -> dict[str, str]:
    """Return the header that says where a new connector is; absolute, by the request's own host."""
    return {"Location": f"{request.url.origin()}/connectors/{quote(name, safe='')}"}
