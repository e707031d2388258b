"""KuduSink in worker processes while the servers stop or freeze, and while workers die or come and go.

Master and tablet server are of the tests' own, so that nobody else is disturbed. By default the outages are short and
the rows few; `FAULTS=full` makes them 20 and 30 seconds and 100,000.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.clients.kudu.jvm_client import JvmKuduClient
from connectors.clients.kudu.port import ColumnSpec, Layout
from connectors.clients.kudu.settings import KuduSettings
from stack import Server
from tests.acceptance.fault_case import FULL, FaultCase, own_server
from tests.acceptance.histories import Stored

CHANGES = 100_000 if FULL else 24_000
FROZEN_S = 30 if FULL else 6
WRITE_LIMIT_S = 10 if FULL else 3
"""The sink's time-out of a write; a frozen server outlasts it."""

COLUMNS = (
    ColumnSpec("id", "STRING", key=True),
    ColumnSpec("v", "STRING", nullable=True),
    ColumnSpec("n", "INT64", nullable=True),
    ColumnSpec("amount", "DECIMAL", nullable=True, precision=10, scale=2),
    ColumnSpec("ts_us", "INT64", nullable=True),
)
MAPPING = 'id=value.id, v=value.v, n=value.n, amount=value.amount, ts_us=header."connect.ts_us"'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Kudu of its own."""
    with own_server("kudu", tmp_path_factory.mktemp("stack")) as made:
        yield made


class Case(FaultCase):
    """Rows in a table of Kudu."""

    def __init__(self, kafka: str, server: Server, unique: str, folder: Path) -> None:
        super().__init__(kafka, server, unique, folder, CHANGES)
        masters, jars = (server.environment()[name] for name in ("KUDU_MASTERS", "KUDU_CLIENT_JARS"))
        self.environment = {"PACE_S": str(8 / CHANGES)}
        self.config = {
            "connector.class": "observed.ObservedKuduSink",
            "kudu.masters": masters,
            "kudu.client.jars": jars,
            "kudu.backend": "jvm",
            "kudu.operation.timeout.ms": str(WRITE_LIMIT_S * 1_000),
            f"topic.{unique}.{unique}.mapping": MAPPING,
        }
        self._client = JvmKuduClient(KuduSettings(masters, jars=jars))
        self._client.create_table(unique, COLUMNS, Layout(("id",), 3, replicas=1))

    def stored(self) -> dict[str, Stored]:
        rows = self._client.scan(self.unique)
        return {row["id"]: Stored((row["v"], row["n"], row["amount"]), row["ts_us"]) for row in rows}

    def close(self) -> None:
        super().close()
        self._client.drop_table(self.unique)
        self._client.close()


@pytest.fixture
def case(kafka: str, server: Server, unique: str, tmp_path: Path) -> Iterator[Case]:
    made = Case(kafka, server, unique, tmp_path)
    yield made
    made.close()


def test_servers_that_are_stopped_and_started_again(case: Case) -> None:
    case.survives_a_stop_of_the_server()


def test_servers_that_are_frozen(case: Case) -> None:
    case.survives_a_frozen_server(FROZEN_S)


def test_a_worker_that_is_killed_five_times(case: Case) -> None:
    case.survives_five_kills()


def test_two_workers_that_come_and_go(case: Case) -> None:
    case.survives_two_workers_that_come_and_go()
