from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from connectors import ConfigError
from connectors.sources.mysql.preflight import inspect, problems

GOOD = {
    "log_bin": "ON",
    "binlog_format": "ROW",
    "binlog_row_image": "FULL",
    "binlog_row_metadata": "FULL",
    "binlog_row_value_options": "",
    "server_uuid": "u-u",
    "version": "9.7.4",
}
GRANTS = ["GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `c`@`%`"]


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("log_bin", "OFF", "log_bin is OFF"),
        ("binlog_format", "MIXED", "SET GLOBAL binlog_format = ROW;"),
        ("binlog_row_image", "MINIMAL", "SET GLOBAL binlog_row_image = FULL;"),
        ("binlog_row_metadata", "MINIMAL", "SET GLOBAL binlog_row_metadata = FULL;"),
        ("binlog_row_value_options", "PARTIAL_JSON", "SET GLOBAL binlog_row_value_options = '';"),
    ],
)
def test_a_wrong_variable_is_named_with_its_statement(variable: str, value: str, message: str) -> None:
    (problem,) = problems(GOOD | {variable: value}, GRANTS, "'c'@'%'")
    assert variable in problem
    assert message in problem


@pytest.mark.parametrize(
    "grants",
    [
        GRANTS,
        ["GRANT ALL PRIVILEGES ON *.* TO `c`@`%` IDENTIFIED BY PASSWORD 'x' WITH GRANT OPTION"],
        ["GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `c`@`%`", "GRANT SELECT (`a`, `b`) ON `m`.`t` TO `c`@`%`"],
        ["GRANT USAGE ON *.* TO `c`@`%`", *GRANTS],
    ],
)
def test_grants_that_suffice(grants: list[str]) -> None:
    assert problems(GOOD, grants, "'c'@'%'") == []


def test_a_privilege_on_one_database_does_not_reach_the_binlog() -> None:
    found = problems(GOOD, ["GRANT ALL PRIVILEGES ON `m`.* TO `c`@`%`"], "'c'@'%'")
    assert [problem.split(": ", 1)[1] for problem in found] == [
        "GRANT REPLICATION CLIENT ON *.* TO 'c'@'%';",
        "GRANT REPLICATION SLAVE ON *.* TO 'c'@'%';",
    ]


def test_all_problems_are_told_at_once() -> None:
    answers: dict[str, Sequence[Sequence[Any]]] = {
        "SHOW GLOBAL VARIABLES": [("log_bin", "OFF"), ("binlog_format", "STATEMENT"), ("version", "10.4.1-MariaDB")],
        "SELECT CURRENT_USER": [("c@10.%",)],
        "SHOW GRANTS": [("GRANT USAGE ON *.* TO `c`@`%`",)],
    }

    def ask(sql: str, *values: Any) -> Sequence[Sequence[Any]]:
        return next(rows for start, rows in answers.items() if sql.startswith(start))

    with pytest.raises(ConfigError) as caught:
        inspect(ask, "h:3306")
    lines = str(caught.value).splitlines()
    assert lines[0] == "MySQL at h:3306 is not set up for reading its binlog:"
    assert len(lines) == 7
    assert "GRANT SELECT ON *.* TO 'c'@'10.%';" in lines[-1]
