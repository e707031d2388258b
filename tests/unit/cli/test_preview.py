"""`deploy` without doing it, from stdin, with pruning; and `transform-test`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from connectors.cli import main
from connectors.cli.errors import INVALID, USAGE

Cli = Callable[..., Result]

FILE = "name: a\nconfig:\n  connector.class: CassandraSink\n  topics: t\n"


def written(tmp_path: Path, text: str) -> str:
    file = tmp_path / "a.yaml"
    file.write_text(text)
    return str(file)


def changing(rest: Any) -> list[str]:
    return [path for verb, path, _, _ in rest.requests if verb != "GET" and "validate" not in path]


def test_dry_run_of_a_new_connector(rest: Any, cli: Cli, tmp_path: Path) -> None:
    result = cli("deploy", written(tmp_path, FILE + "  cassandra.password: s3cret\n"), "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[0] == "a: would be created"
    assert "  + topics = t" in result.stdout
    assert "s3cret" not in result.output
    assert changing(rest) == []


def test_dry_run_shows_each_option_that_changes(rest: Any, cli: Cli, tmp_path: Path) -> None:
    rest.configs["a"] = {"name": "a", "connector.class": "CassandraSink", "topics": "old", "gone": "1", "x": "[hidden]"}
    result = cli("deploy", written(tmp_path, FILE + "  x: s3cret\n"), "--dry-run")
    lines = ["a: would be updated", "  - gone = 1", "  - topics = old", "  + topics = t"]
    assert result.stdout.splitlines() == lines
    assert changing(rest) == []


def test_a_deployment_shows_each_option_that_it_changes(rest: Any, cli: Cli, tmp_path: Path) -> None:
    rest.configs["a"] = {"name": "a", "connector.class": "CassandraSink", "topics": "old", "x": "[hidden]"}
    result = cli("deploy", written(tmp_path, FILE + "  x: s3cret\n  y.password: s3cret\n"), "--diff")
    assert result.exit_code == 0, result.stderr
    lines = ["a: updated", "  - topics = old", "  + topics = t", "  + y.password = [hidden]"]
    assert result.stdout.splitlines() == lines
    assert rest.configs["a"]["topics"] == "t"
    assert cli("deploy", written(tmp_path, FILE + "  x: s3cret\n  y.password: s3cret\n")).stdout.startswith("a: ")


def test_validation_can_be_read_by_programs(rest: Any, cli: Cli, tmp_path: Path) -> None:
    file = written(tmp_path, FILE)
    (good,) = json.loads(cli("validate", file, "-o", "json").stdout)
    assert good == {"name": "a", "file": file, "valid": True, "errors": []}
    result = cli("validate", written(tmp_path, FILE + "  topik: t\n  y.password: s3cret\n"), "-o", "json")
    (bad,) = json.loads(result.stdout)
    assert result.exit_code == USAGE
    assert not bad["valid"]
    assert "did you mean topics?" in bad["errors"][0]
    assert "s3cret" not in result.output


def test_dry_run_of_the_same_says_so(rest: Any, cli: Cli, tmp_path: Path) -> None:
    rest.configs["a"] = {"name": "a", "connector.class": "CassandraSink", "topics": "t"}
    assert cli("deploy", written(tmp_path, FILE), "--dry-run").stdout == "a: would be unchanged\n"


def test_dry_run_fails_with_what_is_not_valid(rest: Any, cli: Cli, tmp_path: Path) -> None:
    result = cli("deploy", written(tmp_path, FILE + "  topik: t\n"), "--dry-run")
    assert result.exit_code == USAGE
    assert "did you mean topics?" in result.stderr
    assert any("connect=true" in path for _, path, _, _ in rest.requests)


def test_pruning_deletes_what_no_file_describes(rest: Any, cli: Cli, tmp_path: Path) -> None:
    rest.configs["old"] = {"name": "old"}
    file = written(tmp_path, FILE)
    assert "old: would be deleted" in cli("deploy", file, "--prune", "--dry-run").stdout
    assert cli("deploy", file, "--prune").exit_code == USAGE
    assert "old" in rest.configs
    assert cli("deploy", file, "--prune", "--yes").exit_code == 0
    assert list(rest.configs) == ["a"]


def test_initial_state_goes_with_what_is_new(rest: Any, cli: Cli, tmp_path: Path) -> None:
    rest.fixed["/connectors"] = []
    rest.planned = [(200, []), (201, {"name": "a"})]
    assert cli("deploy", written(tmp_path, FILE), "--initial-state", "paused").stdout == "a: created, paused\n"
    assert rest.requests[-1][3]["initial_state"] == "PAUSED"


def test_files_may_come_from_stdin(rest: Any) -> None:
    result = CliRunner().invoke(main, ["--url", rest.url, "deploy", "-"], input=FILE)
    assert (result.exit_code, result.stdout) == (0, "a: created\n")
    result = CliRunner().invoke(main, ["--url", rest.url, "deploy", "-"], input='{"name": "b", "config": {"x": 1}}')
    assert rest.configs["b"] == {"name": "b", "x": "1"}


CHAIN = """
name: a
config:
  connector.class: CassandraSink
  topics: t
  transforms: rename,route
  transforms.rename.type: ReplaceField$Value
  transforms.rename.renames: a:b
  transforms.route.type: RegexRouter
  transforms.route.regex: (.*)
  transforms.route.replacement: new-$1
"""


def test_transforms_are_tried_without_a_worker(tmp_path: Path) -> None:
    records = '{"a": 1}\n\n{"topic": "x", "key": "k", "value": {"a": 2}, "headers": {"h": "v"}}\n'
    command = ["--url", "http://127.0.0.1:1", "transform-test", written(tmp_path, CHAIN)]
    result = CliRunner().invoke(main, command, input=records)
    assert result.exit_code == 0, result.stderr
    first, second = map(json.loads, result.stdout.splitlines())
    assert (first["topic"], first["value"]) == ("new-topic", {"b": 1})
    assert second == {"topic": "new-x", "key": "k", "value": {"b": 2}, "headers": {"h": "v"}, "timestamp": 0}


@pytest.mark.parametrize(
    ("text", "records", "code"),
    [(CHAIN, "{", USAGE), (CHAIN.replace("RegexRouter", "RegexRooter"), "{}", INVALID), ("name: a\n", "{}", INVALID)],
    ids=["record", "transform", "class"],
)
def test_bad_chain_or_record_is_an_error(tmp_path: Path, text: str, records: str, code: int) -> None:
    result = CliRunner().invoke(main, ["transform-test", written(tmp_path, text)], input=records)
    assert result.exit_code == code
    assert "Error: " in result.stderr
