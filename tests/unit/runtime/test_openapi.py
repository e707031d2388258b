"""The OpenAPI document and the table of routes tell the same."""

from __future__ import annotations

import re
from typing import Any

import pytest

from connectors.runtime.herder import Herder
from connectors.runtime.rest import application
from connectors.runtime.rest.context import Context
from connectors.runtime.rest.openapi import document
from connectors.runtime.rest.routes import routes
from tests.unit.runtime.fakes import SETTINGS


@pytest.fixture
async def herder() -> Herder:
    return Herder(SETTINGS)


async def test_each_route_of_the_server_is_documented(herder: Herder, aiohttp_get: Any) -> None:
    app = application(herder)
    told = (await aiohttp_get(app, "/openapi.json"))["paths"]
    served = {
        (route.resource.canonical.removesuffix("{slash}"), route.method.lower())
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD" and "/internal/" not in route.resource.canonical
    }
    assert served == {(path, method) for path, methods in told.items() for method in methods}


async def test_each_operation_says_what_it_takes_and_answers(herder: Herder) -> None:
    made = document(routes(Context(herder)))
    operations = [operation for methods in made["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["summary"].endswith((".", ")."))
        assert any(status.startswith("2") for status in operation["responses"])
    text = str(made)
    for reference in set(re.findall(r"#/components/schemas/(\w+)", text)):
        assert reference in made["components"]["schemas"]
    assert "/internal" not in text
