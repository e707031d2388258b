"""Which pages of other sites a browser lets call REST.

Source: Kafka Connect's `access.control.allow.origin` and `access.control.allow.methods`; the Fetch standard,
"CORS protocol".
"""

from __future__ import annotations

from aiohttp import web

from connectors.runtime.rest_settings import RestSettings

__all__ = ["Cors"]


class Cors:
    """Adds what a browser asks for to the answers.

    Args:
        settings: The origins, none of them by default, and the methods.
    """

    def __init__(self, settings: RestSettings) -> None:
        self._origins = frozenset(settings.allow_origin)
        self._methods = ", ".join(settings.allow_methods)

    async def sign(self, request: web.Request, response: web.StreamResponse) -> None:
        """Tell the browser whether the page that asks may read the answer, and before that what it may send."""
        if not self._origins:
            return
        # Or a cache would give one site's answer to another.
        response.headers.add("Vary", "Origin")
        origin = request.headers.get("Origin", "")
        if not origin or not self._origins & {origin, "*"}:
            return
        response.headers["Access-Control-Allow-Origin"] = "*" if "*" in self._origins else origin
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response.headers["Access-Control-Allow-Methods"] = self._methods
            response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
