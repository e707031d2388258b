"""Random and malformed requests made from the OpenAPI document: never a 500 or a stack trace, always Connect's body."""

from __future__ import annotations

import itertools
from typing import Any
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from connectors.runtime.herder import Herder
from connectors.runtime.rest.context import Context
from connectors.runtime.rest.openapi import document
from connectors.runtime.rest.routes import routes
from tests.unit.runtime.fakes import SETTINGS

CONFIG = {"connector.class": "toys.CountingSource", "topic": "fuzz"}
KNOWN = "fuzzed"
CONFORMANCE = [content_type_conformance, response_schema_conformance, status_code_conformance]
BODIES = [b"", b"{", b"null", b"[]", b"[1]", b"1", b'"x"', b"NaN", b'{"a": NaN}', b"\xff\xfe", b'{"a": {"b": 1}}',
          b'{"\xed\xa0\x80": 1}', b'{"config": [null]}', b'{"name": {}}', b'{"offsets": {}}', b'{"level": []}',
          b"[" * 100_000, b'{"a":' * 2000 + b"1" + b"}" * 2000, b'{"name": "x", "config": {"a": []}}']  # fmt: skip


@pytest.fixture(scope="module")
def known(one_worker: Any) -> str:
    path = f"/connectors/{quote(KNOWN, safe='')}"
    create(one_worker)
    return path


schema = schemathesis.openapi.from_dict(document(routes(Context(Herder(SETTINGS)))))
turns = itertools.count()


def create(worker: Any) -> None:
    worker.request("POST", "/connectors", {"name": KNOWN, "config": CONFIG, "initial_state": "STOPPED"})


def judge(response: Any) -> None:
    """Fail where a refusal is not one that a client can live with."""
    if response.status_code >= 400 and response.request.method != "HEAD" and "/health" not in response.request.url:
        answer = response.json()
        assert set(answer) == {"error_code", "message"}
        assert answer["error_code"] == response.status_code
        assert answer["message"]


@schema.parametrize()
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_requests_made_from_the_document_are_answered_or_refused_properly(
    case: Any, one_worker: Any, known: str
) -> None:
    existing = "connector" in (case.path_parameters or {}) and next(turns) % 2 == 0
    if existing:
        case.path_parameters["connector"] = KNOWN
    response = case.call(base_url=f"http://127.0.0.1:{one_worker.port}", timeout=20)
    assert response.status_code != 500, response.text
    assert "Traceback" not in response.text
    judge(response)
    case.validate_response(response, checks=CONFORMANCE)
    if existing and case.method == "DELETE":
        create(one_worker)


@pytest.mark.parametrize("number", range(len(BODIES)))
def test_a_malformed_body_is_a_400_at_every_endpoint_that_takes_one(one_worker: Any, known: str, number: int) -> None:
    for method, path in [
        ("POST", "/connectors"), ("PUT", f"{known}/config"), ("PATCH", f"{known}/config"),
        ("PATCH", f"{known}/offsets"), ("PUT", "/connector-plugins/toys.CountingSource/config/validate"),
        ("PUT", "/admin/loggers/x"),
    ]:  # fmt: skip
        code, answer = one_worker.request(method, path, raw=BODIES[number])
        if (method, code) == ("PUT", 200) and "validate" in path:
            continue  # options that nobody knows are what validate is there to tell
        assert (code, answer["error_code"]) == (400, 400), (method, path, answer)
        assert answer["message"]


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/connectors/%00", 404),
        ("GET", "/connectors/%ff", 404),
        ("GET", "/connectors/..%2f", 404),
        ("GET", "/connectors/x/tasks/abc/status", 404),
        ("POST", "/connectors/x/tasks/99999999999999999999/restart", 404),
        ("POST", "/connectors/x/restart?includeTasks=maybe", 404),
        ("PUT", "/nowhere", 404),
        ("DELETE", "/connectors", 405),
    ],
)
def test_strange_paths_are_refused_as_connect_words_it(one_worker: Any, method: str, path: str, code: int) -> None:
    assert one_worker.request(method, path)[0] == code


def test_a_body_of_another_type_is_a_415(one_worker: Any) -> None:
    one_worker.headers = {"Content-Type": "text/plain"}
    try:
        assert one_worker.request("POST", "/connectors", {"name": "x"})[0] == 415
    finally:
        one_worker.headers = {}
