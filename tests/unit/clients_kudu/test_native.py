from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from connectors import ConfigError, FatalError
from connectors.clients.kudu import jvm_client, native
from connectors.clients.kudu.backend import open_client
from connectors.clients.kudu.native import MOST_TIMEOUT_MS, NativeKuduClient
from connectors.clients.kudu.port import ColumnSpec, FailureKind, KuduClient, Layout, OpKind, RowOp, Table
from connectors.clients.kudu.settings import KuduSettings
from tests.unit.clients_kudu import fake_kudu
from tests.unit.clients_kudu.contract import COLUMNS, Contract, op

SETTINGS = KuduSettings("a:7051,b", operation_timeout_ms=60_000)


@pytest.fixture
def kudu(monkeypatch: pytest.MonkeyPatch) -> fake_kudu.Client:
    monkeypatch.setattr(native, "check_masters", lambda settings: None)
    return fake_kudu.install(monkeypatch)


@pytest.fixture
def client(kudu: fake_kudu.Client) -> KuduClient:
    return NativeKuduClient(SETTINGS)


@pytest.fixture
def table(client: KuduClient) -> Table:
    return client.create_table("m.t", COLUMNS, Layout(("id",), 2, replicas=1))


class TestNative(Contract):
    """Large cells and large batches of the contract would fill the buffer of trap 2."""


@pytest.mark.parametrize(("unscaled", "stored"), [(120, "1.20"), (700, "7.00"), (0, "0.00"), (-5, "-0.05")])
def test_trap_1_a_decimal_always_has_the_scale_of_its_column(client: KuduClient, unscaled: int, stored: str) -> None:
    columns = [ColumnSpec("id", "INT32", key=True), ColumnSpec("d", "DECIMAL", nullable=True, precision=5, scale=2)]
    table = client.create_table("t", columns, Layout(("id",), 2, replicas=1))
    assert client.write_batch(table, [RowOp(OpKind.UPSERT, [1, unscaled])]) == []
    assert [row["d"] for row in client.scan("t")] == [Decimal(stored)]


def test_the_imitation_has_trap_1(kudu: fake_kudu.Client, client: KuduClient) -> None:
    columns = [ColumnSpec("id", "INT32", key=True), ColumnSpec("d", "DECIMAL", nullable=True, precision=5, scale=2)]
    table = client.create_table("t", columns, Layout(("id",), 2, replicas=1))
    assert table.handle.new_upsert({"id": 1, "d": Decimal("1.2")}).cells["d"] == Decimal("0.12")


def test_trap_2_nothing_is_applied_that_would_be_refused(client: KuduClient, table: Table) -> None:
    bad = [
        op(OpKind.UPSERT, id="a", at=0),
        op(OpKind.UPSERT, id=None, at=0, must=1),
        op(OpKind.UPSERT, id="b", at=0, must=None),
        op(OpKind.DELETE_IGNORE, id="c"),
        op(OpKind.UPSERT, id="d", at=2**62, must=1),
    ]
    failures = client.write_batch(table, [*bad, op(OpKind.UPSERT, id="good", at=0, must=1)])
    assert [(failure.kind, failure.index) for failure in failures] == [(FailureKind.INVALID, i) for i in range(5)]
    assert [row["id"] for row in client.scan(table.name)] == ["good"]


def test_trap_3_time_outs_are_short(kudu: fake_kudu.Client, client: KuduClient) -> None:
    assert max(kudu.timeouts_ms) <= MOST_TIMEOUT_MS


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Timed out: Failed to write batch", FailureKind.TIMEOUT),
        ("Service unavailable: not the leader", FailureKind.UNAVAILABLE),
        ("Network error: Client connection negotiation failed", FailureKind.UNAVAILABLE),
        ("Invalid argument: Client provided column c INT32 not present in tablet", FailureKind.SCHEMA_CHANGED),
        ("Invalid argument: The column 'c' must have type STRING NULLABLE found INT32", FailureKind.SCHEMA_CHANGED),
        ("Not authorized: no", FailureKind.NOT_AUTHORIZED),
        ("Not found: no such tablet", FailureKind.NOT_FOUND),
        ("Runtime error: table t was deleted", FailureKind.NOT_FOUND),
    ],
)
def test_a_failure_of_the_server_fails_the_whole_part(
    kudu: fake_kudu.Client, client: KuduClient, table: Table, words: str, kind: FailureKind
) -> None:
    kudu.fault = words
    failures = client.write_batch(table, [op(OpKind.UPSERT, id=str(i), at=0, must=i) for i in range(3)])
    assert [(failure.kind, failure.index) for failure in failures] == [(kind, i) for i in range(3)]
    assert words in failures[0].text


def test_no_part_is_tried_after_one_that_timed_out(kudu: fake_kudu.Client, client: KuduClient, table: Table) -> None:
    kudu.fault = "Timed out: Failed to write batch"
    failures = client.write_batch(table, [op(OpKind.UPSERT, id=str(i), at=0, must=i) for i in range(2_500)])
    assert [(failure.kind, failure.index) for failure in failures] == [(FailureKind.TIMEOUT, i) for i in range(2_500)]
    assert kudu.flushes == 1


def test_a_row_that_apply_refuses_all_the_same_ends_the_task(
    client: KuduClient, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise fake_kudu.KuduBadStatus("x")

    monkeypatch.setattr(fake_kudu.Session, "apply", refuse)
    with pytest.raises(FatalError, match="refused a checked row"):
        client.write_batch(table, [op(OpKind.UPSERT, id="a", at=0, must=1)])


def test_auto_takes_kudu_python_where_it_is_installed(kudu: fake_kudu.Client) -> None:
    assert isinstance(open_client(SETTINGS), NativeKuduClient)


def test_auto_takes_the_java_client_where_kudu_python_cannot_be_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "kudu.py").write_text("raise ImportError('libkudu_client.so.0: cannot open shared object file')")
    monkeypatch.syspath_prepend(str(tmp_path))
    taken: list[KuduSettings] = []
    monkeypatch.setattr(jvm_client, "JvmKuduClient", taken.append)
    open_client(SETTINGS)
    assert taken == [SETTINGS]


def test_a_missing_kudu_python_is_said_in_one_sentence() -> None:
    with pytest.raises(
        ConfigError, match=r"kudu-native.*pip install faust-connect\[kudu\].*fetch-jars.*KUDU_CLIENT_JARS"
    ):
        open_client(KuduSettings("127.0.0.1:1", backend="native"))
