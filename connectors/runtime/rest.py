"""The REST server: Kafka Connect's paths, JSON and status codes.

Source: Kafka Connect's REST interface (kafka.apache.org/documentation, "REST API") as its 3.9 worker answers.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web
from aiokafka.errors import KafkaError
from mode import Service
from prometheus_client import generate_latest

from connectors.api.errors import ConfigError
from connectors.runtime.herder import Herder
from connectors.runtime.metrics import REGISTRY
from connectors.runtime.resources import ConnectorResources
from connectors.runtime.rest_errors import RestError, answer
from connectors.runtime.settings import WorkerSettings

__all__ = ["Rest", "application"]

log = logging.getLogger(__name__)

HERDER = web.AppKey("herder", Herder)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Rest(Service):  # type: ignore[misc]
    """Serves REST on the worker's port.

    Args:
        settings: The worker's settings.
        herder: What the requests are about.
    """

    def __init__(self, settings: WorkerSettings, herder: Herder) -> None:
        super().__init__()
        self._settings = settings
        self._herder = herder

    async def on_start(self) -> None:
        """Bind the port."""
        self._runner = web.AppRunner(application(self._herder), access_log=None)
        await self._runner.setup()
        host, port = self._settings.rest_host, self._settings.rest_port
        try:
            await web.TCPSite(self._runner, host, port, reuse_address=True).start()
        except OSError as error:
            await self._runner.cleanup()
            hint = "set CONNECTORS_REST_PORT or --rest-port to a free one"
            why = os.strerror(error.errno or 0)
            raise ConfigError(f"REST cannot listen on {host}:{port}: {why}; {hint}") from error
        log.info("REST on %s", self._settings.rest_url)

    async def on_stop(self) -> None:
        """Close the port."""
        if hasattr(self, "_runner"):
            await self._runner.cleanup()


def application(herder: Herder) -> web.Application:
    """Return the routes over a herder."""
    resources = ConnectorResources(herder)
    app = web.Application(middlewares=[_json_errors], client_max_size=8 << 20)
    app[HERDER] = herder
    one = "/connectors/{name}"
    app.add_routes(
        [
            web.get("/", resources.root),
            web.get("/health", resources.health),
            web.get("/metrics", _metrics),
            web.get("/connectors", resources.list_all),
            web.post("/connectors", resources.create),
            web.get(one, resources.info),
            web.delete(one, resources.delete),
            web.get(f"{one}/config", resources.config),
            web.put(f"{one}/config", resources.put_config),
            web.get(f"{one}/status", resources.status),
            web.get(f"{one}/tasks", resources.tasks),
            web.get(f"{one}/offsets", resources.offsets),
            web.get(f"{one}/tasks/{{number:\\d+}}/status", resources.task_status),
            web.post(f"{one}/tasks/{{number:\\d+}}/restart", resources.restart_task),
            web.post(f"{one}/restart", resources.restart),
            web.put(f"{one}/pause", resources.pause),
            web.put(f"{one}/resume", resources.resume),
            web.put(f"{one}/stop", resources.stop),
            web.get("/connector-plugins", resources.plugins),
            web.get("/connector-plugins/{plugin}/config", resources.plugin_config),
            web.put("/connector-plugins/{plugin}/config/validate", resources.validate),
        ]
    )
    return app


async def _metrics(_request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(REGISTRY), content_type="text/plain", charset="utf-8")


@web.middleware
async def _json_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give every error Kafka Connect's body, and never a stack trace."""
    if request.method != "GET" and request.app[HERDER].lost:
        # Nothing may be written late, after the client was told that it failed.
        return answer({"error_code": 503, "message": "No contact with Kafka; nothing was changed"}, 503)
    try:
        return await handler(request)
    except RestError as error:
        return answer({"error_code": error.status, "message": str(error)}, error.status)
    except ConfigError as error:
        return answer({"error_code": 400, "message": str(error)}, 400)
    except web.HTTPException as error:
        message = f"HTTP {error.status} {error.reason}"
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
        body = orjson.dumps({"error_code": error.status, "message": message})
        return web.Response(body=body, status=error.status, content_type="application/json", headers=headers)
    except KafkaError as error:
        message = f"Kafka does not answer ({type(error).__name__}); the request may or may not have been carried out"
        return answer({"error_code": 503, "message": message}, 503)
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        message = "The worker could not handle the request; its log says why"
        return answer({"error_code": 500, "message": message}, 500)
