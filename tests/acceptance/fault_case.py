"""What the fault tests of the sinks share: workers of one cluster on a topic with a history, and the faults themselves.

Each fault ends with every row compared by value, and checks on its way that committed offsets never ran ahead of the
table.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient

from examples.pojo.workers import free_port
from stack import Home, Server
from stack.servers import make
from tests.acceptance.histories import History, Stored
from tests.integration.runtime.conftest import Worker

FULL = os.environ.get("FAULTS") == "full"
STOPPED_S = 20 if FULL else 4

BLOCKED_S = 0.1 if FULL else 1.0
"""Beyond the time that its thread waited for a core. The Cassandra driver would block the loop for 2 s."""


@contextmanager
def own_server(name: str, folder: Path) -> Iterator[Server]:
    """Run a server that nobody else uses; the downloads are shared."""
    Home.default().downloads().mkdir(parents=True, exist_ok=True)
    (folder / "downloads").symlink_to(Home.default().downloads())
    made = make(name, Home(folder))
    try:
        made.start()
        yield made
    finally:
        made.signal(signal.SIGCONT)
        made.stop()
        made.wipe()


class FaultCase(ABC):
    """A topic with a history, a table, and workers of one cluster.

    Attributes:
        environment: Variables of the workers beside those of every worker.
        config: The sink's configuration beside what every sink has; slow enough for a fault to come in its midst.
    """

    environment: Mapping[str, str] = {}
    config: Mapping[str, str]

    def __init__(self, kafka: str, server: Server, unique: str, folder: Path, changes: int) -> None:
        self.kafka, self.server, self.unique, self.folder = kafka, server, unique, folder
        self.history = History(changes, changes // 6)
        self.history.fill(kafka, unique)
        self.observed = folder / "observed.jsonl"
        self.workers: list[Worker] = []
        self._admin = AdminClient({"bootstrap.servers": kafka})

    @abstractmethod
    def stored(self) -> dict[str, Stored]:
        """Read the whole table."""

    def worker(self, name: str) -> Worker:
        env = {"CONNECTORS_CLUSTER": self.unique, "KAFKA_BOOTSTRAP_SERVERS": self.kafka, "OBSERVED": str(self.observed)}
        worker = Worker({**env, **self.environment}, self.folder / f"{name}.log")
        worker.port = free_port()
        worker.env |= {"CONNECTORS_REST_PORT": str(worker.port), "PYTHONPATH": str(Path(__file__).parent)}
        self.workers.append(worker)
        worker.start()
        return worker

    def deploy(self, worker: Worker, tasks: int = 1) -> None:
        config = {
            "tasks.max": str(tasks),
            "topics": self.unique,
            "offset.flush.interval.ms": "200",
            "consumer.override.session.timeout.ms": "6000",
            "errors.deadletterqueue.topic.name": f"{self.unique}.dead",
        }
        code, answer = worker.request("PUT", f"/connectors/{self.unique}/config", {**config, **self.config})
        assert code == 201, answer

    def committed(self) -> dict[int, int]:
        request = ck.ConsumerGroupTopicPartitions(f"connect-{self.unique}")
        [future] = self._admin.list_consumer_group_offsets([request]).values()
        offsets = {each.partition: each.offset for each in future.result().topic_partitions}
        return {partition: offset for partition, offset in offsets.items() if offset >= 0}

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

    def _logs(self) -> str:
        return "\n".join(worker.log.read_text()[-3000:] for worker in self.workers)

    # ---- the faults

    def survives_a_stop_of_the_server(self) -> None:
        self.deploy(self.worker("a"))
        self.until_committed(0.2)
        self.server.stop()
        time.sleep(STOPPED_S)  # the outage itself
        self.server.start()
        self.check_committed()
        self.finish()
        self.check_undisturbed()

    def survives_a_frozen_server(self, frozen_s: float) -> None:
        self.deploy(self.worker("a"))
        self.until_committed(0.2)
        self.server.signal(signal.SIGSTOP)
        time.sleep(frozen_s)  # the outage itself
        self.server.signal(signal.SIGCONT)
        self.check_committed()
        self.finish()
        self.check_undisturbed()

    def survives_five_kills(self) -> None:
        worker = self.worker("a")
        self.deploy(worker)
        for turn in range(5):
            self.until_committed(0.05 + 0.15 * turn)
            worker.kill()
            self.check_committed()
            worker.start()
        self.finish()

    def survives_two_workers_that_come_and_go(self) -> None:
        first = self.worker("a")
        self.deploy(first, tasks=2)
        self.until_committed(0.1)
        second = self.worker("b")
        self.until_committed(0.25)
        self.check_committed()
        first.stop()
        self.until_committed(0.6)
        self.check_committed()
        first.start()
        self.until_committed(0.7)
        second.kill()
        self.check_committed()
        self.finish()
        assert len(self.seen("open")) >= 4  # each change of hands gave partitions to somebody
