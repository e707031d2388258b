"""CassandraSink in worker processes while the server stops or freezes, and while workers die or come and go.

The server is one of its own, so that nobody else is disturbed; its commit log is synchronous. By default the outages
are short and the rows few; `FAULTS=full` makes them 20 and 30 seconds and 100,000.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cassandra.cluster import Cluster

from stack import Server
from tests.acceptance.fault_case import FULL, FaultCase, own_server
from tests.acceptance.histories import Stored

CHANGES = 100_000 if FULL else 12_000
FROZEN_S = 30 if FULL else 12
"""More than a request's limit of 10 s."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Cassandra of its own."""
    os.environ["STACK_CASSANDRA_COMMITLOG_SYNC"] = "batch"
    try:
        with own_server("cassandra", tmp_path_factory.mktemp("stack")) as made:
            yield made
    finally:
        os.environ.pop("STACK_CASSANDRA_COMMITLOG_SYNC")


class Case(FaultCase):
    """Rows in a table of Cassandra."""

    def __init__(self, kafka: str, server: Server, unique: str, folder: Path) -> None:
        super().__init__(kafka, server, unique, folder, CHANGES)
        self.config = {
            "connector.class": "observed.ObservedCassandraSink",
            "cassandra.port": server.environment()["CASSANDRA_PORT"],
            "cassandra.max.in.flight": "2",
            "cassandra.batch": "none",
            f"topic.{unique}.{unique}.t.mapping": "*",
        }
        self._query(
            f"CREATE KEYSPACE {unique} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"
        )
        self._query(f"CREATE TABLE {unique}.t (id text PRIMARY KEY, v text, n bigint, amount decimal)")

    def stored(self) -> dict[str, Stored]:
        rows = self._query(f"SELECT id, v, n, amount, writetime(n) FROM {self.unique}.t")
        return {row[0]: Stored((row[1], row[2], row[3]), row[4]) for row in rows}

    def _query(self, cql: str) -> list[Any]:
        with Cluster(["127.0.0.1"], port=self.server.ports["native"], connect_timeout=10) as cluster:
            return list(cluster.connect().execute(cql, timeout=60))


@pytest.fixture
def case(kafka: str, server: Server, unique: str, tmp_path: Path) -> Iterator[Case]:
    made = Case(kafka, server, unique, tmp_path)
    yield made
    made.close()


def test_a_server_that_is_stopped_and_started_again(case: Case) -> None:
    case.survives_a_stop_of_the_server()


def test_a_server_that_is_frozen(case: Case) -> None:
    case.survives_a_frozen_server(FROZEN_S)


def test_a_worker_that_is_killed_five_times(case: Case) -> None:
    case.survives_five_kills()


def test_two_workers_that_come_and_go(case: Case) -> None:
    case.survives_two_workers_that_come_and_go()
