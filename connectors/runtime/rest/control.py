"""Handlers that act on connectors: pause, resume, stop, restart; topics and offsets."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiohttp import web

from connectors.api.errors import RetriableError
from connectors.api.source import SourceConnector
from connectors.runtime.offsets import Pairs
from connectors.runtime.plugins import connector_class
from connectors.runtime.rest.answers import RestError, answer
from connectors.runtime.rest.bodies import AlterOffsets, Signal, SinkOffset, SourceOffset, checked, read
from connectors.runtime.rest.context import Context
from connectors.runtime.state import State, Target

__all__ = ["Control"]

STOPPING_S = 10.0
"""A change of offsets waits so long for the tasks to end."""
_LOOK_S = 0.1


class Control:
    """Changes what connectors do; each change is one record that all workers read."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store

    async def pause(self, request: web.Request) -> web.Response:
        """Pause a connector: its tasks stay, nothing moves."""
        return await self._target(request, Target.PAUSED, 202)

    async def resume(self, request: web.Request) -> web.Response:
        """Have a paused or stopped connector go on."""
        return await self._target(request, Target.STARTED, 202)

    async def stop(self, request: web.Request) -> web.Response:
        """Stop a connector: its tasks end, configuration and offsets stay."""
        return await self._target(request, Target.STOPPED, 204)

    async def _target(self, request: web.Request, target: Target, status: int) -> web.Response:
        name = self._context.known(request)
        async with self._context.locks[name]:
            if self._store.target(name) is not target:
                await self._store.put_target(name, target)
        return web.Response(status=status)

    async def restart(self, request: web.Request) -> web.Response:
        """Restart a connector; with `includeTasks` its tasks too, with `onlyFailed` what has failed (KIP-745)."""
        name = self._context.known(request)
        include, failed = _flag(request, "includeTasks"), _flag(request, "onlyFailed")
        status = await self._context.status(name)
        tasks = [task["id"] for task in status["tasks"] if include and (not failed or task["state"] == State.FAILED)]
        parts = [str(number) for number in tasks]
        if not failed or status["connector"]["state"] == State.FAILED:
            parts.insert(0, "connector")
        if parts:
            async with self._context.locks[name]:
                await self._store.request_restart(name, parts)
        if include or failed:
            return answer(await self._context.status(name), 202)
        return web.Response(status=204)

    async def restart_task(self, request: web.Request) -> web.Response:
        """Restart a task."""
        task = self._context.known_task(request)
        async with self._context.locks[task.connector]:
            await self._store.request_restart(task.connector, [str(task.number)])
        return web.Response(status=204)

    async def signal(self, request: web.Request) -> web.Response:
        """Send a message to the running tasks of a source, such as `execute-snapshot` (ours, not Kafka Connect's)."""
        name = self._context.known(request)
        given = await read(request, Signal)
        config = self._store.config(name) or {}
        plugin = connector_class(config.get("connector.class", ""))
        known = plugin.signals() if issubclass(plugin, SourceConnector) else ()
        if given.type not in known:
            there = f"it takes {', '.join(known)}" if known else "it takes none"
            raise RestError(400, f"Field type: {plugin.__name__} knows no signal {given.type}; {there}")
        if not self._context.herder.any_runs(name):
            raise RestError(409, f"No task of connector {name} runs now", {"Retry-After": "1"})
        await self._store.put_signal(name, given.type, given.data)
        return web.Response(status=202)

    async def topics(self, request: web.Request) -> web.Response:
        """List the topics that a connector has used (KIP-558)."""
        if not self._context.herder.settings.rest.topic_tracking:
            raise RestError(403, "Topic tracking is off (CONNECTORS_TOPIC_TRACKING)")
        name = request.match_info["connector"]
        return answer({name: {"topics": self._store.topics(name)}})

    async def reset_topics(self, request: web.Request) -> web.Response:
        """Forget the topics that a connector has used."""
        rest = self._context.herder.settings.rest
        if not (rest.topic_tracking and rest.topic_reset):
            variable = "CONNECTORS_TOPIC_TRACKING_RESET" if rest.topic_tracking else "CONNECTORS_TOPIC_TRACKING"
            raise RestError(403, f"Forgetting topics is off ({variable})")
        await self._store.forget_topics(self._context.known(request))
        return web.Response(status=202)

    async def offsets(self, request: web.Request) -> web.Response:
        """Show how far a connector is."""
        name = self._context.known(request)
        pairs = await self._context.offsets.read(name, await self._context.kind(name))
        return answer({"offsets": [{"partition": partition, "offset": offset} for partition, offset in pairs]})

    async def alter_offsets(self, request: web.Request) -> web.Response:
        """Change offsets of a stopped connector (KIP-875)."""
        name = self._context.known(request)
        given = await read(request, AlterOffsets)
        pairs = self._pairs(await self._context.kind(name), given)
        return await self._change(name, pairs)

    async def reset_offsets(self, request: web.Request) -> web.Response:
        """Forget all offsets of a stopped connector (KIP-875)."""
        return await self._change(self._context.known(request), None)

    def _pairs(self, kind: str, given: AlterOffsets) -> Pairs:
        model: type[SinkOffset | SourceOffset] = SinkOffset if kind == "sink" else SourceOffset
        pairs: list[tuple[dict[str, Any], dict[str, Any] | None]] = []
        for each in given.offsets:
            one = checked(model, each.model_dump()).model_dump()
            if any(one["partition"] == partition for partition, _ in pairs):
                raise RestError(400, f"Field offsets: partition {one['partition']} is there twice")
            pairs.append((one["partition"], one["offset"]))
        return pairs

    async def _change(self, name: str, pairs: Pairs | None) -> web.Response:
        async with self._context.locks[name]:
            if self._store.target(name) is not Target.STOPPED:
                raise RestError(400, f"Connector {name} is not STOPPED; stop it before its offsets are changed")
            deadline = time.monotonic() + STOPPING_S
            while not self._has_stopped(name):
                if time.monotonic() > deadline:
                    raise RestError(409, f"Connector {name} is still stopping; try again", {"Retry-After": "1"})
                await asyncio.sleep(_LOOK_S)
            return answer({"message": await self._changed(name, pairs, deadline)})

    def _has_stopped(self, name: str) -> bool:
        status = self._store.connector_status(name)
        return status is not None and status.state is State.STOPPED and not self._context.herder.any_runs(name)

    async def _changed(self, name: str, pairs: Pairs | None, deadline: float) -> str:
        """Change offsets, again while members are leaving the consumer group."""
        while True:
            try:
                return await self._context.offsets.change(name, pairs)
            except RetriableError:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(_LOOK_S)


def _flag(request: web.Request, name: str) -> bool:
    return request.query.get(name, "false").lower() == "true"
