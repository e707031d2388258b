"""The whole pipeline: rows per second into both sinks, latency, memory; every row compared.

    python -m benchmarks.pipeline [--rows 100000] [--rate 500]

The baseline in the same run is the load of MySQL alone, which nothing behind it can beat.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

import stack
from examples.pojo.latency import Latency, measure, percentile
from examples.pojo.load import load
from examples.pojo.pipeline import Pipeline, running
from examples.pojo.servers import NAMES
from examples.pojo.verify import compare_sinks

_PACED_S = 20
_FIRST_PACED = 10_000_000


def main() -> int:
    """Run the benchmark; exit code 1 where a row differs."""
    parser = argparse.ArgumentParser(description="Measure the whole pipeline.")
    parser.add_argument("--rows", type=int, default=100_000, help="rows to insert (default 100000)")
    parser.add_argument("--rate", type=float, default=500.0, help="rows/s while latency is measured (default 500)")
    options = parser.parse_args()
    logging.getLogger("cassandra").setLevel(logging.ERROR)
    env = stack.up(NAMES)
    with running(env, Path(tempfile.gettempdir(), "faust-connect-benchmark")) as pipeline:
        changes, load_s, seconds = _throughput(pipeline, options.rows)
        paced = int(options.rate * _PACED_S)
        latency = measure(pipeline.servers, paced, options.rate, first=_FIRST_PACED)
        pipeline.wait_until_done(changes + paced)
        comparison = compare_sinks(pipeline.servers)
        rss = {name: round(size / 1e6) for name, size in pipeline.workers.peak_rss().items()}
    _report(options.rows, changes, load_s, seconds, latency, rss, comparison.total)
    return 1 if comparison.total else 0


def _throughput(pipeline: Pipeline, rows: int) -> tuple[int, float, float]:
    started = time.monotonic()
    with pipeline.servers.mysql() as connection:
        changes = load(connection, rows)
    load_s = time.monotonic() - started

    def look(_counts: dict[str, int]) -> None:
        pipeline.workers.rss()

    pipeline.wait_until_done(changes, seen=look)
    return changes, load_s, time.monotonic() - started


def _report(
    rows: int, changes: int, load_s: float, seconds: float, latency: Latency, rss: dict[str, int], differences: int
) -> None:
    table = Table("figure", "value")
    table.add_row("rows (row changes)", f"{rows:,} ({changes:,})")
    table.add_row("baseline: MySQL load alone", f"{load_s:.1f} s, {changes / load_s:,.0f} changes/s")
    table.add_row("MySQL to both sinks", f"{seconds:.1f} s, {changes / seconds:,.0f} changes/s")
    for sink, values in latency.seconds.items():
        p50, p99 = percentile(values, 0.5) * 1000, percentile(values, 0.99) * 1000
        table.add_row(f"latency to {sink} at {latency.rate:.0f} rows/s", f"p50 {p50:.0f} ms, p99 {p99:.0f} ms")
    for name, size in rss.items():
        table.add_row(f"memory of {name}", f"{size} MB")
    table.add_row("differing values", str(differences))
    Console().print(table)
    slowest = max(latency.seconds.values(), key=lambda values: percentile(values, 0.99))
    result = {
        "rows": rows,
        "seconds": round(seconds, 1),
        "rows_per_s": round(rows / seconds),
        "latency_p50_ms": round(percentile(slowest, 0.5) * 1000),
        "latency_p99_ms": round(percentile(slowest, 0.99) * 1000),
        "rss_mb": rss,
        "baseline_load_s": round(load_s, 1),
        "differences": differences,
    }
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    sys.exit(main())
