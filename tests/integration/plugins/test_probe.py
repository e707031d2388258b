"""`probe`: what a dry run says of a system that is there, one that is not, and one that refuses us."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from connectors.runtime.plugins import connector_class
from connectors.runtime.probing import probe

MAPPING = {"topics": "t", "name": "probe"}


@pytest.fixture(scope="module")
def nobody() -> int:
    """A port that nobody listens on."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


@pytest.fixture(scope="module")
def configurations(servers: Any) -> dict[str, dict[str, str]]:
    """A configuration of each connector that has a system to reach, and it is there."""
    env = servers("mysql", "cassandra", "kudu")
    mysql = {
        "database.hostname": env["MYSQL_HOST"],
        "database.port": env["MYSQL_PORT"],
        "database.user": env["MYSQL_USER"],
        "database.password": env["MYSQL_PASSWORD"],
        "topic": "t",
    }
    cassandra = {
        "cassandra.contact.points": env["CASSANDRA_CONTACT_POINTS"],
        "cassandra.port": env["CASSANDRA_PORT"],
        "topic.t.shop.orders.mapping": "id = value.id",
    }
    return {
        "MySqlBinlogSource": mysql,
        "CassandraSink": MAPPING | cassandra,
        "KuduSink": MAPPING | {"kudu.masters": env["KUDU_MASTERS"]},
    }


@pytest.mark.parametrize("name", ["MySqlBinlogSource", "CassandraSink", "KuduSink"])
def test_system_that_is_there_has_no_problem(configurations: Any, name: str) -> None:
    assert probe(connector_class(name), configurations[name]) is None


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("MySqlBinlogSource", {"database.port": "{}"}),
        ("CassandraSink", {"cassandra.port": "{}"}),
        ("KuduSink", {"kudu.masters": "127.0.0.1:{}"}),
    ],
)
def test_system_that_is_away_is_named(configurations: Any, nobody: int, name: str, option: dict[str, str]) -> None:
    wrong = {key: value.format(nobody) for key, value in option.items()}
    problem = probe(connector_class(name), configurations[name] | wrong)
    assert problem is not None
    assert str(nobody) in problem


def test_password_that_is_refused_is_not_repeated(configurations: Any) -> None:
    wrong = {"database.password": "wr0ng-s3cret"}
    problem = probe(connector_class("MySqlBinlogSource"), configurations["MySqlBinlogSource"] | wrong)
    assert problem is not None
    assert "refuses user" in problem
    assert "wr0ng-s3cret" not in problem
