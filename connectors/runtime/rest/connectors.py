"""Handlers of connectors: their configurations, statuses and tasks."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from connectors.api.config import Password
from connectors.runtime.rest.answers import RestError, answer
from connectors.runtime.rest.bodies import CreateConnector, Options, Patch, read
from connectors.runtime.rest.context import Context, location

__all__ = ["Connectors"]

# Tells what PUT config did; a client cannot compare, as secrets are masked in what it is shown.
CHANGE = "X-Connect-Change"


class Connectors:
    """Answers from the cluster's memory, whichever worker is asked."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store

    async def list_all(self, request: web.Request) -> web.Response:
        """List connectors, or with `expand=status` and `expand=info` all of them with that."""
        names, expand = self._store.connectors(), request.query.getall("expand", [])
        if not expand:
            return answer(names)
        known = {"status": self._context.status, "info": self._context.info}
        parts = [part for part in dict.fromkeys(expand) if part in known]
        return answer({name: {part: await known[part](name) for part in parts} for name in names})

    async def create(self, request: web.Request) -> web.Response:
        """Create a connector."""
        body = await read(request, CreateConnector)
        name, props = body.name, dict(body.config)
        if props.setdefault("name", name) != name:
            raise RestError(400, f"Field config: name is {props['name']}, the field name says {name}")
        self._no_masks(props)
        await self._context.check(props)
        async with self._context.locks[name]:
            if self._store.config(name) is not None:
                raise RestError(409, f"Connector {name} already exists")
            if body.initial_state is not None:
                await self._store.put_target(name, body.initial_state)
            await self._store.put_config(name, props)
        return answer(await self._context.info(name), 201, location(request, name))

    async def info(self, request: web.Request) -> web.Response:
        """Show a connector."""
        return answer(await self._context.info(self._context.known(request)))

    async def config(self, request: web.Request) -> web.Response:
        """Show a connector's configuration, secrets masked and references as they are."""
        name = self._context.known(request)
        return answer(await self._context.masked(self._store.config(name) or {}))

    async def put_config(self, request: web.Request) -> web.Response:
        """Create a connector, or replace its configuration; `[hidden]` leaves a secret as it is."""
        name = request.match_info["connector"]
        props = dict((await read(request, Options)).root)
        if props.setdefault("name", name) != name:
            raise RestError(400, f"Option name is {props['name']}, the path says {name}")
        return await self._replace(request, name, props)

    async def patch_config(self, request: web.Request) -> web.Response:
        """Change some options of a connector; null removes one (KIP-477)."""
        name = self._context.known(request)
        patch = (await read(request, Patch)).root
        if patch.get("name", name) != name:
            problem = "cannot be taken away" if patch["name"] is None else f"is {patch['name']}, the path says {name}"
            raise RestError(400, f"Option name {problem}")
        merged = (self._store.config(name) or {}) | patch
        return await self._replace(request, name, {key: value for key, value in merged.items() if value is not None})

    async def _replace(self, request: web.Request, name: str, props: dict[str, str]) -> web.Response:
        old = self._store.config(name)
        for key, value in (old or {}).items():
            if props.get(key) == Password.HIDDEN:
                props[key] = value
        self._no_masks(props)
        await self._context.check(props)
        async with self._context.locks[name]:
            if self._store.config(name) != old:
                raise RestError(409, f"Connector {name} was changed meanwhile; try again", {"Retry-After": "1"})
            change = "unchanged" if props == old else "created" if old is None else "updated"
            if change != "unchanged":
                await self._store.put_config(name, props)
        headers = {CHANGE: change} | (location(request, name) if old is None else {})
        return answer(await self._context.info(name), 201 if old is None else 200, headers)

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a connector; its offsets stay."""
        name = self._context.known(request)
        async with self._context.locks[name]:
            await self._store.delete(name)
        return web.Response(status=204)

    async def status(self, request: web.Request) -> web.Response:
        """Show what a connector and its tasks do, and whether that is well."""
        return answer(await self._context.status(self._context.known(request)))

    async def tasks(self, request: web.Request) -> web.Response:
        """Show the tasks of a connector with their configurations, secrets masked."""
        name = self._context.known(request)
        configs = await asyncio.gather(*map(self._context.masked, self._store.task_configs(name)))
        return answer([{"id": {"connector": name, "task": n}, "config": c} for n, c in enumerate(configs)])

    async def task_status(self, request: web.Request) -> web.Response:
        """Show what a task does."""
        task = self._context.known_task(request)
        progress = await self._context.forwarder.progress()
        shown: dict[str, Any] = {"id": task.number} | self._context.herder.task_status(task, progress)
        return answer(shown)

    def _no_masks(self, props: dict[str, str]) -> None:
        hidden = next((key for key, value in props.items() if value == Password.HIDDEN), None)
        if hidden is not None:
            text = f"Option {hidden}: {Password.HIDDEN} stands for a stored secret, and there is none"
            raise RestError(400, text)
