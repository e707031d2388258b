"""`pip install` makes a plugin available, and its author can check it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import pytest

from .conftest import PLUGINS

LIST = """
import json
from connectors.runtime.plugins import connectors, transform_class
found = {name: plugin().version for name, plugin in connectors().items() if name in ("TickSource", "JsonLinesSink")}
print(json.dumps([found, transform_class("transforms.t.type", "Shout").__module__]))
"""


def test_installed_plugins_are_found_with_their_versions(installed) -> None:
    done = subprocess.run([sys.executable, "-c", LIST], env=installed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [{"JsonLinesSink": "0.3.0", "TickSource": "1.2.0"}, "faust_connect_jsonl"]


@pytest.mark.parametrize("name", ["ticks", "jsonl"])
def test_author_runs_the_conformance_suite(installed, name, tmp_path) -> None:
    pytest_in = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]
    command = [*pytest_in, "--rootdir", str(tmp_path), "-c", "/dev/null", str(PLUGINS / name)]
    done = subprocess.run(command, env=installed, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout


SOURCE = """
name: {name}
config:
  connector.class: TickSource
  topic: {topic}
  count: {count}
  value.converter: json
"""
SINK = """
name: {name}
config:
  connector.class: JsonLinesSink
  topics: {topic}
  path: ${{scratch:{path}}}
  value.converter: json
  transforms: shout
  transforms.shout.type: Shout
"""


class Process:
    """`connectors run` as a user starts it."""

    started: ClassVar[list[subprocess.Popen[bytes]]] = []

    def __init__(self, file: Path, text: str, env: dict[str, str]) -> None:
        file.write_text(text)
        self.log = file.with_suffix(".log")
        command = [sys.executable, "-m", "connectors.cli", "run", str(file)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)
        self.started.append(self.process)

    def until(self, condition: Callable[[], bool], limit_s: float = 60) -> None:
        end = time.monotonic() + limit_s
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, self.log.read_text()


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    yield
    for process in Process.started:
        process.kill()
        process.wait()
    Process.started.clear()


def test_run_moves_records_with_no_worker_and_goes_on_where_it_stopped(installed, kafka, tmp_path) -> None:
    env = {**installed, "KAFKA_BOOTSTRAP_SERVERS": kafka, "SCRATCH": str(tmp_path)}
    topic, out = f"ticks-{uuid4().hex[:8]}", tmp_path / "out.jsonl"

    def lines() -> list[dict[str, int]]:
        return [json.loads(line)["value"] for line in out.read_text().splitlines()] if out.exists() else []

    sink = Process(tmp_path / "sink.yaml", SINK.format(name=f"s-{topic}", topic=topic, path=out.name), env)
    for count in (5, 8):
        source = Process(tmp_path / "source.yaml", SOURCE.format(name=topic, topic=topic, count=count), env)
        sink.until(lambda count=count: len(lines()) == count)
        source.stop()
    sink.stop()
    assert lines() == [{"tick": number} for number in range(8)]


def test_run_ends_with_the_reason_where_a_task_fails(installed, kafka, tmp_path) -> None:
    env = {**installed, "KAFKA_BOOTSTRAP_SERVERS": kafka, "SCRATCH": str(tmp_path)}
    text = SINK.format(name="s", topic="t", path="no/such/folder")
    run = Process(tmp_path / "sink.yaml", text, env)
    assert run.process.wait(60) == 1
    assert run.log.read_text().splitlines()[-1].startswith("Error: s-0 failed: FileNotFoundError: ")


def test_run_refuses_a_configuration_that_is_not_valid(installed, kafka, tmp_path) -> None:
    env = {**installed, "KAFKA_BOOTSTRAP_SERVERS": kafka}
    run = Process(tmp_path / "source.yaml", SOURCE.format(name="s", topic="t", count="many"), env)
    assert run.process.wait(60) == 4
    assert "Option count: 'many' is not a whole number" in run.log.read_text()
