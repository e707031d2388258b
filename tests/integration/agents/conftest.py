"""`faust -A agents worker` as a process against the real Kafka."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import confluent_kafka as ck
import pytest
from confluent_kafka.admin import AdminClient, OffsetSpec
from confluent_kafka.cimpl import NewTopic


class Bench:
    """Topics, workers and records of one test.

    `{u}` in the configuration stands for the test's own prefix.
    """

    def __init__(self, kafka: str, unique: str, folder: Path) -> None:
        self.kafka, self.unique, self.folder = kafka, unique, folder
        self.admin = AdminClient({"bootstrap.servers": kafka})
        # A retry in a topic that was just made must not change the order that tests rely on.
        self.producer = ck.Producer({"bootstrap.servers": kafka, "enable.idempotence": True})
        self.workers: list[subprocess.Popen[bytes]] = []
        self.log = folder / "worker.log"

    def topic(self, name: str, partitions: int = 1) -> str:
        full = self.unique + name
        self.admin.create_topics([NewTopic(full, partitions, 1)])[full].result()
        self._wait_for_leaders(full, partitions)
        return full

    def _wait_for_leaders(self, topic: str, partitions: int) -> None:
        # A topic is announced a moment before its broker has taken it over.
        wanted = {ck.TopicPartition(topic, number): OffsetSpec.latest() for number in range(partitions)}
        end = time.monotonic() + 60  # longer than another test may keep the broker away
        while True:
            try:
                for future in self.admin.list_offsets(wanted).values():
                    future.result()
            except ck.KafkaException:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
            else:
                return

    def send(self, name: str, value: bytes | None, key: bytes | None = None, **options: Any) -> None:
        self.producer.produce(self.unique + name, value, key, **options)

    def configure(self, config: str, functions: str) -> None:
        assert self.producer.flush(30) == 0
        (self.folder / "functions.py").write_text(dedent(functions))
        (self.folder / "enrich.yaml").write_text(dedent(config).replace("{u}", self.unique))

    def start(self, web_port: int | None = None) -> subprocess.Popen[bytes]:
        command = [
            str(Path(sys.executable).with_name("faust")),
            "-A",
            "agents",
            "worker",
            "-l",
            "info",
            *(["--without-web"] if web_port is None else ["--web-port", str(web_port)]),
        ]
        env = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": self.kafka, "ENRICH_CONFIG": str(self.folder / "enrich.yaml")}
        with self.log.open("ab") as log:
            worker = subprocess.Popen(command, cwd=self.folder, env=env, stdout=log, stderr=log)
        self.workers.append(worker)
        return worker

    def read(self, name: str, enough: int | Callable[[list[ck.Message]], bool], timeout_s: float = 40) -> list[Any]:
        """Read a topic from its beginning until there is enough of it."""
        topic = self.unique + name
        consumer = ck.Consumer({"bootstrap.servers": self.kafka, "group.id": topic, "fetch.wait.max.ms": 100})
        end = time.monotonic() + timeout_s
        found: list[ck.Message] = []
        try:
            while topic not in (topics := consumer.list_topics(timeout=10).topics):
                assert time.monotonic() < end, f"no topic {topic}:\n{self.log.read_text()}"
                time.sleep(0.1)
            consumer.assign([ck.TopicPartition(topic, number, 0) for number in topics[topic].partitions])
            while not (len(found) >= enough if isinstance(enough, int) else enough(found)):
                count = Counter(record.partition() for record in found)
                assert time.monotonic() < end, f"{topic}: {count} of {enough} records\n{self.log.read_text()}"
                found += [record for record in consumer.consume(500, 0.2) if record.error() is None]
        finally:
            consumer.close()
        return found

    def committed(self, group: str, name: str, partitions: int = 1) -> list[int]:
        consumer = ck.Consumer({"bootstrap.servers": self.kafka, "group.id": self.unique + group})
        try:
            wanted = [ck.TopicPartition(self.unique + name, number) for number in range(partitions)]
            return [place.offset for place in consumer.committed(wanted, timeout=10)]
        finally:
            consumer.close()

    def close(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(signal.SIGKILL)
                worker.wait(10)
        mine = [name for name in self.admin.list_topics(timeout=10).topics if name.startswith(self.unique)]
        for deleted in (self.admin.delete_topics(mine) if mine else {}).values():
            deleted.result()


@pytest.fixture
def bench(kafka: str, unique: str, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(kafka, unique, tmp_path)
    yield made
    made.close()
