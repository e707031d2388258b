"""kill -9 of the enrich worker in the middle of 10,000 slow requests: every input has its output in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import confluent_kafka as ck
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

COUNT = 10_000
PARTITIONS = 4

SLOW = """
    import asyncio

    async def look(message):
        number = message.value["n"]
        # Every 500th is a straggler, the first record of a partition among them: they are what a commit must not pass.
        await asyncio.sleep(6.0 if number % 500 < 4 else 0.2 + number % 7 / 20)
        message.value["seen"] = True
        return [message]
"""

CONFIG = """
    application: {{id: {name}}}
    stages:
      - name: slow
        input: {name}.in
        output: {name}.out
        capacity: 1000
        timeout_s: 60
        persist: {persist}
        steps: [{{function: "slow:look"}}]
"""


class Worker:
    """`faust -A agents worker` as a process."""

    def __init__(self, folder: Path, kafka: str) -> None:
        self._folder = folder
        self._env = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka, "ENRICH_CONFIG": str(folder / "enrich.yaml")}
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "worker.log"

    def start(self) -> None:
        command = [
            str(Path(sys.executable).with_name("faust")),
            "-A",
            "agents",
            "worker",
            "-l",
            "info",
            "--without-web",
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self._folder, env=self._env, stdout=log, stderr=log)

    def end(self, how: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(30)


class Outputs:
    """Reads the output topic from its beginning."""

    def __init__(self, kafka: str, topic: str) -> None:
        self._consumer = ck.Consumer(
            {"bootstrap.servers": kafka, "group.id": topic, "fetch.wait.max.ms": 100, "enable.auto.commit": False}
        )
        self._consumer.assign([ck.TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
        self.keys: dict[bytes | None, int] = {}

    def until(self, enough: Callable[[], bool], timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        while not enough():
            assert time.monotonic() < end, f"{len(self.keys)} of {COUNT} inputs have their output"
            for record in self._consumer.consume(1000, 0.2):
                if record.error() is None:
                    self.keys[record.key()] = self.keys.get(record.key(), 0) + 1

    def close(self) -> None:
        self._consumer.close()


@pytest.fixture
def load(kafka: str, unique: str) -> Iterator[str]:
    """Topics with the inputs; gives their common name."""
    admin = AdminClient({"bootstrap.servers": kafka})
    topics = [NewTopic(f"{unique}.{which}", PARTITIONS, 1) for which in ("in", "out")]
    for created in admin.create_topics(topics).values():
        created.result()
    producer = ck.Producer({"bootstrap.servers": kafka, "linger.ms": 20})
    for number in range(COUNT):
        producer.produce(f"{unique}.in", b'{"n":%d}' % number, b"%d" % number, number % PARTITIONS)
    assert producer.flush(30) == 0
    yield unique
    admin.delete_topics([f"{unique}.in", f"{unique}.out", f"{unique}-slow-pending-changelog"])


@pytest.mark.slow
@pytest.mark.parametrize("persist", ["checkpoint", "always"])
def test_kill_in_the_middle_loses_nothing(persist: str, kafka: str, load: str, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(dedent(SLOW))
    (tmp_path / "enrich.yaml").write_text(dedent(CONFIG).format(name=load, persist=persist))
    worker, outputs = Worker(tmp_path, kafka), Outputs(kafka, f"{load}.out")
    try:
        worker.start()
        outputs.until(lambda: len(outputs.keys) > 3000, 40)
        worker.end(signal.SIGKILL)
        committed = committed_offsets(kafka, load)
        worker.start()
        outputs.until(lambda: len(outputs.keys) == COUNT, 60)
        assert worker.end(signal.SIGTERM) == 0, worker.log.read_text()
    finally:
        outputs.close()
        if worker.process is not None and worker.process.poll() is None:
            worker.end(signal.SIGKILL)
    assert set(outputs.keys) == {b"%d" % number for number in range(COUNT)}
    # The first record of each partition was still running: without the pending table nothing would be committed.
    assert max(committed) > 0, committed
    assert "pending requests of partition" in worker.log.read_text()
    assert sum(outputs.keys.values()) < 2 * COUNT, "a restart does not begin from the start"
    assert committed_offsets(kafka, load) == [COUNT // PARTITIONS] * PARTITIONS


def committed_offsets(kafka: str, group: str) -> list[int]:
    """Return what the worker's group has committed, by partition."""
    consumer = ck.Consumer({"bootstrap.servers": kafka, "group.id": group})
    try:
        wanted = [ck.TopicPartition(f"{group}.in", partition) for partition in range(PARTITIONS)]
        return [place.offset for place in consumer.committed(wanted, timeout=10)]
    finally:
        consumer.close()
