from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

Get = Callable[[web.Application, str], Awaitable[Any]]


@pytest.fixture
def aiohttp_get() -> Get:
    """Asks an application once, and returns the JSON of its answer."""

    async def get(app: web.Application, path: str) -> Any:
        async with TestClient(TestServer(app)) as client:
            answer = await client.get(path)
            return await answer.json()

    return get
