"""CassandraSink in a worker, with a record of every bad kind between good ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cassandra.cluster import Cluster

from tests.integration.runtime.conftest import Worker
from tests.integration.sinks.bad_records import BadInput, bad_records

TEXTS = {
    "wrong type": "t.n: 'many' is no int: a whole number is needed",
    "NaN": "t.amount: 'NaN' is no decimal: a decimal cannot be NaN or infinite",
    "lone surrogate": "malformed JSON",
    "null key": "t.id is null",
    "empty key": "t.id is empty",
    "key of 70 KB": "t.id has 70000 bytes, 65535 are allowed",
    "value of 17 MiB": "Cassandra refused the row",
    "date out of range": "t.at: '0000-00-00 00:00:00' is no timestamp",
    "truncated JSON": "malformed JSON",
    "no object": "a JSON object is needed, not list",
}


@pytest.fixture
def session(cassandra: tuple[str, int], unique: str) -> Iterator[Any]:
    host, port = cassandra
    with Cluster([host], port=port) as cluster:
        opened = cluster.connect()
        opened.execute(
            f"CREATE KEYSPACE {unique} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"
        )
        opened.execute(f"CREATE TABLE {unique}.t (id text PRIMARY KEY, n int, amount decimal, at timestamp, v text)")
        yield opened
        opened.execute(f"DROP KEYSPACE {unique}")


@pytest.fixture
def worker(kafka: str, unique: str, tmp_path: Path) -> Iterator[Worker]:
    made = Worker({"CONNECTORS_CLUSTER": unique}, tmp_path / "worker.log")
    made.start()
    yield made
    made.stop()


def test_bad_records_are_set_aside_and_their_neighbours_stored(
    kafka: str, cassandra: tuple[str, int], session: Any, worker: Worker, unique: str
) -> None:
    case = BadInput(kafka, unique, bad_records(empty_key=False))
    case.fill()
    config = {"connector.class": "CassandraSink", "cassandra.port": str(cassandra[1])}
    case.run(worker, config | {f"topic.{unique}.{unique}.t.mapping": "*"})
    assert {row.id for row in session.execute(f"SELECT id FROM {unique}.t")} == case.ids()
    case.check_dead_letters("connectors.sinks.cassandra.task.CassandraSinkTask", TEXTS.__getitem__)
    log = worker.log.read_text()
    assert f"{unique}.t has no column for ['other']: left out" in log
    assert "v" * 200 not in log
    assert len(log) < 100_000
