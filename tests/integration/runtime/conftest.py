from __future__ import annotations

import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stack.home import _free_port

Answer = tuple[int, Any]


class Worker:
    """A connector worker as a process."""

    def __init__(self, env: dict[str, str], log: Path) -> None:
        self.port = _free_port(set())
        self.log = log
        here = str(Path(__file__).parent)
        extra = {"CONNECTORS_REST_PORT": str(self.port), "CONNECTORS_WORKER_ID": log.stem, "PYTHONPATH": here}
        self.env = os.environ | env | extra
        self.env.pop("PORT", None)
        self.headers: dict[str, str] = {}
        self.tls: ssl.SSLContext | None = None
        if "CONNECTORS_REST_TLS_CERT" in env:
            self.tls = ssl.create_default_context(cafile=env["CONNECTORS_REST_TLS_CERT"])
        self.scheme = "https" if self.tls else "http"

    def start(self, ready: int = 200) -> None:
        with self.log.open("ab") as out:
            code = "import connectors.worker as worker; worker.run('info')"
            self.process = subprocess.Popen([sys.executable, "-c", code], env=self.env, stdout=out, stderr=out)
        self.until(lambda: self.get("/health")[0] == ready)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
            self.process.kill()
            self.process.wait()

    def request(self, method: str, path: str, body: Any = None, raw: bytes | None = None) -> Answer:
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.scheme}://127.0.0.1:{self.port}{path}", data, method=method)
        request.add_header("Content-Type", "application/json")
        for name, value in self.headers.items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=20, context=self.tls) as response:
                text = response.read()
                is_json = response.headers.get_content_type() == "application/json"
                return response.status, json.loads(text) if text and is_json else text.decode() or None
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())
        except (urllib.error.URLError, ConnectionError):
            return 0, None

    def get(self, path: str) -> Answer:
        return self.request("GET", path)

    def until(self, condition: Callable[[], Any], limit_s: float = 40) -> Any:
        deadline = time.monotonic() + limit_s
        while not (result := condition()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"not reached; the worker's log ends:\n{self.log.read_text()[-3000:]}")
            time.sleep(0.1)
        return result

    def states(self, name: str) -> list[str]:
        code, status = self.get(f"/connectors/{name}/status")
        if code != 200:
            return []
        return [status["connector"]["state"], *(task["state"] for task in status["tasks"])]


@pytest.fixture
def workers(kafka: str, unique: str, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Makes workers of one cluster."""
    made: list[Worker] = []

    def make(name: str = "a", role: str = "all", **env: str) -> Worker:
        worker = Worker({"CONNECTORS_CLUSTER": unique, "CONNECTORS_ROLE": role} | env, tmp_path / f"{name}.log")
        made.append(worker)
        worker.start()
        return worker

    yield make
    for worker in made:
        worker.stop()


@pytest.fixture(scope="module")
def one_worker(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """One worker for all tests that leave nothing behind."""
    log = tmp_path_factory.mktemp("one") / "one.log"
    worker = Worker({"CONNECTORS_CLUSTER": f"one{time.time_ns()}"}, log)
    worker.start()
    yield worker
    worker.stop()
