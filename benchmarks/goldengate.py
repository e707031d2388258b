"""GoldenGate's JSON from a file to `poll`, and through a worker to Kafka, with and without transactions.

    python -m benchmarks.goldengate [--records 300000] [--repeat 3]

Operations of a ten-column table in operation format, a record a line. `python -m benchmarks.source` shows them too.
With transactions a poll's records are one transaction; its markers are records of the topic as well, about 1 % of what
is counted.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import stack
from benchmarks.measure import Bench, ConnectWorker, bench, median, options, report
from connectors.sources.goldengate import GoldenGateTask
from examples.goldengate.trails import Shop, Style, Trail, write

__all__ = ["measure", "rows_of", "values_of"]


class _Context:
    """As much of the runtime as the task asks for."""

    connector = "bench"

    @property
    def offset_storage_reader(self) -> _Context:
        return self

    def offset(self, _partition: Any) -> None:
        return None


def main() -> int:
    """Run the benchmark."""
    chosen = options("Measure the GoldenGate source.", 300_000)
    load = os.getloadavg()[0]
    env = stack.up(["kafka"])
    with bench(env["KAFKA_BOOTSTRAP_SERVERS"], "goldengate") as made:
        figures = measure(made, ConnectWorker(made), chosen.records, chosen.repeat)
    report(rows_of(figures), values_of(figures), load)
    return 0


def measure(made: Bench, worker: ConnectWorker, records: int, repeat: int) -> dict[str, float]:
    """Return rates in operations per second, CPU microseconds of an operation, and the peak memory in MB.

    Args:
        made: The benchmark's topics and folder.
        worker: Runs the connectors.
        records: Operations of the trail.
        repeat: How often each figure is taken; the median counts.
    """
    folder = Path(made.folder) / "trail"
    folder.mkdir()
    trail = Trail(Style())
    write(folder, [trail.operation(*each) for each in Shop(key_updates=False).operations(records)], files=3)
    try:
        polls = [_poll(folder, records) for _ in range(repeat)]
        figures = {name: median([each[name] for each in polls]) for name in polls[0]}
        peak = 0.0
        for name, support in (("kafka", "requested"), ("exactly_once", "required")):
            runs = [_to_kafka(made, worker, folder, records, f"gg-{name}{n}", support) for n in range(repeat)]
            figures[name] = median([rate for rate, _ in runs])
            peak = max(peak, *(rss for _, rss in runs))
        return figures | {"rss_mb": peak}
    finally:
        shutil.rmtree(folder)


def rows_of(figures: dict[str, float]) -> list[tuple[str, str]]:
    """Return the table's rows."""
    return [
        ("GoldenGate JSON to poll (wall)", f"{figures['wall']:,.0f} rows/s"),
        ("GoldenGate JSON to poll (CPU)", f"{figures['cpu_us']:.1f} us/row"),
        ("GoldenGate JSON to Kafka", f"{figures['kafka']:,.0f} rows/s"),
        ("GoldenGate JSON to Kafka, exactly once", f"{figures['exactly_once']:,.0f} rows/s"),
        ("memory of the worker with GoldenGate", f"{figures['rss_mb']:.0f} MB"),
    ]


def values_of(figures: dict[str, float]) -> dict[str, Any]:
    """Return the values for the JSON line."""
    return {
        "goldengate_rows_per_s": round(figures["wall"]),
        "goldengate_us_per_row": round(figures["cpu_us"], 1),
        "goldengate_kafka_rows_per_s": round(figures["kafka"]),
        "goldengate_exactly_once_rows_per_s": round(figures["exactly_once"]),
        "goldengate_rss_mb": round(figures["rss_mb"]),
    }


def _poll(folder: Path, records: int) -> dict[str, float]:
    task = GoldenGateTask()
    task.initialize(_Context())  # type: ignore[arg-type]
    task.start({"goldengate.path": str(folder)})
    wall, cpu, count = time.perf_counter(), time.thread_time(), 0
    while count < records:
        count += len(task.poll() or ())
    cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
    task.stop()
    return {"wall": records / wall, "cpu_us": cpu / records * 1e6}


def _to_kafka(
    made: Bench, worker: ConnectWorker, folder: Path, records: int, name: str, support: str
) -> tuple[float, float]:
    topic, connector = made.topic(name), f"{made.unique}-{name}"
    config = {"connector.class": "GoldenGateSource", "goldengate.path": str(folder), "topic": topic}
    worker.deploy(connector, config | {"exactly.once.support": support})
    run = made.follow(worker.process, topic, records)
    worker.delete(connector)
    return run.rate, run.rss_mb


if __name__ == "__main__":
    sys.exit(main())
