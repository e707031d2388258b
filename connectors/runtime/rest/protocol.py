"""What goes wrong below the routes, such as a request that is no HTTP, in the same JSON as every other error."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from connectors.runtime.rest.answers import refusal

__all__ = ["Runner"]

log = logging.getLogger(__name__)

_CLIENTS_FAULT = (HttpProcessingError, web.RequestPayloadError)


class _Handler(RequestHandler):
    """A connection. aiohttp's own answers with text, and logs a traceback for what is the client's mistake."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be read as a request, and close the connection."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("A request of %s failed", request.remote, exc_info=exc)
            text = "The worker could not handle the request; its log says why"
        else:
            log.debug("%s sent no HTTP: %s", request.remote, message)
            why = (message or "").partition("\n")[0].rstrip(": ")
            text = f"The request is no HTTP that can be read{why and ': ' + why}"
        answer = refusal(status, text)
        answer.force_close()
        return answer

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Log what is a fault of the worker; the others have had their answer."""
        if not isinstance(kw.get("exc_info"), _CLIENTS_FAULT):
            super().log_exception(*args, **kw)


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Handler(self, loop=self._loop, **self._kwargs)


class Runner(web.AppRunner):
    """Serves an application with our own connections."""

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        # aiohttp lets nobody choose the class of its connections; this one has the same fields.
        server.__class__ = _Server
        return server
