"""What every request passes before its handler: who may call, whether Kafka answers, who carries it out."""

from __future__ import annotations

import base64
import hmac
from typing import Final

from aiohttp import web

from connectors.runtime.rest.answers import RestError
from connectors.runtime.rest.context import Context
from connectors.runtime.rest.forwarding import HOPS, MADE_AT, SIGNATURE, NotReachedError, signed_text
from connectors.runtime.rest.route import Route
from connectors.runtime.rest_settings import RestSettings

__all__ = ["Gate"]

_ASK: Final = {"WWW-Authenticate": 'Basic realm="faust-connect", charset="UTF-8"'}
_SOON: Final = {"Retry-After": "2"}


class Gate:
    """Lets requests through to their handlers.

    Args:
        context: What the handlers share.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._herder = context.herder
        self._credentials = _Credentials(context.herder.settings.rest)

    async def serve(self, route: Route, request: web.Request) -> web.StreamResponse:
        """Answer a request.

        Raises:
            RestError: 401 or 403, the caller may not; 503, Kafka does not answer.
        """
        _check_accept(route, request)
        forwarded = await self._from_worker(request)
        if not forwarded:
            self._admit(route, request)
        if not route.early:
            self._check_ready(route)
        if route.leader and self._herder.members.leader != self._herder.me:
            try:
                return await self._context.forwarder.to_leader(request)
            except NotReachedError:
                # The memory is shared, so this worker can do it as well; only two creations at once are not told apart.
                return await route.handler(request)
        return await route.handler(request)

    def _check_ready(self, route: Route) -> None:
        if self._herder.lost and route.method != "GET":
            # Nothing may be written late, after the client was told that it failed.
            raise RestError(503, "No contact with Kafka; nothing was changed", _SOON)
        if not self._herder.ready and not self._herder.lost:
            raise RestError(503, self._herder.starting, _SOON)

    def _admit(self, route: Route, request: web.Request) -> None:
        if route.access == "worker":
            raise RestError(400, "This path is for other workers; their calls are signed")
        if route.access == "open" or not self._credentials.needed:
            return
        role = self._credentials.role(request.headers.get("Authorization", ""))
        if role is None:
            raise RestError(401, "Credentials are needed: basic authentication or a bearer token", _ASK)
        if route.access == "admin" and role != "admin":
            raise RestError(403, "These credentials may look, but change nothing")

    async def _from_worker(self, request: web.Request) -> bool:
        signature = request.headers.get(SIGNATURE)
        if signature is None:
            return False
        made_at, passed = request.headers.get(MADE_AT, ""), request.headers.get(HOPS, "")
        text = signed_text(request.method, request.rel_url.raw_path_qs, made_at, passed, await request.read())
        valid = self._herder.session.verify(text, signature, made_at)
        if valid is None:
            raise RestError(503, "This worker has no session key yet", _SOON)
        if not valid:
            raise RestError(403, "The signature is not that of a worker of this cluster, or the clocks differ")
        return True


def _check_accept(route: Route, request: web.Request) -> None:
    accepted = [part.partition(";")[0].strip().lower() for part in request.headers.get("Accept", "").split(",")]
    if route.content == "application/json" and not {"", "*/*", "application/*", "application/json"} & {*accepted}:
        raise RestError(406, "HTTP 406 Not Acceptable: Accept leaves application/json out")


class _Credentials:
    """Compares credentials in constant time."""

    def __init__(self, settings: RestSettings) -> None:
        self._headers = [(_header(each), "admin") for each in settings.admins]
        self._headers += [(_header(each), "reader") for each in settings.readers]
        self.needed = bool(self._headers)

    def role(self, header: str) -> str | None:
        """Return the role of an `Authorization` header, or None."""
        scheme, _, rest = header.strip().partition(" ")
        given = f"{scheme.lower()} {rest.strip()}".encode(errors="replace")
        found = None
        for expected, role in self._headers:
            if hmac.compare_digest(expected, given):
                found = found or role
        return found


def _header(credential: str) -> bytes:
    if ":" in credential:
        return b"basic " + base64.b64encode(credential.encode())
    return b"bearer " + credential.encode()
