"""Handlers about the worker itself: health, metrics, loggers, and what its tasks do."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from connectors.runtime.health import Health
from connectors.runtime.metrics import REGISTRY
from connectors.runtime.rest.answers import RestError, answer
from connectors.runtime.rest.bodies import Level, read
from connectors.runtime.rest.context import Context
from connectors.runtime.rest.forwarding import progress_body
from connectors.runtime.worker_metrics import WorkerCollector

__all__ = ["Worker"]

_STALLED_S = 30


class Worker:
    """Answers for this worker, whoever leads."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._herder = context.herder
        self._own = CollectorRegistry()
        self._own.register(WorkerCollector(context.herder))

    async def root(self, _request: web.Request) -> web.Response:
        """Tell which worker and cluster this is."""
        settings = self._herder.settings
        facts = {"version": version("faust-connect"), "commit": "", "kafka_cluster_id": self._herder.kafka_cluster_id}
        facts |= {"cluster": settings.cluster, "worker_id": settings.worker_id, "leader": self._herder.members.leader}
        return answer(facts | {"workers": self._herder.members.roles})

    async def health(self, request: web.Request) -> web.Response:
        """Tell whether the worker works (KIP-1017), or with `connector=NAME` whether that connector does."""
        names = request.query.getall("connector", [])
        worker = self._worker_health()
        if worker.status != 200 or not names:
            return worker
        unknown = next((name for name in names if self._context.store.config(name) is None), None)
        if unknown is not None:
            raise RestError(404, f"Connector {unknown} not found")
        statuses = [await self._context.status(name) for name in names]
        rows = [{"name": each["name"], "health": each["health"], "reasons": each["reasons"]} for each in statuses]
        well = all(row["health"] == Health.HEALTHY for row in rows)
        reasons = "; ".join(reason for row in rows for reason in row["reasons"])
        body = {"status": "healthy" if well else "unhealthy", "message": reasons or "All is well", "connectors": rows}
        return answer(body, 200 if well else 503)

    def _worker_health(self) -> web.Response:
        herder = self._herder
        if herder.lost:
            servers = herder.settings.kafka.bootstrap_servers
            message = f"No contact with the group at {servers}: the tasks of this worker are stopped"
            return answer({"status": "unhealthy", "message": message}, 500)
        if not herder.ready:
            return answer({"status": "starting", "message": herder.starting}, 503)
        if herder.seconds_since_round() > _STALLED_S:
            return answer({"status": "unhealthy", "message": f"No round for over {_STALLED_S} s"}, 500)
        return answer({"status": "healthy", "message": "The worker is part of its group"})

    async def metrics(self, _request: web.Request) -> web.Response:
        """Show the metrics as Prometheus text."""
        body = generate_latest(REGISTRY) + generate_latest(self._own)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    async def loggers(self, _request: web.Request) -> web.Response:
        """List the loggers and their levels (KIP-495)."""
        return answer(self._herder.loggers.all())

    async def logger(self, request: web.Request) -> web.Response:
        """Show the level of a logger."""
        name = request.match_info["logger"]
        found = self._herder.loggers.one(name)
        if found is None:
            raise RestError(404, f"Logger {name} not found")
        return answer(found)

    async def set_logger(self, request: web.Request) -> web.Response:
        """Set the level of a logger and those below it, here or with `scope=cluster` on all workers (KIP-976)."""
        name, level = request.match_info["logger"], (await read(request, Level)).level
        if not name.isprintable() or len(name) > 255:
            raise RestError(400, "The logger's name: at most 255 printable characters are allowed")
        if request.query.get("scope", "worker").lower() != "cluster":
            return answer(self._herder.loggers.set(name, level))
        if not self._herder.ready:
            raise RestError(503, self._herder.starting, {"Retry-After": "2"})
        value: dict[str, Any] = {"level": level, "modified": int(time.time() * 1000)}
        await self._context.store.configs.write(f"logger-cluster-{name}", value, undo=True)
        return web.Response(status=204)

    async def progress(self, _request: web.Request) -> web.Response:
        """Tell another worker what the tasks here are doing."""
        return answer(progress_body(self._herder.progress()))
