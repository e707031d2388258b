"""What the benchmarks share: topics that are removed again, worker processes, rates between two moments, the report."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self
from uuid import uuid4

import confluent_kafka as ck
import psutil
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from examples.pojo.workers import free_port

__all__ = [
    "PARTITIONS",
    "Bench",
    "ConnectWorker",
    "Run",
    "WorkerProcess",
    "bench",
    "median",
    "options",
    "per_second",
    "report",
]

PARTITIONS: Final = 4
_SHARE: Final = 0.98
"""A rate is taken up to this share of the records, so that the last few in flight do not count as a slow stretch."""


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run.

    Attributes:
        rate: Records per second.
        cpu_us: CPU of the worker process, all threads, microseconds per record.
        rss_mb: Most resident memory seen, MB.
    """

    rate: float
    cpu_us: float
    rss_mb: float


class WorkerProcess:
    """A process under measurement; its log is a file."""

    def __init__(self, command: Sequence[str], folder: Path, env: Mapping[str, str]) -> None:
        self.log = folder / f"{uuid4().hex[:8]}.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=folder, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._seen = psutil.Process(self._process.pid)

    def check(self) -> None:
        """Notice that it ended.

        Raises:
            RuntimeError: It did; with the end of its log.
        """
        if self._process.poll() is not None:
            raise RuntimeError(f"worker ended with {self._process.returncode}:\n{self.log.read_text()[-3000:]}")

    def cpu_s(self) -> float:
        """Return the CPU seconds of all its threads until now."""
        times = self._seen.cpu_times()
        return float(times.user + times.system)

    def rss_mb(self) -> float:
        """Return its resident memory."""
        return float(self._seen.memory_info().rss) / 1e6

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Ask it to end, and end it if it does not."""
        if self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


@dataclass
class Bench:
    """Topics under a prefix of their own, a folder, and processes; all gone at the end.

    Attributes:
        kafka: Bootstrap servers.
        unique: Prefix of whatever the benchmark makes.
        folder: For configurations, code of workers and logs.
    """

    kafka: str
    unique: str
    folder: Path
    _processes: list[WorkerProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._admin = AdminClient({"bootstrap.servers": self.kafka})
        self._reader = ck.Consumer({"bootstrap.servers": self.kafka, "group.id": f"{self.unique}-offsets"})

    def topic(self, name: str, partitions: int = PARTITIONS) -> str:
        """Make a topic; returns its full name."""
        full = f"{self.unique}-{name}"
        self._admin.create_topics([NewTopic(full, partitions, 1)])[full].result()
        self.count(full, partitions)  # answers once it has its leaders
        return full

    def fill(self, topic: str, values: Iterator[tuple[bytes, bytes]], partitions: int = PARTITIONS) -> None:
        """Write keys and values, in turn to each partition."""
        producer = ck.Producer({"bootstrap.servers": self.kafka, "linger.ms": 20, "compression.type": "lz4"})
        for number, (key, value) in enumerate(values):
            while True:
                try:
                    producer.produce(topic, value, key, partition=number % partitions)
                    break
                except BufferError:
                    producer.poll(0.1)
        if producer.flush(60):
            raise RuntimeError(f"topic {topic} could not be filled")

    def count(self, topic: str, partitions: int = PARTITIONS) -> int:
        """Return the number of records ever written to a topic (without transactions)."""
        places = [ck.TopicPartition(topic, number) for number in range(partitions)]
        return sum(self._end(place) for place in places)

    def _end(self, place: ck.TopicPartition) -> int:
        deadline = time.monotonic() + 20
        while True:
            try:
                return int(self._reader.get_watermark_offsets(place, timeout=10)[1])
            except ck.KafkaException:  # a topic just made has no leader yet
                if time.monotonic() > deadline:
                    raise
                self._reader.list_topics(place.topic, timeout=10)
                time.sleep(0.05)

    def start(self, command: Sequence[str], env: Mapping[str, str]) -> WorkerProcess:
        """Start a process of the virtual environment, e.g. `faust ...`, in the folder."""
        path = str(Path(sys.executable).with_name(command[0]))
        made = WorkerProcess([path, *command[1:]], self.folder, {"KAFKA_BOOTSTRAP_SERVERS": self.kafka, **env})
        self._processes.append(made)
        return made

    def follow(self, worker: WorkerProcess, topic: str, total: int, limit_s: float = 300.0) -> Run:
        """Measure from the first output seen to the 98th of 100 parts of them, then wait until all are there."""
        first: tuple[float, int, float] | None = None
        rate = cpu_us = peak = 0.0
        deadline = time.monotonic() + limit_s
        while True:
            worker.check()
            now, count, cpu = time.monotonic(), self.count(topic), worker.cpu_s()
            peak = max(peak, worker.rss_mb())
            if count and first is None:
                first = (now, count, cpu)
            if first is not None and count >= _SHARE * total and not rate and count > first[1]:
                rate = (count - first[1]) / (now - first[0])
                cpu_us = (cpu - first[2]) / (count - first[1]) * 1e6
            if count >= total:
                if not rate:
                    raise RuntimeError(f"{total} records are too few to measure")
                return Run(rate, cpu_us, peak)
            if now > deadline:
                raise TimeoutError(f"{count} of {total} records in {topic}:\n{worker.log.read_text()[-3000:]}")
            time.sleep(0.02)

    def close(self) -> None:
        """End the processes and remove what was made."""
        for process in self._processes:
            process.stop()
        self._reader.close()
        mine = [name for name in self._admin.list_topics(timeout=10).topics if name.startswith(self.unique)]
        groups = [group.group_id for group in self._admin.list_consumer_groups().result().valid]
        groups = [group for group in groups if self.unique in group]
        futures = [*(self._admin.delete_topics(mine) if mine else {}).values()]
        futures += (self._admin.delete_consumer_groups(groups) if groups else {}).values()
        for future in futures:
            with suppress(ck.KafkaException):  # a member that was killed keeps its group for a session
                future.result()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ConnectWorker:
    """A connector worker of a cluster of its own, driven over REST."""

    def __init__(self, made: Bench, env: Mapping[str, str] | None = None) -> None:
        self._made, self.port = made, free_port()
        own = {"CONNECTORS_CLUSTER": made.unique, "CONNECTORS_WORKER_ID": "bench", "PYTHONPATH": str(made.folder)}
        self._env = {**own, **(env or {})}
        self.refusal = ""
        self.process = self.start()

    def start(self) -> WorkerProcess:
        """Start it, also again after a stop; returns at once."""
        command = ["connectors", "worker", "-l", "warn", "--rest-port", str(self.port)]
        self.process = self._made.start(command, self._env)
        return self.process

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Call REST; None where it does not answer yet or refuses."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method)
        request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return json.loads(response.read() or b"true")
        except urllib.error.HTTPError as error:
            with error:
                self.refusal = error.read().decode()
            return None
        except (urllib.error.URLError, ConnectionError):
            return None

    def metrics(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Return the worker's series, name and sorted labels to value; none while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=20) as response:
                text = response.read().decode()
        except (urllib.error.URLError, ConnectionError):
            return {}
        families = text_string_to_metric_families(text)
        return {(each.name, tuple(sorted(each.labels.items()))): each.value for one in families for each in one.samples}

    def deploy(self, name: str, config: Mapping[str, str], limit_s: float = 20.0) -> None:
        """Create a connector as soon as REST answers."""
        deadline = time.monotonic() + limit_s
        while self.ask("PUT", f"/connectors/{name}/config", config) is None:
            self.process.check()
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"{name} could not be deployed: {self.refusal}\n{self.process.log.read_text()[-2000:]}"
                )
            time.sleep(0.1)

    def delete(self, name: str) -> None:
        """Delete a connector."""
        self.ask("DELETE", f"/connectors/{name}")


@contextmanager
def bench(kafka: str, name: str) -> Iterator[Bench]:
    """Open a `Bench` with a unique prefix; everything with it is removed at the end."""
    unique = f"bench-{name}-{uuid4().hex[:8]}"
    with Bench(kafka, unique, Path(tempfile.mkdtemp(prefix=unique))) as made:
        yield made


def per_second(work: Callable[[], int]) -> float:
    """Return how many of what `work` counts it does in a second."""
    began = time.perf_counter()
    return work() / (time.perf_counter() - began)


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def options(description: str, records: int, *, repeat: int = 3, minutes: bool = False) -> argparse.Namespace:
    """Parse `--records` and `--repeat`, and `--minutes` where there is something to watch for long."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--records", type=int, default=records, help=f"records a run (default {records})")
    parser.add_argument("--repeat", type=int, default=repeat, help=f"repetitions; the median counts (default {repeat})")
    if minutes:
        parser.add_argument("--minutes", type=float, default=0, help="watch the memory for so long (default 0)")
    return parser.parse_args()


def report(rows: Sequence[tuple[str, str]], result: Mapping[str, Any], load_at_start: float) -> None:
    """Print a table, and JSON as the last line."""
    table = Table("figure", "value")
    for row in rows:
        table.add_row(*row)
    table.add_row("machine's load average, before and after", f"{load_at_start:.1f}, {os.getloadavg()[0]:.1f}")
    Console().print(table)
    sys.stdout.write(json.dumps(result) + "\n")
