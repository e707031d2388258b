"""CassandraSink in worker processes while the server stops or freezes, and while workers die or come and go.

Each test ends with every row compared by value, and checks on its way that committed offsets never ran ahead of the
table. The server is one of its own, so that nobody else is disturbed; its commit log is synchronous. By default the
outages are short and the rows few; `FAULTS=full` makes them 20 and 30 seconds and 100,000.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import confluent_kafka as ck
import pytest
from cassandra.cluster import Cluster
from confluent_kafka.admin import AdminClient

from examples.pojo.workers import free_port
from stack import Home, Server
from stack.servers import make
from tests.acceptance.histories import History, Stored
from tests.integration.runtime.conftest import Worker

FULL = os.environ.get("FAULTS") == "full"
CHANGES = 100_000 if FULL else 12_000
STOPPED_S = 20 if FULL else 4
FROZEN_S = 30 if FULL else 12
"""More than a request's limit of 10 s."""

BLOCKED_S = 0.1 if FULL else 1.0
"""Beyond the time that its thread waited for a core. The driver would block the loop for 2 s."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Cassandra of its own."""
    home = tmp_path_factory.mktemp("stack")
    Home.default().downloads().mkdir(parents=True, exist_ok=True)
    (home / "downloads").symlink_to(Home.default().downloads())
    os.environ["STACK_CASSANDRA_COMMITLOG_SYNC"] = "batch"
    made = make("cassandra", Home(home))
    try:
        made.start()
        yield made
    finally:
        os.environ.pop("STACK_CASSANDRA_COMMITLOG_SYNC")
        made.signal(signal.SIGCONT)
        made.stop()
        made.wipe()


class Case:
    """A topic with a history, a table, and workers of one cluster."""

    def __init__(self, kafka: str, server: Server, unique: str, folder: Path) -> None:
        self.kafka, self.server, self.unique, self.folder = kafka, server, unique, folder
        self.history = History(CHANGES, CHANGES // 6)
        self.history.fill(kafka, unique)
        self.observed = folder / "observed.jsonl"
        self.workers: list[Worker] = []
        self._admin = AdminClient({"bootstrap.servers": kafka})
        self._query(
            f"CREATE KEYSPACE {unique} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"
        )
        self._query(f"CREATE TABLE {unique}.t (id text PRIMARY KEY, v text, n bigint, amount decimal)")

    def worker(self, name: str) -> Worker:
        env = {
            "CONNECTORS_CLUSTER": self.unique,
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka,
            "OBSERVED": str(self.observed),
        }
        worker = Worker(env, self.folder / f"{name}.log")
        worker.port = free_port()
        worker.env |= {"CONNECTORS_REST_PORT": str(worker.port), "PYTHONPATH": str(Path(__file__).parent)}
        self.workers.append(worker)
        worker.start()
        return worker

    def deploy(self, worker: Worker, tasks: int = 1) -> None:
        """Deploy the sink, slow enough for a fault to come in its midst."""
        config = {
            "connector.class": "observed.ObservedCassandraSink",
            "tasks.max": str(tasks),
            "topics": self.unique,
            "cassandra.port": self.server.environment()["CASSANDRA_PORT"],
            "cassandra.max.in.flight": "2",
            "cassandra.batch": "none",
            "offset.flush.interval.ms": "200",
            "consumer.override.session.timeout.ms": "6000",
            "errors.deadletterqueue.topic.name": f"{self.unique}.dead",
            f"topic.{self.unique}.{self.unique}.t.mapping": "*",
        }
        code, answer = worker.request("PUT", f"/connectors/{self.unique}/config", config)
        assert code == 201, answer

    def committed(self) -> dict[int, int]:
        request = ck.ConsumerGroupTopicPartitions(f"connect-{self.unique}")
        [future] = self._admin.list_consumer_group_offsets([request]).values()
        offsets = {each.partition: each.offset for each in future.result().topic_partitions}
        return {partition: offset for partition, offset in offsets.items() if offset >= 0}

    def stored(self) -> dict[str, Stored]:
        rows = self._query(f"SELECT id, v, n, amount, writetime(n) FROM {self.unique}.t")
        return {row[0]: Stored((row[1], row[2], row[3]), row[4]) for row in rows}

    def check_committed(self) -> None:
        """Compare what is committed with what is stored; the offsets are read first."""
        committed = self.committed()
        assert self.history.lost(committed, self.stored()) == []

    def until_committed(self, share: float, limit_s: float = 300) -> None:
        """Wait until this share of the changes is committed."""
        wanted, deadline = share * self.history.total, time.monotonic() + limit_s
        while sum(self.committed().values()) < wanted:
            assert time.monotonic() < deadline, self._logs()
            time.sleep(0.1)

    def finish(self) -> None:
        """Wait for the last row, compare all of them, and see that nothing was set aside."""
        self.until_committed(1.0)
        assert self.history.differences(self.stored()) == []
        dead = self._admin.list_topics(timeout=10).topics.get(f"{self.unique}.dead")
        if dead is not None:
            reader = ck.Consumer({"bootstrap.servers": self.kafka, "group.id": f"{self.unique}-dead"})
            assert reader.get_watermark_offsets(ck.TopicPartition(dead.topic, 0), timeout=10)[1] == 0
            reader.close()

    def seen(self, fact: str) -> list[float]:
        lines = map(json.loads, self.observed.read_text().splitlines())
        return [line[fact] for line in lines if fact in line]

    def check_undisturbed(self) -> None:
        """See that the one consumer kept its partitions, and that its event loop went on turning."""
        assert (self.seen("open"), self.seen("close")) == ([4], [])
        worst, late = max(self.seen("blocked_s")), max(self.seen("of_s"))
        text = f"event loop blocked for {worst * 1000:.0f} ms at most, {late * 1000:.0f} with the machine's own delays"
        sys.stderr.write(f"\n{self.unique}: {text}\n")
        assert worst < BLOCKED_S

    def close(self) -> None:
        for worker in self.workers:
            worker.stop()

    def _query(self, cql: str) -> list[Any]:
        with Cluster(["127.0.0.1"], port=self.server.ports["native"], connect_timeout=10) as cluster:
            return list(cluster.connect().execute(cql, timeout=60))

    def _logs(self) -> str:
        return "\n".join(worker.log.read_text()[-3000:] for worker in self.workers)


@pytest.fixture
def case(kafka: str, server: Server, unique: str, tmp_path: Path) -> Iterator[Case]:
    made = Case(kafka, server, unique, tmp_path)
    yield made
    made.close()


def test_a_server_that_is_stopped_and_started_again(case: Case) -> None:
    case.deploy(case.worker("a"))
    case.until_committed(0.2)
    case.server.stop()
    time.sleep(STOPPED_S)  # the outage itself
    case.server.start()
    case.check_committed()
    case.finish()
    case.check_undisturbed()


def test_a_server_that_is_frozen(case: Case) -> None:
    case.deploy(case.worker("a"))
    case.until_committed(0.2)
    case.server.signal(signal.SIGSTOP)
    time.sleep(FROZEN_S)  # the outage itself
    case.server.signal(signal.SIGCONT)
    case.check_committed()
    case.finish()
    case.check_undisturbed()


def test_a_worker_that_is_killed_five_times(case: Case) -> None:
    worker = case.worker("a")
    case.deploy(worker)
    for turn in range(5):
        case.until_committed(0.05 + 0.15 * turn)
        worker.kill()
        case.check_committed()
        worker.start()
    case.finish()


def test_two_workers_that_come_and_go(case: Case) -> None:
    first = case.worker("a")
    case.deploy(first, tasks=2)
    case.until_committed(0.1)
    second = case.worker("b")
    case.until_committed(0.25)
    case.check_committed()
    first.stop()
    case.until_committed(0.6)
    case.check_committed()
    first.start()
    case.until_committed(0.7)
    second.kill()
    case.check_committed()
    case.finish()
    assert len(case.seen("open")) >= 4  # each change of hands gave partitions to somebody
