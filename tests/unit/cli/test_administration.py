"""offsets, topics, loggers, config set, describe: what they ask and what they show."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from connectors.cli.errors import NOT_FOUND, USAGE

Cli = Callable[..., Result]

SINK = {"partition": {"kafka_topic": "t", "kafka_partition": 0}, "offset": {"kafka_offset": 7}}
SOURCE = {"partition": {"server": "db"}, "offset": {"file": "binlog.000001", "pos": 4}}


@pytest.fixture(autouse=True)
def connector(rest: Any) -> None:
    rest.configs = {"orders": {"name": "orders", "database.password": "s3cret", "topics": "t"}}
    rest.sequence("orders", [{"state": "RUNNING", "worker_id": "w"}, {"state": "PAUSED", "worker_id": "w"}])
    rest.parts = {"offsets": {"offsets": [SINK]}, "topics": {"orders": {"topics": ["t", "u"]}}}


def bodies(rest: Any, method: str) -> list[tuple[str, Any]]:
    return [(path, body) for verb, path, _, body in rest.requests if verb == method]


def test_offsets_are_shown(cli: Cli) -> None:
    result = cli("offsets", "get", "orders")
    assert '{"kafka_partition": 0, "kafka_topic": "t"}' in result.stdout
    assert json.loads(cli("offsets", "get", "orders", "-o", "json").stdout) == {"offsets": [SINK]}


def test_sink_offset_is_set_by_options(rest: Any, cli: Cli) -> None:
    result = cli("offsets", "set", "orders", "--topic", "t", "--partition", "0", "--offset", "5")
    assert result.stdout == "The offsets have been altered\n"
    wanted = {"partition": SINK["partition"], "offset": {"kafka_offset": 5}}
    assert bodies(rest, "PATCH") == [("/connectors/orders/offsets", {"offsets": [wanted]})]


def test_source_offset_is_set_by_json(rest: Any, cli: Cli) -> None:
    partition, offset = json.dumps(SOURCE["partition"]), json.dumps(SOURCE["offset"])
    result = cli("offsets", "set", "orders", "--source-partition", partition, "--source-offset", offset)
    assert result.exit_code == 0, result.stderr
    assert bodies(rest, "PATCH") == [("/connectors/orders/offsets", {"offsets": [SOURCE]})]


def test_offsets_come_from_a_file(rest: Any, cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "offsets.json"
    file.write_text(json.dumps({"offsets": [SOURCE]}))
    assert cli("offsets", "set", "orders", "-f", file).exit_code == 0
    assert bodies(rest, "PATCH") == [("/connectors/orders/offsets", {"offsets": [SOURCE]})]


def test_dry_run_shows_old_and_new_and_changes_nothing(rest: Any, cli: Cli) -> None:
    options = ["--topic", "t", "--partition", "0", "--offset", "5", "--dry-run"]
    result = cli("offsets", "set", "orders", *options)
    assert '{"kafka_offset": 7} -> {"kafka_offset": 5}' in result.stdout
    assert "-> none" in cli("offsets", "reset", "orders", "--dry-run").stdout
    assert bodies(rest, "PATCH") + bodies(rest, "DELETE") == []


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--topic", "t"],
        ["--topic", "t", "--partition", "0", "--offset", "5", "--source-offset", "{}"],
        ["--source-partition", "{}"],
        ["--source-partition", "{", "--source-offset", "{}"],
    ],
)
def test_half_an_offset_is_wrong_usage(rest: Any, cli: Cli, options: list[str]) -> None:
    assert cli("offsets", "set", "orders", *options).exit_code == USAGE
    assert bodies(rest, "PATCH") == []


def test_reset_needs_a_yes(rest: Any, cli: Cli) -> None:
    assert cli("offsets", "reset", "orders").exit_code == USAGE
    assert cli("offsets", "reset", "orders", "-y").stdout == "orders: offsets reset\n"
    assert bodies(rest, "DELETE") == [("/connectors/orders/offsets", None)]


def test_topics_are_shown_and_reset(rest: Any, cli: Cli) -> None:
    assert [line.split() for line in cli("topics", "orders").stdout.splitlines()[1:]] == [
        ["orders", "t"],
        ["orders", "u"],
    ]
    assert cli("topics", "orders", "--reset").exit_code == 0
    assert bodies(rest, "PUT") == [("/connectors/orders/topics/reset", None)]


def test_loggers_are_shown(rest: Any, cli: Cli) -> None:
    level = {"level": "DEBUG", "last_modified": 1_700_000_000_000}
    rest.fixed = {"/admin/loggers": {"root": {"level": "INFO", "last_modified": None}, "a.b": level},
                  "/admin/loggers/a.b": level}  # fmt: skip
    lines = [line.split() for line in cli("loggers", "list").stdout.splitlines()[1:]]
    assert lines == [["a.b", "DEBUG", "2023-11-14", "22:13:20Z"], ["root", "INFO"]]
    assert json.loads(cli("loggers", "get", "a.b", "-o", "json").stdout) == level


def test_logger_level_is_set(rest: Any, cli: Cli) -> None:
    rest.planned = [(200, ["a.b", "a.b.c"])]
    assert cli("loggers", "set", "a.b", "debug", "--scope", "cluster").stdout == "a.b: DEBUG\na.b.c: DEBUG\n"
    assert bodies(rest, "PUT") == [("/admin/loggers/a.b?scope=cluster", {"level": "DEBUG"})]
    assert cli("loggers", "set", "a.b", "chatty").exit_code == USAGE


def test_config_is_patched(rest: Any, cli: Cli) -> None:
    assert cli("config", "set", "orders", "topics=a=b", "--remove", "database.password").exit_code == 0
    assert rest.configs["orders"] == {"name": "orders", "topics": "a=b"}
    assert cli("config", "unset", "orders", "topics").exit_code == 0
    assert rest.configs["orders"] == {"name": "orders"}


def test_option_without_a_value_is_not_repeated(cli: Cli) -> None:
    result = cli("config", "set", "orders", "s3cret")
    assert result.exit_code == USAGE
    assert "s3cret" not in result.output


def test_describe_shows_everything_but_secrets(cli: Cli) -> None:
    result = cli("describe", "orders")
    assert result.exit_code == 0, result.stderr
    for text in ("task 0: PAUSED on w", "database.password = [hidden]", "topics = t", '{"kafka_offset": 7}'):
        assert text in result.stdout
    (found,) = json.loads(cli("describe", "orders", "-o", "json").stdout)
    assert found["topics"] == ["t", "u"]
    assert "s3cret" not in result.output


def test_describe_goes_on_after_an_unknown_name(cli: Cli) -> None:
    result = cli("describe", "orders", "nobody")
    assert result.exit_code == NOT_FOUND
    assert "task 0" in result.stdout
    assert "nobody not found" in result.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(cli: Cli, shell: str) -> None:
    assert "_CONNECTORS_COMPLETE" in cli("completion", shell).stdout
