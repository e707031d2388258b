"""Answers of the REST server."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

__all__ = ["RestError", "answer", "refusal"]


class RestError(Exception):
    """An answer that is an error.

    Args:
        status: HTTP status.
        message: A sentence for the user.
        headers: Headers of the answer, such as `Retry-After`.
    """

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return a JSON answer."""
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json", headers=headers)


def refusal(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """Return an error as Kafka Connect words it: `{error_code, message}`."""
    return answer({"error_code": status, "message": message}, status, headers)
