"""The Java client behind the port, on a real Kudu."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from connectors import ConfigError, RetriableError
from connectors.clients.kudu.backend import open_client
from connectors.clients.kudu.port import ColumnSpec, FailureKind, KuduClient, Layout, OpKind, RowOp, Table
from connectors.clients.kudu.settings import KuduSettings
from tests.unit.clients_kudu.contract import COLUMNS, Contract, op


@pytest.fixture
def client(kudu: str) -> Iterator[KuduClient]:
    client = open_client(KuduSettings(kudu, backend="jvm"))
    yield client
    client.close()


@pytest.fixture
def table(client: KuduClient, kudu: str, unique: str) -> Iterator[Table]:
    name = f"m.{unique}"
    yield client.create_table(name, COLUMNS, Layout(("id",), 2, replicas=1))
    other = open_client(KuduSettings(kudu, backend="jvm"))
    with suppress(ConfigError):  # the test has dropped it
        other.drop_table(name)
    other.close()


class TestJvm(Contract):
    def test_columns_that_cannot_make_a_table_are_refused(self, client: KuduClient, unique: str) -> None:
        twice = [ColumnSpec("id", "INT32", key=True), ColumnSpec("id", "INT32")]
        with pytest.raises(ConfigError, match="id"):
            client.create_table(unique, twice, Layout(("id",), 2, replicas=1))

    def test_a_row_outside_all_range_partitions_fails_alone(self, client: KuduClient, unique: str) -> None:
        _create_with_range(client, unique, upper=10)
        table = client.open_table(unique)
        failures = client.write_batch(table, [RowOp(OpKind.UPSERT, [i]) for i in (1, 11, 2)])
        rows = list(client.scan(unique))
        client.drop_table(unique)
        assert [(failure.kind, failure.index) for failure in failures] == [(FailureKind.INVALID, 1)]
        assert sorted(row["id"] for row in rows) == [1, 2]

    def test_a_dropped_table_is_told_apart_from_bad_rows(self, client: KuduClient, table: Table) -> None:
        client.drop_table(table.name)
        deadline = time.monotonic() + 20
        failures = client.write_batch(table, [op(OpKind.UPSERT, id="a", at=0, must=1)])
        while not failures and time.monotonic() < deadline:  # Kudu removes the tablets some time later
            failures = client.write_batch(table, [op(OpKind.UPSERT, id="a", at=0, must=1)])
        assert failures[0].kind is FailureKind.NOT_FOUND


def test_a_cluster_that_is_down_is_told_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    begin = time.monotonic()
    with pytest.raises(RetriableError, match=rf"no Kudu master answers \(127\.0\.0\.1:{port}: .*refused"):
        open_client(KuduSettings(f"127.0.0.1:{port}", backend="jvm"))
    assert time.monotonic() - begin < 2


def test_a_master_that_takes_connections_but_says_nothing_is_given_up_in_time(servers: object, kudu: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = open_client(
            KuduSettings(f"127.0.0.1:{server.getsockname()[1]}", backend="jvm", admin_timeout_ms=2_000)
        )
        begin = time.monotonic()
        with pytest.raises(RetriableError, match=r"table m\.x"):
            client.open_table("m.x")
        assert time.monotonic() - begin < 10
        client.close()


def _create_with_range(client: KuduClient, name: str, upper: int) -> None:
    import jpype

    java: Any = client
    lists = jpype.JClass("java.util.ArrayList")
    column = jpype.JClass("org.apache.kudu.ColumnSchema$ColumnSchemaBuilder")(
        "id", jpype.JClass("org.apache.kudu.Type").INT32
    )
    schema = jpype.JClass("org.apache.kudu.Schema")(lists([column.key(True).build()]))
    low, high = schema.newPartialRow(), schema.newPartialRow()
    high.addInt("id", upper)
    options = jpype.JClass("org.apache.kudu.client.CreateTableOptions")()
    options.setRangePartitionColumns(lists(["id"])).addRangePartition(low, high).setNumReplicas(1)
    java._client.createTable(name, schema, options)


_PROGRAM = """
import asyncio, os, signal, sys
from connectors.clients.kudu.backend import open_client
from connectors.clients.kudu.settings import KuduSettings

async def main():
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    client = await asyncio.to_thread(open_client, KuduSettings(os.environ["KUDU_MASTERS"], backend="jvm"))
    print("ready", flush=True)
    await stop.wait()
    await asyncio.to_thread(client.close)
    print("closed", flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_still_belong_to_the_worker(kudu: str, number: signal.Signals) -> None:
    environment = os.environ | {"KUDU_MASTERS": kudu}
    argv = [sys.executable, "-c", _PROGRAM]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            output, _ = process.communicate(timeout=20)
        finally:
            process.kill()
    assert output == "closed\n"
    assert process.returncode == 0
