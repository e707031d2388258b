from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from connectors.cli import main
from connectors.cli.errors import FAILED, INVALID, UNREACHABLE, USAGE

RUNNING = {"state": "RUNNING", "worker_id": "w"}
STARTING = {"state": "UNASSIGNED", "worker_id": "w"}

Cli = Callable[..., Result]


def written(folder: Path, text: str, name: str = "a.yaml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def failed(trace: str) -> dict[str, str]:
    return {"state": "FAILED", "worker_id": "w", "trace": trace}


def test_created_then_unchanged_then_updated(rest: Any, cli: Cli, tmp_path: Path) -> None:
    file = written(tmp_path, "name: a\ntasks.max: 2\nconnector.class: X\npassword: ${env:PW}\n")
    assert [cli("deploy", file).stdout for _ in range(2)] == ["a: created\n", "a: unchanged\n"]
    assert rest.configs["a"] == {"name": "a", "tasks.max": "2", "connector.class": "X", "password": "${env:PW}"}
    written(tmp_path, "name: a\ntasks.max: 3\n")
    assert cli("deploy", file).stdout == "a: updated\n"


def test_a_worker_that_does_not_tell_what_changed(rest: Any, cli: Cli, tmp_path: Path) -> None:
    rest.says_change = False
    file = written(tmp_path, "name: a\n")
    assert [cli("deploy", file).stdout for _ in range(2)] == ["a: created\n", "a: updated\n"]


def test_names_are_percent_encoded(rest: Any, cli: Cli, tmp_path: Path) -> None:
    assert cli("deploy", written(tmp_path, "name: ä/b c?\n")).exit_code == 0
    assert rest.requests[0][1] == "/connectors/%C3%A4%2Fb%20c%3F/config"
    assert list(rest.configs) == ["ä/b c?"]


def test_waits_for_all_and_tells_of_each(rest: Any, cli: Cli, tmp_path: Path) -> None:
    rest.sequence("a", [STARTING], [RUNNING], [RUNNING, STARTING], [RUNNING, RUNNING])
    rest.sequence("b", [RUNNING, RUNNING])
    result = cli("deploy", written(tmp_path, "name: a\n---\nname: b\n"), "--wait")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "a: created\nb: created\nb: running\na: running\n"


def test_a_failed_task_ends_the_wait_at_once(rest: Any, cli: Cli, tmp_path: Path) -> None:
    rest.sequence("a", [STARTING])
    rest.sequence("b", [RUNNING, RUNNING, failed("Traceback (most recent call last):\n  File x\nDataError: no cheese")])
    started = time.monotonic()
    result = cli("deploy", written(tmp_path, "name: a\n---\nname: b\n"), "--wait")
    assert time.monotonic() - started < 5
    assert result.exit_code == FAILED
    assert result.stderr == "Error: b: task 1 FAILED: DataError: no cheese\n"


def test_the_time_is_up(rest: Any, cli: Cli, tmp_path: Path) -> None:
    rest.sequence("a", [RUNNING, STARTING | {"trace": "waits for MySQL at h:1"}])
    result = cli("deploy", written(tmp_path, "name: a\n"), "--wait", "--timeout", "0.3")
    assert result.exit_code == UNREACHABLE
    assert "task 0 is UNASSIGNED waits for MySQL at h:1" in result.stderr


def test_an_invalid_configuration_prints_the_workers_lines(rest: Any, cli: Cli, tmp_path: Path) -> None:
    rest.sequence("b", [RUNNING, RUNNING])
    result = cli("deploy", written(tmp_path, "name: a\ntopik: x\n---\nname: b\n"), "--wait")
    assert result.exit_code == USAGE
    assert "\nUnknown option topik; did you mean topics?\n" in result.stderr
    assert result.stdout == "b: created\nb: running\n", "the others are deployed and waited for all the same"


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["Missing required option topic: Target topic."], INVALID),
        (["Option tasks.max: 'two' is not a whole number of 32 bits"], INVALID),
        (["Option connector.class: no connector CasandraSink; did you mean CassandraSink?"], INVALID),
        (["Missing required option topic: Target topic.", "Unknown option topik; did you mean topic?"], USAGE),
    ],
)
def test_a_configuration_that_is_not_valid_exits_with_4_and_a_mistyped_name_with_2(
    rest: Any, cli: Cli, tmp_path: Path, lines: list[str], code: int
) -> None:
    text = "\n".join([f"The configuration has {len(lines)} error(s):", *lines])
    rest.planned = [(400, {"error_code": 400, "message": text})]
    result = cli("deploy", written(tmp_path, "name: a\n"))
    assert (result.exit_code, lines[-1] in result.stderr) == (code, True)


def test_what_exists_already_is_not_tried_again(rest: Any, cli: Cli, tmp_path: Path) -> None:
    rest.planned = [(200, []), (409, {"error_code": 409, "message": "Connector a already exists"})]
    result = cli("deploy", written(tmp_path, "name: a\n"), "--initial-state", "paused")
    assert (result.exit_code, len(rest.requests)) == (FAILED, 2)


def test_several_failures_are_summarised(rest: Any, cli: Cli, tmp_path: Path) -> None:
    result = cli("deploy", written(tmp_path, "name: a\ntopik: x\n---\nname: b\n---\nname: c\ntopik: x\n"))
    assert result.exit_code == USAGE
    assert result.stderr.endswith("Error: 2 of 3 failed\n")
    assert list(rest.configs) == ["b"]


@pytest.mark.parametrize("answer", [(409, "rebalance"), (503, "starting"), (500, "a rebalance is expected")])
def test_an_answer_that_means_later_is_asked_again(
    rest: Any, cli: Cli, tmp_path: Path, answer: tuple[int, str]
) -> None:
    rest.planned = [(answer[0], {"error_code": answer[0], "message": answer[1]})] * 2
    result = cli("deploy", written(tmp_path, "name: a\n"))
    assert (result.exit_code, result.stdout) == (0, "a: created\n")
    assert len(rest.requests) == 3


def test_a_rebalance_that_does_not_end(rest: Any, cli: Cli, tmp_path: Path) -> None:
    rest.planned = [(409, {"error_code": 409, "message": "rebalance"})] * 99
    result = cli("deploy", written(tmp_path, "name: a\n"), "--timeout", "0.3")
    assert result.exit_code == UNREACHABLE
    assert "rebalance" in result.stderr


@pytest.mark.parametrize("options", [[], ["--wait"]])
def test_the_worker_is_only_starting(late_rest: Any, tmp_path: Path, options: list[str]) -> None:
    rest, listen = late_rest
    rest.sequence("a", [RUNNING, RUNNING])
    timer = threading.Timer(0.4, listen)
    timer.start()
    file = str(written(tmp_path, "name: a\n"))
    result = CliRunner().invoke(main, ["--url", rest.url, "deploy", file, *options])
    timer.join()
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("a: created\n")


def test_no_worker_in_time_is_said_once(tmp_path: Path) -> None:
    file = str(written(tmp_path, "name: a\n---\nname: b\n"))
    result = CliRunner().invoke(main, ["--url", "http://127.0.0.1:1", "deploy", file, "--timeout", "0.2"])
    assert result.exit_code == UNREACHABLE
    assert result.stderr.count("No worker answers at http://127.0.0.1:1") == 1


def test_validate_tries_all_and_deploys_none(rest: Any, cli: Cli, tmp_path: Path) -> None:
    texts = ["name: a\nconnector.class: CassandraSink\ntopik: x", "name: b\nconnector.class: CasandraSink", "name: c"]
    good = "name: d\nconnector.class: CassandraSink"
    result = cli("validate", written(tmp_path, "\n---\n".join([*texts, good])))
    assert result.exit_code == INVALID
    for words in ("did you mean topics?", "did you mean CassandraSink?", "c: Missing required option connector.class"):
        assert words in result.stderr
    assert "d: valid\n" in result.stdout
    assert not rest.configs


def test_no_secret_is_printed(rest: Any, cli: Cli, tmp_path: Path) -> None:
    rest.sequence("a", [RUNNING, failed("Access denied with hunter2xyz. url=redis://u:pw4711@h")])
    result = cli("deploy", written(tmp_path, "name: a\ndatabase.password: hunter2xyz\n"), "--wait")
    assert result.exit_code == FAILED
    assert "Access denied with [hidden]. url=redis://u:[hidden]@h" in result.stderr
    assert "hunter2xyz" not in result.output
