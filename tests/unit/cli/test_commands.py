from __future__ import annotations

import json
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from connectors.cli import main
from connectors.cli.client import Client
from connectors.cli.errors import FAILED, INVALID, NOT_FOUND, UNREACHABLE, USAGE, CommandError

RUNNING = {"state": "RUNNING", "worker_id": "w"}


class Worker:
    """Stands for a worker's REST."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.change = "created"
        self.statuses: list[dict[str, Any]] = []
        self.refusals: dict[str, CommandError] = {}

    def open(self, method: str, path: str, body: Any) -> tuple[bytes, Message]:
        self.requests.append((method, path, body))
        for part, refusal in self.refusals.items():
            if part in path:
                raise refusal
        headers = Message()
        headers["X-Connect-Change"] = self.change
        answer: Any = None
        if path.endswith("/status"):
            answer = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        elif path == "/connectors?expand=status":
            answer = {"a": {"status": self.statuses[0]}}
        elif path == "/connectors":
            answer = ["a"]
        elif path.endswith("/validate"):
            answer = {"configs": [{"value": {"errors": ["Unknown option topik; did you mean topic?"]}}]}
        return (b"" if answer is None else json.dumps(answer).encode()), headers


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    made = Worker()
    monkeypatch.setattr(Client, "_open", lambda _self, *arguments: made.open(*arguments))
    return made


@pytest.fixture
def run() -> Callable[..., Result]:
    def call(*arguments: str) -> Result:
        return CliRunner().invoke(main, [*map(str, arguments)])

    return call


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "a.yaml"
    made.write_text("name: a\nconfig:\n  connector.class: X\n")
    return made


def status(connector: dict[str, Any], *tasks: dict[str, Any]) -> dict[str, Any]:
    numbered = [{"id": number} | task for number, task in enumerate(tasks)]
    return {"name": "a", "type": "sink", "connector": connector, "tasks": numbered}


@pytest.mark.parametrize("change", ["created", "updated", "unchanged"])
def test_deploy_tells_what_it_did(worker: Worker, run: Callable[..., Result], file: Path, change: str) -> None:
    worker.change = change
    result = run("deploy", file)
    assert (result.exit_code, result.stdout) == (0, f"a: {change}\n")
    assert worker.requests == [("PUT", "/connectors/a/config", {"name": "a", "connector.class": "X"})]


def test_deploy_waits_until_all_tasks_run(worker: Worker, run: Callable[..., Result], file: Path) -> None:
    starting = {"state": "UNASSIGNED", "worker_id": "w"}
    worker.statuses = [status(starting), status(RUNNING), status(RUNNING, starting), status(RUNNING, RUNNING)]
    result = run("deploy", file, "--wait")
    assert (result.exit_code, result.stdout) == (0, "a: created\na: running\n")


def test_deploy_fails_with_the_sentence_of_a_failed_task(
    worker: Worker, run: Callable[..., Result], file: Path
) -> None:
    trace = "Traceback (most recent call last):\n  File ...\nValueError: no cheese\n"
    worker.statuses = [status(RUNNING, {"state": "FAILED", "worker_id": "w", "trace": trace})]
    result = run("deploy", file, "--wait")
    assert result.exit_code == FAILED
    assert result.stderr == "Error: a: task 0 FAILED: ValueError: no cheese\n"


def test_deploy_gives_up_in_time_and_says_what_it_waits_for(
    worker: Worker, run: Callable[..., Result], file: Path
) -> None:
    worker.statuses = [status(RUNNING, {"state": "UNASSIGNED", "worker_id": "w", "trace": "waits for MySQL at h:1"})]
    result = run("deploy", file, "--wait", "--timeout", "0.1")
    assert result.exit_code == UNREACHABLE
    assert "waits for MySQL at h:1" in result.stderr


def test_every_connector_is_tried_and_the_failure_names_its_file(
    worker: Worker, run: Callable[..., Result], file: Path
) -> None:
    file.write_text("name: b\n---\nname: a\n")
    worker.refusals["/connectors/b"] = CommandError("Unknown option x; did you mean y?", USAGE)
    result = run("deploy", file)
    assert result.exit_code == USAGE
    assert result.stdout == "a: created\n"
    assert result.stderr == f"Error: {file}: b: Unknown option x; did you mean y?\n"


def test_validate_shows_all_errors(worker: Worker, run: Callable[..., Result], file: Path) -> None:
    result = run("validate", file)
    assert result.exit_code == USAGE
    assert "did you mean topic?" in result.stderr


def test_validate_of_an_unknown_class_is_the_files_mistake(
    worker: Worker, run: Callable[..., Result], file: Path
) -> None:
    worker.refusals["/validate"] = CommandError("no connector X", NOT_FOUND)
    assert run("validate", file).exit_code == INVALID


def test_status_as_a_table_and_as_json(worker: Worker, run: Callable[..., Result]) -> None:
    worker.statuses = [status(RUNNING, {"state": "FAILED", "worker_id": "w", "trace": "no cheese"})]
    lines = [line.split() for line in run("status").stdout.splitlines()]
    assert lines[1:] == [["a", "sink", "RUNNING", "w"], ["task", "0", "FAILED", "w", "no", "cheese"]]
    assert json.loads(run("status", "a", "-o", "json").stdout) == worker.statuses


def test_actions_go_on_after_a_failure(worker: Worker, run: Callable[..., Result]) -> None:
    worker.refusals["/connectors/none"] = CommandError("Connector none not found", NOT_FOUND)
    result = run("delete", "none", "a")
    assert (result.exit_code, result.stdout) == (NOT_FOUND, "a: deleted\n")
    assert "Connector none not found" in result.stderr


@pytest.mark.parametrize("command", ["pause", "resume", "stop"])
def test_target_states(worker: Worker, run: Callable[..., Result], command: str) -> None:
    assert run(command, "a/b").exit_code == 0
    assert worker.requests == [("PUT", f"/connectors/a%2Fb/{command}", None)]


def test_a_mistyped_command_or_option_is_wrong_usage(run: Callable[..., Result]) -> None:
    mistyped = run("deply")
    assert mistyped.exit_code == USAGE
    assert "did you mean deploy?" in mistyped.stderr
    assert run("deploy", "--wiat", "x").exit_code == USAGE


def test_no_worker_is_one_sentence(run: Callable[..., Result]) -> None:
    result = run("--url", "http://127.0.0.1:1", "list")
    assert result.exit_code == UNREACHABLE
    assert result.stderr.count("\n") == 1
    assert "http://127.0.0.1:1" in result.stderr
