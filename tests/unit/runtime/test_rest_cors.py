"""What a browser is told about pages of other sites."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from connectors.runtime.herder import Herder
from connectors.runtime.rest import application
from connectors.runtime.rest_settings import RestSettings
from tests.unit.runtime.fakes import SETTINGS

UI = "https://ui.example"
PREFLIGHT = {"Access-Control-Request-Method": "PUT"}
VARIABLES = {
    "CONNECTORS_REST_ACCESS_CONTROL_ALLOW_ORIGIN": f"{UI}, http://localhost:3000",
    "CONNECTORS_REST_ACCESS_CONTROL_ALLOW_METHODS": "get, put",
}
EVERY = {"CONNECTORS_REST_ACCESS_CONTROL_ALLOW_ORIGIN": "*", "CONNECTORS_REST_ADMIN": "token-of-ann"}


@pytest.fixture
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    settings = replace(SETTINGS, rest=RestSettings.from_env(request.param, 1))
    async with TestClient(TestServer(application(Herder(settings)))) as made:
        yield made


@pytest.mark.parametrize("client", [VARIABLES], indirect=True)
async def test_a_page_of_an_allowed_site_may_read_every_answer_errors_too(client: Any) -> None:
    for path in ("/health", "/nowhere", "/openapi.json"):
        answer = await client.get(path, headers={"Origin": UI})
        assert answer.headers["Access-Control-Allow-Origin"] == UI
        assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize("client", [VARIABLES], indirect=True)
async def test_a_browser_that_asks_before_it_sends_is_told_methods_and_headers(client: Any) -> None:
    answer = await client.options("/connectors/x/config", headers={"Origin": UI} | PREFLIGHT)
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Methods"] == "GET, PUT"
    assert answer.headers["Access-Control-Allow-Headers"] == "Authorization, Content-Type"


@pytest.mark.parametrize("client", [VARIABLES, {}], indirect=True)
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://ui.example.evil"])
async def test_another_site_is_told_nothing(client: Any, origin: str) -> None:
    for answer in (
        await client.get("/health", headers={"Origin": origin}),
        await client.options("/connectors/x/config", headers={"Origin": origin} | PREFLIGHT),
    ):
        assert not [name for name in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize("client", [EVERY], indirect=True)
async def test_every_site_may_be_allowed(client: Any) -> None:
    answer = await client.get("/health", headers={"Origin": "https://any.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert (await client.get("/health")).headers.get("Access-Control-Allow-Origin") is None
