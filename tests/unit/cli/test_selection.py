"""Which connectors a command is about, and what it asks before it goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from connectors.cli.errors import NOT_FOUND, USAGE

Cli = Callable[..., Result]

RUNNING = {"state": "RUNNING", "worker_id": "w"}
FAILED = {"state": "FAILED", "worker_id": "w", "trace": "no cheese"}


@pytest.fixture(autouse=True)
def connectors(rest: Any) -> None:
    rest.configs = {name: {"name": name} for name in ("orders", "orders-kudu", "users")}
    for name in rest.configs:
        rest.sequence(name, [RUNNING, FAILED if name == "orders-kudu" else RUNNING])


def asked(rest: Any, method: str) -> list[str]:
    return [path for verb, path, _, _ in rest.requests if verb == method]


@pytest.mark.parametrize(
    ("arguments", "paused"),
    [
        (["orders"], ["orders"]),
        (["orders*"], ["orders", "orders-kudu"]),
        (["orders*", "orders"], ["orders", "orders-kudu"]),
        (["--all"], ["orders", "orders-kudu", "users"]),
        (["--failed"], ["orders-kudu"]),
        (["user?", "[o]*u"], ["users", "orders-kudu"]),
    ],
)
def test_patterns_choose_connectors(rest: Any, cli: Cli, arguments: list[str], paused: list[str]) -> None:
    result = cli("pause", *arguments)
    assert result.exit_code == 0, result.stderr
    assert asked(rest, "PUT") == [f"/connectors/{name}/pause" for name in paused]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ([], USAGE, "--all"),
        (["--all", "orders"], USAGE, "not both"),
        (["ordre*"], NOT_FOUND, "No connector matches ordre*; did you mean orders?"),
    ],
)
def test_what_selects_nothing_is_an_error(cli: Cli, arguments: list[str], code: int, text: str) -> None:
    result = cli("pause", *arguments)
    assert result.exit_code == code
    assert text in result.stderr


def test_failed_of_none_does_nothing_and_says_so(rest: Any, cli: Cli) -> None:
    rest.sequence("orders-kudu", [RUNNING, RUNNING])
    result = cli("restart", "--failed")
    assert (result.exit_code, asked(rest, "POST")) == (0, [])
    assert "nothing to do" in result.stderr


def test_one_task_is_restarted(rest: Any, cli: Cli) -> None:
    assert cli("restart", "orders", "--task", "3").exit_code == 0
    assert asked(rest, "POST") == ["/connectors/orders/tasks/3/restart"]


def test_broad_delete_needs_a_yes_where_nobody_can_be_asked(rest: Any, cli: Cli) -> None:
    result = cli("delete", "orders*")
    assert result.exit_code == USAGE
    assert "Delete 2 connectors (orders, orders-kudu): add --yes" in result.stderr
    assert asked(rest, "DELETE") == []
    assert cli("delete", "orders*", "--yes").exit_code == 0
    assert sorted(rest.configs) == ["users"]


def test_delete_with_offsets_stops_and_resets_first(rest: Any, cli: Cli) -> None:
    rest.parts["offsets"] = {"offsets": []}
    assert cli("delete", "users", "--reset-offsets").exit_code == 0
    done = [(verb, path) for verb, path, _, _ in rest.requests]
    path = "/connectors/users"
    assert done == [("PUT", f"{path}/stop"), ("DELETE", f"{path}/offsets"), ("DELETE", path)]


def test_busy_worker_is_asked_again(rest: Any, cli: Cli) -> None:
    rest.planned = [(409, {"error_code": 409, "message": "rebalance"})] * 2
    assert cli("pause", "orders").exit_code == 0


@pytest.mark.parametrize(("arguments", "code"), [([], 0), (["--check"], 1), (["users", "--check"], 0)])
def test_status_fails_where_it_is_asked_to_check(cli: Cli, arguments: list[str], code: int) -> None:
    assert cli("status", *arguments).exit_code == code


def test_status_of_many_takes_one_request(rest: Any, cli: Cli) -> None:
    result = cli("status", "--failed")
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == ["orders-kudu", "task"]
    assert len(rest.requests) == 1
