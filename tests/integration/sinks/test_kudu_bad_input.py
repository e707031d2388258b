"""KuduSink in a worker, with a record of every bad kind between good ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.clients.kudu.jvm_client import JvmKuduClient
from connectors.clients.kudu.port import ColumnSpec, Layout
from connectors.clients.kudu.settings import KuduSettings
from tests.integration.runtime.conftest import Worker
from tests.integration.sinks.bad_records import BadInput, bad_records

TEXTS = {
    "wrong type": "column n INT32: 'many': not a number",
    "NaN": "column amount DECIMAL(10,2): 'NaN': not a number",
    "lone surrogate": "malformed JSON",
    "null key": "column id STRING: key column is null",
    "key of 70 KB": "70,000 bytes, at most 65,536 are possible",
    "value of 17 MiB": "17,825,792 bytes, at most 65,536 are possible",
    "date out of range": "'0000-00-00 00:00:00' is no time",
    "truncated JSON": "malformed JSON",
    "no object": "a JSON object is needed, not list",
}
COLUMNS = (
    ColumnSpec("id", "STRING", key=True),
    ColumnSpec("n", "INT32", nullable=True),
    ColumnSpec("amount", "DECIMAL", nullable=True, precision=10, scale=2),
    ColumnSpec("at", "UNIXTIME_MICROS", nullable=True),
    ColumnSpec("v", "STRING", nullable=True),
)


@pytest.fixture
def client(kudu: str, unique: str) -> Iterator[JvmKuduClient]:
    client = JvmKuduClient(KuduSettings(kudu))
    client.create_table(unique, COLUMNS, Layout(("id",), 2, replicas=1))
    yield client
    client.drop_table(unique)
    client.close()


@pytest.fixture
def worker(kafka: str, unique: str, tmp_path: Path) -> Iterator[Worker]:
    made = Worker({"CONNECTORS_CLUSTER": unique}, tmp_path / "worker.log")
    made.start()
    yield made
    made.stop()


def test_bad_records_are_set_aside_and_their_neighbours_stored(
    kafka: str, kudu: str, client: JvmKuduClient, worker: Worker, unique: str
) -> None:
    case = BadInput(kafka, unique, bad_records(empty_key=True))
    case.fill()
    config = {"connector.class": "KuduSink", "kudu.masters": kudu, "kudu.backend": "jvm"}
    case.run(worker, config | {f"topic.{unique}.{unique}.mapping": "*"})
    assert {row["id"] for row in client.scan(unique)} == case.ids()
    case.check_dead_letters("connectors.sinks.kudu.task.KuduSinkTask", TEXTS.__getitem__)
    log = worker.log.read_text()
    assert f"table {unique} has no column for other: left out" in log
    assert "v" * 200 not in log
    assert len(log) < 100_000
