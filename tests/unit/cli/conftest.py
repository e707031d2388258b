"""A worker's REST in a thread, so that requests go over a real socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import pytest
from click.testing import CliRunner, Result

from connectors.cli import main


class FakeRest:
    """Answers as a worker does, from what a test puts in.

    Attributes:
        configs: Connector -> its options.
        statuses: Connector -> the answers of GET status in turn; the last one stays.
        planned: Answers (status, body) that come before all others, whatever is asked.
        requests: What was asked: method, path as it came, headers, body.
        fixed: Path -> answer of a GET.
        parts: What follows /connectors/<name>/ -> answer of a GET.
    """

    def __init__(self) -> None:
        self.configs: dict[str, dict[str, str]] = {}
        self.statuses: dict[str, list[dict[str, Any]]] = {}
        self.planned: list[tuple[int, Any]] = []
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.says_change = True
        self.fixed: dict[str, Any] = {}
        self.parts: dict[str, Any] = {}
        self.url = ""

    def sequence(self, name: str, *states: list[dict[str, Any]]) -> None:
        """Have a connector go through states, each a list: the connector's part and its tasks'."""
        self.statuses[name] = [
            {
                "name": name,
                "type": "sink",
                "connector": parts[0],
                "tasks": [{"id": number} | part for number, part in enumerate(parts[1:])],
            }
            for parts in states
        ]

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any, dict[str, str]]:
        if self.planned:
            return *self.planned.pop(0), {}
        if path == "/health":
            return 200, {"status": "healthy", "message": ""}, {}
        if path == "/connectors":
            return 200, sorted(self.configs), {}
        if path.startswith("/connectors?expand="):
            return 200, self._expanded(path.rpartition("=")[2]), {}
        if path in self.fixed and method == "GET":
            return 200, self.fixed[path], {}
        if path == "/connector-plugins":
            return 200, [{"class": "p.CassandraSink", "type": "sink", "version": "1"}], {}
        if path.partition("?")[0].endswith("/config/validate"):
            return self._validated(path.split("/")[2], body)
        if path.startswith("/connectors/"):
            name, _, part = path.removeprefix("/connectors/").partition("/")
            return self._connector(method, unquote(name), part.partition("?")[0], body)
        return 404, {"error_code": 404, "message": "HTTP 404 Not Found"}, {}

    def _expanded(self, what: str) -> dict[str, Any]:
        if what == "info":
            return {name: {"info": {"name": name, "config": config}} for name, config in self.configs.items()}
        return {name: {"status": self._connector("GET", name, "status", None)[1]} for name in sorted(self.configs)}

    def _validated(self, plugin: str, body: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        if plugin != "CassandraSink":
            return 404, {"error_code": 404, "message": f"no connector {plugin}; did you mean CassandraSink?"}, {}
        errors = ["Unknown option topik; did you mean topics?"] if "topik" in body else []
        return 200, {"configs": [{"value": {"errors": []}}, {"value": {"errors": errors}}]}, {}

    def _connector(self, method: str, name: str, part: str, body: Any) -> tuple[int, Any, dict[str, str]]:
        if (method, part) == ("PUT", "config"):
            return self._put(name, body)
        if name not in self.configs:
            return 404, {"error_code": 404, "message": f"Connector {name} not found"}, {}
        if part in self.parts:
            if method == "PATCH":
                return 200, {"message": "The offsets have been altered"}, {}
            return (200, self.parts[part], {}) if method == "GET" else (200, {"message": "done"}, {})
        if (method, part) == ("PATCH", "config"):
            self.configs[name] = {k: v for k, v in (self.configs[name] | body).items() if v is not None}
            return 200, {"name": name}, {}
        if (method, part) == ("DELETE", ""):
            del self.configs[name]
            return 204, None, {}
        if method == "GET":
            answers = self.statuses.get(name, [])
            found = {"config": self.configs[name], "status": answers[0] if answers else None}
            if part == "status" and len(answers) > 1:
                del answers[0]
            return 200, found[part], {}
        return 202, None, {}

    def _put(self, name: str, body: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        bad = [key for key in body if key == "topik"]
        if bad:
            text = "The configuration has 1 error(s):\nUnknown option topik; did you mean topics?"
            return 400, {"error_code": 400, "message": text}, {}
        old = self.configs.get(name)
        self.configs[name] = body
        change = "created" if old is None else "unchanged" if old == body else "updated"
        headers = {"X-Connect-Change": change} if self.says_change else {}
        if old is None:
            headers["Location"] = f"/connectors/{name}"
        return (201 if old is None else 200), {"name": name, "config": body}, headers


def _handler(rest: FakeRest) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(text) if text else None
            rest.requests.append((self.command, self.path, dict(self.headers.items()), body))
            status, value, headers = rest.answer(self.command, self.path, body)
            data = value if isinstance(value, bytes) else b"" if value is None else json.dumps(value).encode()
            self.send_response(status)
            for name, header in (headers | {"Content-Length": str(len(data))}).items():
                self.send_header(name, header)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = _serve  # noqa: N815 - names that http.server calls

        def log_message(self, *_arguments: Any) -> None:
            """Keep the tests' output clean."""

    return Handler


def start(rest: FakeRest, port: int = 0) -> ThreadingHTTPServer:
    """Serve from a thread until `shutdown` is called."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler(rest))
    rest.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server


@pytest.fixture
def rest() -> Iterator[FakeRest]:
    made = FakeRest()
    server = start(made)
    yield made
    server.shutdown()
    server.server_close()


@pytest.fixture
def late_rest() -> Iterator[tuple[FakeRest, Callable[[], None]]]:
    """A worker that has an address, but listens only once the function is called."""
    made, servers = FakeRest(), []
    probe = start(made)
    port = int(probe.server_address[1])
    probe.shutdown()
    probe.server_close()
    yield made, lambda: servers.append(start(made, port))
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def cli(rest: FakeRest) -> Callable[..., Result]:
    """Run a command against the worker."""
    return lambda *arguments: CliRunner().invoke(main, ["--url", rest.url, *map(str, arguments)])
