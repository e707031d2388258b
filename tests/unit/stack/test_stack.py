from __future__ import annotations

import os
import socket
import sys
import threading
from pathlib import Path
from typing import ClassVar

import psutil
import pytest
from click.testing import CliRunner

import stack
from stack import Home, StackError
from stack.cli import main
from stack.maven import java
from stack.packages import _mirror, require
from stack.process import Process, Spec, tail
from stack.servers.base import Say, Server


class Toy(Server):
    """A server that is one Python process; it is ready when its file exists."""

    name = "toy"
    port_names: ClassVar = ("toy",)
    process_names: ClassVar = ("toy",)
    start_limit_s: ClassVar = 10
    code = "import pathlib, time; pathlib.Path('ready').touch(); time.sleep(60)"

    def download(self, say: Say) -> None:
        return

    def initialise(self) -> None:
        (self.data / "made").touch()

    def specs(self) -> list[Spec]:
        return [Spec("toy", [sys.executable, "-c", self.code], os.environ, self.data)]

    def probe(self) -> None:
        (self.data / "ready").stat()

    def environment(self) -> dict[str, str]:
        return {"TOY_PORT": str(self.ports["toy"])}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_server_starts_once_and_keeps_data_and_port(home: Home) -> None:
    toy = Toy(home)
    said: list[str] = []
    toy.up(said.append)
    first, port = toy.pids(), toy.ports["toy"]
    toy.up(said.append)
    assert toy.pids() == first
    assert said == ["downloading", "initialising", "starting", "running", "running"]
    toy.stop()
    assert toy.pids() == []
    toy.start()
    assert toy.ports["toy"] == port
    assert (toy.data / "made").exists()
    toy.stop()
    toy.wipe()
    assert not toy.data.exists()


def test_a_server_that_dies_shows_its_last_log_lines(home: Home) -> None:
    toy = Toy(home)
    toy.code = "print('out of cheese'); raise SystemExit(7)"
    with pytest.raises(StackError, match=r"toy ended while starting(.|\n)*out of cheese"):
        toy.up(lambda _: None)
    assert toy.pids() == []


def test_a_server_that_does_not_answer_in_time_says_what_its_probe_saw(home: Home) -> None:
    toy = Toy(home)
    toy.code = "import time; time.sleep(60)"
    toy.start_limit_s = 0.3  # type: ignore[misc]
    with pytest.raises(StackError, match=r"did not answer within 0 s \(FileNotFoundError"):
        toy.start()
    assert toy.pids() == []


def test_a_slow_running_server_is_waited_for_and_not_restarted(home: Home) -> None:
    toy = Toy(home)
    toy.start()
    first = toy.pids()
    (toy.data / "ready").unlink()
    threading.Timer(0.5, (toy.data / "ready").touch).start()
    said: list[str] = []
    toy.up(said.append)
    assert toy.pids() == first
    assert said[-1] == "running"
    assert "starting" not in said
    toy.stop()


def test_a_running_server_that_stays_silent_is_restarted(home: Home) -> None:
    toy = Toy(home)
    toy.patience_s = 0.3  # type: ignore[misc]
    toy.start()
    first = toy.pids()
    (toy.data / "ready").unlink()
    toy.start()
    assert toy.pids() != first
    assert toy.healthy()
    toy.stop()


def test_an_interrupted_start_leaves_no_process(home: Home) -> None:
    toy = Toy(home)
    toy.code = "import time; time.sleep(60)"
    threading.Timer(0.5, toy.interrupted.set).start()
    with pytest.raises(StackError, match="toy: interrupted"):
        toy.start()
    assert toy.pids() == []


def test_a_port_that_somebody_else_took_is_replaced(home: Home) -> None:
    toy = Toy(home)
    with socket.socket() as other:
        other.bind(("127.0.0.1", toy.ports["toy"]))
        other.listen()
        toy.start()
        assert toy.ports["toy"] != other.getsockname()[1]
    toy.stop()


def test_only_a_java_17_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for version in (11, 17):
        program = tmp_path / str(version) / "bin/java"
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}.0.1\"' >&2\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "11/bin"))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "17"))
    assert java() == str(tmp_path / "17/bin/java")


def test_a_recycled_pid_is_not_taken_for_the_server(home: Home) -> None:
    home.remember("toy", os.getpid(), psutil.Process().create_time() - 100)
    assert Process(home, "toy").handle() is None


def test_up_of_a_failing_server_exits_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StackError("redis ended while starting. Last lines of redis.log:\nFatal")

    monkeypatch.setattr("stack.cli.up", fail)
    result = CliRunner().invoke(main, ["up", "redis"])
    assert result.exit_code == 1
    assert "Fatal" in result.output
    assert "Traceback" not in result.output


def test_status_of_a_stopped_server_exits_with_3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STACK_HOME", str(tmp_path))
    result = CliRunner().invoke(main, ["status", "redis"])
    assert result.exit_code == 3
    assert "stopped" in result.output


def test_env_prints_shell_and_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STACK_HOME", str(tmp_path))
    shell = CliRunner().invoke(main, ["env", "redis"]).output
    assert shell.startswith("export REDIS_URL=redis://127.0.0.1:")
    assert '"REDIS_URL"' in CliRunner().invoke(main, ["env", "redis", "--format", "json"]).output


def test_an_unknown_server_names_the_known_ones() -> None:
    with pytest.raises(StackError, match="There is no server oracle; there are kafka, mysql"):
        stack.server("oracle")


def test_a_missing_command_names_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(StackError, match=r"nosuch is missing\. Type: sudo apt-get install -y nosuch-package"):
        require("nosuch", "nosuch-package")


@pytest.mark.parametrize(
    "text",
    [
        "deb http://mirror.example/debian bookworm main\n",
        "deb [signed-by=/k.gpg] http://mirror.example/debian/ bookworm main\n",
        "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\n",
    ],
)
def test_the_mirror_is_the_systems_own(tmp_path: Path, text: str) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/debian.sources").write_text(text)
    assert _mirror(tmp_path) == "http://mirror.example/debian"


def test_a_system_without_debian_mirror_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"use compose\.yaml"):
        _mirror(tmp_path)


def test_the_tail_of_a_log_is_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert tail(log) == "(no log)"
    log.write_text("\n".join(str(i) for i in range(50)))
    assert tail(log, 2) == "48\n49"
