"""What a client may do wrong below the routes: every error has Kafka Connect's body, and none is a 500."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from connectors.runtime.herder import Herder
from connectors.runtime.rest import application
from connectors.runtime.rest.protocol import Runner
from tests.unit.runtime.fakes import SETTINGS

JSON = b"Content-Type: application/json\r\n"
LONG = b"a" * 10_000


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """The REST server of a worker that has not reached Kafka."""
    runner = Runner(application(Herder(SETTINGS)), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.mark.parametrize(
    ("lost", "ready", "since_s", "answer"),
    [
        (False, False, 0.0, (503, "starting")),
        (False, True, 1.0, (200, "healthy")),
        (False, True, 31.0, (500, "unhealthy")),  # the control loop hangs
        (True, False, 1.0, (500, "unhealthy")),
    ],
)
async def test_health_tells_whether_the_control_loop_goes_round(
    monkeypatch: pytest.MonkeyPatch, lost: bool, ready: bool, since_s: float, answer: tuple[int, str]
) -> None:
    for name, value in (("lost", lost), ("ready", ready)):
        monkeypatch.setattr(Herder, name, property(lambda _self, value=value: value))
    monkeypatch.setattr(Herder, "seconds_since_round", lambda _self: since_s)
    async with TestClient(TestServer(application(Herder(SETTINGS)))) as client:
        found = await client.get("/health")
        assert (found.status, (await found.json())["status"]) == answer


async def ask(port: int, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes; return status, headers and body of what comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        async with asyncio.timeout(5):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            bare = request.startswith(b"HEAD")
            body = b"" if bare else await reader.readexactly(int(headers.get("content-length", 0)))
    finally:
        writer.close()
    return int(head[0].split()[1]), headers, body


def call(method: str, path: str, *headers: bytes, body: bytes = b"") -> bytes:
    lines = b"".join(line + b"\r\n" for line in headers)
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{length}".encode() + lines + b"\r\n" + body


@pytest.mark.parametrize(
    "request_",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /connectors HTTP/9.9\r\nHost: x\r\n\r\n",
        b"FOO / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET connectors HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[bad/connectors HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /" + LONG + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + LONG + b"\r\n\r\n",
        b"GET /connectors\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PUT /admin/loggers/x HTTP/1.1\r\nHost: x\r\n" + JSON + b"Content-Length: abc\r\n\r\n{}",
        b"PUT /admin/loggers/x HTTP/1.1\r\nHost: x\r\n" + JSON + b"Content-Type: text/plain\r\n\r\n",
        call("PUT", "/admin/loggers/x", JSON.strip(), b"Content-Encoding: gzip", body=b"{}"),
        call("PUT", "/admin/loggers/x", JSON.strip(), b"Content-Encoding: deflate", body=b"{}"),
        call("PUT", "/admin/loggers/x", JSON.strip()),
        b"PUT /admin/loggers/x HTTP/1.1\r\nHost: x\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_a_400_in_json_and_leaves_no_traceback_in_the_log(
    port: int, request_: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        status, headers, body = await ask(port, request_)
    answer = json.loads(body)
    assert (status, headers["content-type"]) == (400, "application/json")
    assert answer["error_code"] == 400
    assert len(answer["message"]) < 300
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", "/nowhere", 404, None),
        ("OPTIONS", "/nowhere", 404, None),
        ("DELETE", "/connectors", 405, "GET,HEAD,OPTIONS,POST"),
        ("POST", "/connector-plugins/x/config/validate", 405, "OPTIONS,PUT"),
        ("OPTIONS", "/connectors/x/config", 200, "GET,HEAD,OPTIONS,PATCH,PUT"),
        ("HEAD", "/admin/loggers", 200, None),
        ("GET", "/admin/loggers/", 200, None),
        ("GET", "/admin/loggers/root/", 200, None),
        ("GET", "/connectors/x/tasks/1/status/", 503, None),
        ("GET", "/connectors/x/tasks/one/status", 404, None),
    ],
)
async def test_slashes_and_methods_are_taken_as_kafka_connect_takes_them(
    port: int, method: str, path: str, status: int, allow: str | None
) -> None:
    found, headers, body = await ask(port, call(method, path))
    assert (found, headers.get("allow")) == (status, allow)
    assert headers["server"] == "faust-connect"
    if status >= 400:
        assert json.loads(body)["error_code"] == status


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("/admin/loggers", "text/html", 406),
        ("/admin/loggers", "text/html, application/json;q=0.5", 200),
        ("/admin/loggers", "application/*", 200),
        ("/admin/loggers", "text/html,*/*;q=0.1", 200),
        ("/metrics", "text/html", 200),
    ],
)
async def test_a_client_that_accepts_no_json_is_told(port: int, path: str, accept: str, status: int) -> None:
    found, headers, body = await ask(port, call("GET", path, f"Accept: {accept}".encode()))
    assert found == status
    if status == 406:
        assert (headers["content-type"], json.loads(body)["error_code"]) == ("application/json", 406)


async def test_a_client_that_asks_before_it_sends_is_told_to_go_on_and_other_expectations_pass(port: int) -> None:
    body = json.dumps({"level": "INFO"}).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(call("PUT", "/admin/loggers/expect", JSON.strip(), b"Expect: 100-continue", b"Content-Length: 17"))
    assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).startswith(b"HTTP/1.1 100")
    writer.write(body)
    assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.1 200")
    writer.close()
    status, _, _ = await ask(port, call("PUT", "/admin/loggers/expect", JSON.strip(), b"Expect: miracles", body=body))
    assert status == 200


async def test_an_empty_body_is_called_empty(port: int) -> None:
    answer: Any = json.loads((await ask(port, call("PUT", "/admin/loggers/x", JSON.strip())))[2])
    assert answer["message"] == "The body is empty; a JSON object is needed"


async def test_reading_the_options_of_a_plugin_imports_no_module_that_nobody_uses(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "booby_trap.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    status, _, body = await ask(port, call("GET", "/connector-plugins/booby_trap.Source/config"))
    assert (status, json.loads(body)["message"]) == (404, "No plugin booby_trap.Source is installed")
    assert (await ask(port, call("GET", "/connector-plugins/MySqlBinlog/config")))[0] == 200
