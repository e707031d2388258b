"""The REST server: binds the port, routes, and words every error as Kafka Connect does.

Source: Kafka Connect's REST interface (kafka.apache.org/documentation, "REST API") as its 3.9 worker answers.
"""

from __future__ import annotations

import logging
import os
from functools import partial

from aiohttp import web
from aiokafka.errors import KafkaError
from confluent_kafka import KafkaException
from mode import Service

from connectors.api.errors import ConfigError, ConnectError, RetriableError
from connectors.runtime.catalog import PluginTimeoutError
from connectors.runtime.herder import Herder
from connectors.runtime.rest.answers import RestError, answer, refusal
from connectors.runtime.rest.context import Context
from connectors.runtime.rest.cors import Cors
from connectors.runtime.rest.gate import Gate
from connectors.runtime.rest.openapi import document
from connectors.runtime.rest.protocol import Runner
from connectors.runtime.rest.route import Handler, Route
from connectors.runtime.rest.routes import routes
from connectors.runtime.settings import WorkerSettings

__all__ = ["Rest", "application"]

log = logging.getLogger(__name__)


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
        rest = self._settings.rest
        self._runner = Runner(application(self._herder), access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, rest.host, rest.port, reuse_address=True, ssl_context=rest.server_tls())
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            hint = "set CONNECTORS_REST_PORT or --rest-port to a free one"
            why = os.strerror(error.errno or 0)
            raise ConfigError(f"REST cannot listen on {rest.host}:{rest.port}: {why}; {hint}") from error
        log.info("REST on %s", self._settings.rest_url)
        if not (rest.loopback or rest.admins):
            log.warning("REST is open to every host that reaches %s:%d, without authentication", rest.host, rest.port)

    async def on_stop(self) -> None:
        """Close the port."""
        if hasattr(self, "_runner"):
            await self._runner.cleanup()


def application(herder: Herder) -> web.Application:
    """Return the routes over a herder."""
    context = Context(herder)
    gate = Gate(context)
    app = web.Application(middlewares=[_json_errors], client_max_size=8 << 20)
    table = routes(context)

    async def openapi(_request: web.Request) -> web.Response:
        """Show the OpenAPI document of all this."""
        return answer(described)

    table.append(Route("GET", "/openapi.json", openapi, {200: dict[str, object]}, early=True))
    described = document(table)
    for route in table:
        for method in (route.method, "HEAD") if route.method == "GET" else (route.method,):
            app.router.add_route(method, route.pattern, partial(gate.serve, route), expect_handler=_expected)

    async def close(_app: web.Application) -> None:
        await context.forwarder.close()

    app.on_cleanup.append(close)
    app.on_response_prepare.append(_signed)
    app.on_response_prepare.append(Cors(herder.settings.rest).sign)
    return app


async def _signed(_request: web.Request, response: web.StreamResponse) -> None:
    """Say who answers, but not which versions of what."""
    response.headers["Server"] = "faust-connect"


async def _expected(request: web.Request) -> None:
    """Have a client that asks first send its body; what else it expects may be left out of account (RFC 9110)."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        assert request.transport is not None
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


@web.middleware
async def _json_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give every error Kafka Connect's body, and never a stack trace."""
    try:
        return await handler(request)
    except web.HTTPMethodNotAllowed as error:
        allow = {"Allow": ",".join(sorted({*error.allowed_methods, "OPTIONS"}))}
        if request.method == "OPTIONS":
            return web.Response(text=allow["Allow"], headers=allow)
        return refusal(error.status, f"HTTP {error.status} {error.reason}", allow)
    except web.HTTPException as error:
        return refusal(error.status, f"HTTP {error.status} {error.reason}")
    except Exception as error:
        found = _known(error)
        if found is not None:
            return refusal(found.status, str(found), found.headers)
        log.exception("%s %s failed", request.method, request.path)
        return refusal(500, "The worker could not handle the request; its log says why")


def _known(error: Exception) -> RestError | None:
    """Return what to answer where an error is no fault of the worker."""
    soon = {"Retry-After": "2"}
    if isinstance(error, RestError):
        return error
    if isinstance(error, web.RequestPayloadError):
        return RestError(400, "The body is not what Content-Encoding, Transfer-Encoding or Content-Length say")
    if isinstance(error, RetriableError):
        return RestError(409, str(error), soon)
    if isinstance(error, ConfigError | ConnectError):
        return RestError(400, str(error))
    if isinstance(error, PluginTimeoutError):
        return RestError(504, str(error))
    if isinstance(error, KafkaException):
        return RestError(503, f"Kafka does not answer ({error.args[0].str()})", soon)
    if isinstance(error, KafkaError | TimeoutError):
        kind = type(error).__name__
        return RestError(503, f"Kafka does not answer ({kind}); the request may or may not have been carried out", soon)
    return None
