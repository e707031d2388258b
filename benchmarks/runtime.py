"""Measure the connector worker: records a second through in-memory plugins, and REST with many connectors.

`python -m benchmarks.runtime [--records N] [--repeat N] [--connectors N]` prints a table, and one JSON object as its
last line. Overhead is the CPU of the worker for a record less that of librdkafka's clients alone with the same options
and records, all threads, measured in this process. REST latency is that of an open loop of 100 requests a second,
counted from when a request was due.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import confluent_kafka as ck
from aiohttp import ClientSession

import stack
from benchmarks.measure import Bench, ConnectWorker, bench, median, report

_BYTES: Final = {"key.converter": "bytes", "value.converter": "bytes"}
_TRANSFORMS: Final = {
    "transforms": "origin,route,drop",
    "transforms.origin.type": "InsertHeader",
    "transforms.origin.header": "origin",
    "transforms.origin.value.literal": "bench",
    "transforms.route.type": "RegexRouter",
    "transforms.route.regex": "nothing-(.*)",
    "transforms.route.replacement": "$1",
    "transforms.drop.type": "DropHeaders",
    "transforms.drop.headers": "origin",
}
_REST_S: Final = 10
_REST_RATE: Final = 100


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000, help="records a run (default 1000000)")
    parser.add_argument("--repeat", type=int, default=3, help="repetitions; the median counts (default 3)")
    parser.add_argument("--connectors", type=int, default=200, help="connectors of the REST part (default 200)")
    chosen = parser.parse_args()
    load = os.getloadavg()[0]
    env = stack.up(["kafka"])
    with bench(env["KAFKA_BOOTSTRAP_SERVERS"], "runtime") as made:
        # REST first: for minutes after the other part Kafka and the system write and remove gigabytes.
        figures = _Many(made, chosen.connectors).measure()
        figures |= _Throughput(made, chosen.records).measure(chosen.repeat)
    _report(figures, load)
    return 0


def _worker(made: Bench, cluster: str) -> ConnectWorker:
    root = str(Path(__file__).resolve().parents[1])
    worker = ConnectWorker(made, {"PYTHONPATH": root, "CONNECTORS_CLUSTER": f"{made.unique}-{cluster}"})
    _until(lambda: worker.ask("GET", "/health") is not None, worker)
    return worker


def _until(condition: Callable[[], Any], worker: ConnectWorker, limit_s: float = 120) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        worker.process.check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"not reached within {limit_s:.0f} s:\n{worker.process.log.read_text()[-3000:]}")
        time.sleep(0.02)


class _Throughput:
    """Both planes at full speed, one at a time, each in a worker that has nothing else to do."""

    def __init__(self, made: Bench, records: int) -> None:
        self._made, self._records = made, records
        self._worker = _worker(made, "fast")

    def measure(self, repeat: int) -> dict[str, float]:
        """Return the figures, medians of the repetitions."""
        found: dict[str, list[float]] = {}
        for number in range(repeat):
            for name, value in self._round(number).items():
                found.setdefault(name, []).append(value)
        rss = self._worker.process.rss_mb()
        self._worker.process.stop()
        return {name: median(values) for name, values in found.items()} | {"rss_fast": rss}

    def _round(self, number: int) -> dict[str, float]:
        topic, bare = self._made.topic(f"in{number}"), self._made.topic(f"bare{number}")
        source, source_cpu = self._source(f"source{number}", topic, {})
        more = self._made.topic(f"more{number}")
        changed, _ = self._source(f"changed{number}", more, _TRANSFORMS)
        sink, sink_cpu = self._sink(f"sink{number}", topic, {})
        sink_changed, _ = self._sink(f"sinkchanged{number}", topic, _TRANSFORMS)
        return {
            "source": source,
            "source_transforms": changed,
            "sink": sink,
            "sink_transforms": sink_changed,
            "source_overhead_us": source_cpu - _bare_produce(self._made.kafka, bare, self._records),
            "sink_overhead_us": sink_cpu - _bare_consume(self._made.kafka, topic, self._records),
        }

    def _source(self, name: str, topic: str, extra: dict[str, str]) -> tuple[float, float]:
        name = f"{self._made.unique}-{name}"
        config = {"connector.class": "benchmarks.memory_plugins.MemorySource", "records": str(self._records)}
        self._worker.deploy(name, {**config, "topic": topic, **_BYTES, **extra})
        run = self._made.follow(self._worker.process, topic, self._records)
        self._worker.delete(name)
        return run.rate, run.cpu_us

    def _sink(self, name: str, topic: str, extra: dict[str, str]) -> tuple[float, float]:
        name, file = f"{self._made.unique}-{name}", self._made.folder / f"{name}.json"
        config = {"connector.class": "benchmarks.memory_plugins.MemorySink", "records": str(self._records)}
        self._worker.deploy(name, {**config, "topics": topic, "file": str(file), **_BYTES, **extra})
        _until(lambda: file.exists() and file.read_text(), self._worker)
        found = json.loads(file.read_text())
        self._worker.delete(name)
        return found["rate"], found["cpu_us"]


def _bare_produce(kafka: str, topic: str, records: int) -> float:
    """CPU microseconds a record of librdkafka's producer alone."""
    options = {"linger.ms": 10, "compression.type": "lz4", "batch.size": 262_144, "enable.idempotence": True}
    producer = ck.Producer({"bootstrap.servers": kafka, **options, "queue.buffering.max.messages": 50_000})
    value, began = b"x" * 200, time.process_time()
    for number in range(records):
        while True:
            try:
                producer.produce(topic, value, b"%08d" % number, on_delivery=_delivered)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 500 == 0:
            producer.poll(0)
    producer.flush(60)
    return (time.process_time() - began) / records * 1e6


def _delivered(_error: Any, _message: Any) -> None:
    return


def _bare_consume(kafka: str, topic: str, records: int) -> float:
    """CPU microseconds a record of librdkafka's consumer alone."""
    consumer = ck.Consumer({"bootstrap.servers": kafka, "group.id": f"{topic}-bare", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    count, began = 0, time.process_time()
    while count < records:
        count += sum(1 for message in consumer.consume(2000, 1.0) if message.value() is not None)
    spent = time.process_time() - began
    consumer.close()
    return spent / records * 1e6


class _Many:
    """A worker with many connectors: how long a deployment takes, what REST answers in, what it holds when idle."""

    def __init__(self, made: Bench, count: int) -> None:
        self._made, self._count = made, count
        self._worker = _worker(made, "many")

    def measure(self) -> dict[str, float]:
        """Return the figures."""
        found = {"deploy_s": self._deploy()}
        found["status_s"] = median([self._status() for _ in range(5)])
        found["rest_p50_ms"], found["rest_p99_ms"] = asyncio.run(self._latency())
        for name in self._names:
            self._worker.ask("PUT", f"/connectors/{name}/pause")
        _until(lambda: self._all("PAUSED"), self._worker)
        found["rss_paused"] = self._worker.process.rss_mb()
        self._worker.process.stop()
        # What counts is a worker that has found them paused, not what is left of their running.
        self._worker.start()
        _until(lambda: self._worker.ask("GET", "/health") is not None and self._all("PAUSED"), self._worker)
        found["rss_restarted"] = self._worker.process.rss_mb()
        return found

    @property
    def _names(self) -> list[str]:
        return [f"{self._made.unique}-{number:03}" for number in range(self._count)]

    def _deploy(self) -> float:
        folder, topic = self._made.folder / "many", self._made.topic("many", 1)
        folder.mkdir()
        config = {"connector.class": "benchmarks.memory_plugins.MemorySource", "records": "100000000", "rate": "10"}
        for name in self._names:
            text = json.dumps({"name": name, "config": {**config, "topic": topic, **_BYTES}})
            (folder / f"{name}.json").write_text(text)
        command = [str(Path(sys.executable).with_name("connectors")), "deploy", str(folder), "--wait"]
        began = time.monotonic()
        subprocess.run(command, env=os.environ | {"CONNECTORS_URL": self._url}, check=True, stdout=subprocess.DEVNULL)
        spent = time.monotonic() - began
        _until(lambda: self._all("RUNNING"), self._worker)
        return spent

    @property
    def _url(self) -> str:
        return f"http://127.0.0.1:{self._worker.port}"

    def _all(self, state: str) -> bool:
        found = self._worker.ask("GET", "/connectors?expand=status") or {}
        tasks = [task for each in found.values() for task in each["status"]["tasks"]]
        return len(tasks) == self._count and all(task["state"] == state for task in tasks)

    def _status(self) -> float:
        began = time.perf_counter()
        with urllib.request.urlopen(f"{self._url}/connectors?expand=status", timeout=30) as answer:
            assert len(json.loads(answer.read())) == self._count
        return time.perf_counter() - began

    async def _latency(self) -> tuple[float, float]:
        """Return p50 and p99 in ms while all tasks run."""
        names = self._names
        paths = ["/connectors", "/health", *(f"/connectors/{name}/status" for name in names[:40])]
        paths += [f"/connectors/{name}" for name in names[:40]]
        taken: list[float] = []
        async with ClientSession(self._url) as session:

            async def ask(path: str, due: float) -> None:
                async with session.get(path) as answer:
                    await answer.read()
                    assert answer.status == 200
                taken.append(time.perf_counter() - due)

            began, asking = time.perf_counter(), []
            for number in range(_REST_S * _REST_RATE):
                due = began + number / _REST_RATE
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                asking.append(asyncio.ensure_future(ask(paths[number % len(paths)], due)))
            await asyncio.gather(*asking)
        taken.sort()
        return taken[len(taken) // 2] * 1000, taken[int(len(taken) * 0.99)] * 1000


def _report(figures: dict[str, float], load: float) -> None:
    rate = "records/s"
    rows = [
        ("source to Kafka", f"{figures['source']:,.0f} {rate}"),
        ("source to Kafka, three transforms", f"{figures['source_transforms']:,.0f} {rate}"),
        ("Kafka to sink", f"{figures['sink']:,.0f} {rate}"),
        ("Kafka to sink, three transforms", f"{figures['sink_transforms']:,.0f} {rate}"),
        ("overhead of a source record (CPU)", f"{figures['source_overhead_us']:.1f} µs"),
        ("overhead of a sink record (CPU)", f"{figures['sink_overhead_us']:.1f} µs"),
        ("all connectors deployed and running", f"{figures['deploy_s']:.1f} s"),
        ("status of all connectors", f"{figures['status_s'] * 1000:.0f} ms"),
        ("REST, p50 and p99 at 100/s", f"{figures['rest_p50_ms']:.1f}, {figures['rest_p99_ms']:.1f} ms"),
        ("memory, all paused after running", f"{figures['rss_paused']:.0f} MB"),
        ("memory, started with all paused", f"{figures['rss_restarted']:.0f} MB"),
        ("memory at full speed", f"{figures['rss_fast']:.0f} MB"),
    ]
    result: dict[str, Any] = {
        "source_records_per_s": round(figures["source"]),
        "sink_records_per_s": round(figures["sink"]),
        "source_transforms_records_per_s": round(figures["source_transforms"]),
        "sink_transforms_records_per_s": round(figures["sink_transforms"]),
        "overhead_us_per_record": round(max(figures["source_overhead_us"], figures["sink_overhead_us"]), 2),
        "source_overhead_us_per_record": round(figures["source_overhead_us"], 2),
        "sink_overhead_us_per_record": round(figures["sink_overhead_us"], 2),
        "rest_p99_ms": round(figures["rest_p99_ms"], 1),
        "deploy_200_s": round(figures["deploy_s"], 1),
        "status_200_s": round(figures["status_s"], 3),
        "rss_mb": {name: round(figures[f"rss_{name}"]) for name in ("fast", "paused", "restarted")},
    }
    report(rows, result, load)


if __name__ == "__main__":
    sys.exit(main())
