from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from connectors.cli import main
from connectors.cli.errors import FAILED, NOT_FOUND, UNREACHABLE, USAGE
from connectors.cli.secret import HIDDEN, hide, scrub

RUNNING = {"state": "RUNNING", "worker_id": "w"}

Cli = Callable[..., Result]


@pytest.fixture(autouse=True)
def _two(rest: Any) -> None:
    rest.configs = {name: {"name": name, "db.password": "hunter2"} for name in ("a", "b")}
    rest.sequence("a", [RUNNING, RUNNING])
    rest.sequence("b", [RUNNING, {"state": "FAILED", "worker_id": "w", "trace": "no cheese"}])


@pytest.mark.parametrize("command", [["list"], ["status"], ["status", "b"], ["plugins"], ["config", "a"]])
def test_json_and_yaml_hold_the_same(cli: Cli, command: list[str]) -> None:
    as_json, as_yaml = (cli(*command, "-o", output) for output in ("json", "yaml"))
    assert (as_json.exit_code, as_yaml.exit_code) == (0, 0)
    assert json.loads(as_json.stdout) == YAML(typ="safe", pure=True).load(as_yaml.stdout) != []
    assert "hunter2" not in as_json.stdout + as_yaml.stdout


@pytest.mark.parametrize(
    ("command", "cells"),
    [
        (["list"], [["NAME"], ["a"], ["b"]]),
        (["plugins"], [["CLASS", "TYPE", "VERSION"], ["p.CassandraSink", "sink", "1"]]),
        (["config", "a"], [["OPTION", "VALUE"], ["db.password", "[hidden]"], ["name", "a"]]),
        (
            ["status", "b"],
            [
                ["NAME", "PART", "STATE", "WORKER", "WHY"],
                ["b", "sink", "RUNNING", "w"],
                ["task", "0", "FAILED", "w", "no", "cheese"],
            ],
        ),
    ],
)
def test_tables(cli: Cli, command: list[str], cells: list[list[str]]) -> None:
    assert [line.split() for line in cli(*command).stdout.splitlines()] == cells


@pytest.mark.parametrize("command", ["status", "config", "delete", "pause", "resume", "stop", "restart"])
def test_an_unknown_name(cli: Cli, command: str) -> None:
    result = cli(command, "none")
    assert (result.exit_code, result.stdout) == (NOT_FOUND, "")
    assert "Connector none not found" in result.stderr


def test_status_shows_those_that_are_there(cli: Cli) -> None:
    result = cli("status", "none", "a", "nobody")
    assert result.exit_code == NOT_FOUND
    assert "RUNNING" in result.stdout
    assert result.stderr.endswith("Error: 2 of 3 failed\n")


@pytest.mark.parametrize(("option", "only"), [([], "false"), (["--failed"], "true")])
def test_restart(rest: Any, cli: Cli, option: list[str], only: str) -> None:
    assert cli("restart", "a", *option).stdout == "a: restarted\n"
    assert rest.requests[0][:2] == ("POST", f"/connectors/a/restart?includeTasks=true&onlyFailed={only}")


def test_delete_goes_on_and_summarises(rest: Any, cli: Cli) -> None:
    result = cli("delete", "x", "a", "y", "b")
    assert (result.exit_code, result.stdout) == (NOT_FOUND, "a: deleted\nb: deleted\n")
    assert result.stderr.splitlines()[-1] == "Error: 2 of 4 failed"
    assert not rest.configs


@pytest.mark.parametrize("command", [["list"], ["status", "a"], ["delete", "a", "b"], ["plugins"]])
def test_unreachable(command: list[str]) -> None:
    result = CliRunner().invoke(main, ["--url", "http://127.0.0.1:1", *command])
    assert result.exit_code == UNREACHABLE
    assert result.stderr.count("\n") == 1


def test_something_else_answers(rest: Any, cli: Cli) -> None:
    rest.planned = [(200, b"<html>"), (500, b"<html>")]
    for words in ("is no worker", "HTTP 500"):
        result = cli("list")
        assert result.exit_code == FAILED
        assert words in result.stderr


@pytest.mark.parametrize("url", ["localhost:8083", "ftp://h", "http://", "http://u:geheim@h:x", ""])
def test_a_bad_address_is_wrong_usage(url: str) -> None:
    result = CliRunner().invoke(main, ["--url", url, "list"], env={"CONNECTORS_URL": None})
    assert result.exit_code == USAGE
    assert "CONNECTORS_URL" in result.stderr
    assert "geheim" not in result.stderr


def test_the_address_comes_from_the_environment_and_its_password_stays_there(rest: Any) -> None:
    address = rest.url.replace("//", "//u:geheim@")
    assert CliRunner().invoke(main, ["list"], env={"CONNECTORS_URL": address + "/"}).exit_code == 0
    assert rest.requests[0][2]["Authorization"] == "Basic dTpnZWhlaW0="
    result = CliRunner().invoke(main, ["--url", "http://u:geheim@127.0.0.1:1", "list"])
    assert "geheim" not in result.output


def test_a_proxy_is_not_asked_for_this_machine(rest: Any, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert cli("list").exit_code == 0


def test_help_of_every_command() -> None:
    assert isinstance(main, click.Group)
    for command in main.list_commands(click.Context(main)):
        result = CliRunner().invoke(main, [command, "--help"])
        assert result.exit_code == 0, command
    assert "  5  worker unreachable" in CliRunner().invoke(main, ["--help"]).stdout


def test_worker_sets_what_its_options_say(monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import sys
    from types import ModuleType

    seen: list[tuple[str, dict[str, str | None]]] = []
    names = ("CONNECTORS_ROLE", "CONNECTORS_REST_HOST", "CONNECTORS_REST_PORT", "PORT")
    module = ModuleType("connectors.worker")
    module.run = lambda level: seen.append((level, {n: os.environ.get(n) for n in names}))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "connectors.worker", module)
    with CliRunner().isolation(env=dict.fromkeys(names)):
        monkeypatch.setenv("PORT", "1")
        assert main(["worker", "--role", "sink", "--rest-port", "9", "-l", "debug"], standalone_mode=False) is None
    assert seen == [("debug", dict(zip(names, ("sink", None, "9", None), strict=True)))]


@pytest.mark.parametrize(
    ("name", "value", "hidden"),
    [
        ("database.password", "x", True),
        ("sasl.jaas.config", "x", True),
        ("aws.secret.access.key", "x", True),
        ("apiKey", "x", True),
        ("key.converter.auth.token", "x", True),
        ("redis.url", "redis://:pw@h", True),
        ("database.password", "${env:PW}", False),
        ("message.key", "primary-key", False),
        ("key.converter", "json", False),
        ("topics", "a,b", False),
    ],
)
def test_what_is_hidden(name: str, value: str, hidden: bool) -> None:
    assert hide({name: value}) == {name: HIDDEN if hidden else value}


def test_scrubbing_leaves_names_of_options() -> None:
    config = {"cassandra.password": "cassandra"}
    text = "Unknown option cassandra.port; user cassandra, password 'cassandra'."
    assert scrub(text, config) == "Unknown option cassandra.port; user [hidden], password '[hidden]'."


def test_a_signal_is_sent_with_its_data(rest: Any, cli: Cli) -> None:
    rest.parts["signals"] = {}
    result = cli("signal", "a", "execute-snapshot", "--data", '{"data-collections": ["s.t"]}')
    assert (result.exit_code, result.stdout) == (0, "a: execute-snapshot sent\n"), result.stderr
    assert cli("signal", "a", "execute-snapshot", "--data", "{").exit_code == USAGE
