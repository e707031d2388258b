"""Answers of the REST server."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

__all__ = ["RestError", "answer"]


class RestError(Exception):
    """An answer that is an error.

    Args:
        status: HTTP status.
        message: A sentence for the user.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return a JSON answer."""
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json", headers=headers)
