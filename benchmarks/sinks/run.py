"""One run of a sink: a worker process of its own reads a filled topic from its beginning."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.measure import Bench, ConnectWorker

__all__ = ["Part", "SinkRun", "run_sink", "say"]

_SENT: Final = "connect_sink_record_send_total"
_WINDOW_S: Final = 2.0
_STEPS: Final = 10


@dataclass(slots=True)
class Part:
    """What one sink's benchmark has to tell.

    Attributes:
        lines: Figure and value, for the table.
        result: Keys of the JSON object.
        rss_mb: Name of a worker to its most resident memory.
    """

    lines: list[tuple[str, str]] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)
    rss_mb: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class SinkRun:
    """What one run showed.

    Attributes:
        whole: Rows per second from the start of the process to the last row stored.
        rate: Rows per second from the first rows stored, or from the end of the warm-up, to the last.
        hot: Rows per second in the best two seconds.
        cpu_us: CPU of the worker, all threads, microseconds per row, between the first rows stored and the last.
        rss_mb: Most resident memory.
        memory_mb: Resident memory at each tenth of the rows.
        series: The worker's metrics at the end: name and labels to value.
    """

    whole: float
    rate: float
    hot: float
    cpu_us: float
    rss_mb: float
    memory_mb: list[int]
    series: dict[tuple[str, tuple[tuple[str, str], ...]], float]

    @property
    def text(self) -> str:
        """The figures in one line."""
        return (
            f"{self.rate:,.0f} rows/s (best 2 s {self.hot:,.0f}, with start {self.whole:,.0f}), "
            f"{self.cpu_us:.0f} µs CPU a row, {self.rss_mb:.0f} MB, request p99 {self.p99_ms:.0f} ms"
        )

    @property
    def p99_ms(self) -> float:
        """Time within which 99 of 100 requests to the target were answered, by the worker's histogram."""
        counts: dict[float, float] = {}
        for (name, labels), value in self.series.items():
            if name == "connect_sink_table_request_seconds_bucket":
                bound = float(dict(labels)["le"])
                counts[bound] = counts.get(bound, 0.0) + value
        bounds = sorted(counts)
        if not bounds:
            return float("nan")
        wanted, low, below = 0.99 * counts[bounds[-1]], 0.0, 0.0
        for bound in bounds:
            if counts[bound] >= wanted:
                share = (wanted - below) / ((counts[bound] - below) or 1.0)
                return 1000 * (low if bound == float("inf") else low + share * (bound - low))
            low, below = bound, counts[bound]
        return 1000 * low


def run_sink(
    made: Bench,
    label: str,
    config: Mapping[str, str],
    rows: int,
    *,
    check: Callable[[], None] | None = None,
    limit_s: float = 300.0,
    warm: int = 0,
) -> SinkRun:
    """Start a worker with one connector and watch it until all rows are stored.

    Args:
        made: The benchmark.
        label: Name of the run, for the connector.
        config: The connector's configuration.
        rows: Rows in its topic.
        check: Called at the end; raises where the target does not hold what it should.
        limit_s: Gives up after this time, in seconds.
        warm: Rows at the beginning that do not count.

    Raises:
        TimeoutError: The rows were not stored in time.
    """
    began = time.monotonic()
    name = f"{made.unique}-{label.replace(' ', '-')}"
    worker = ConnectWorker(made, {"CONNECTORS_CLUSTER": name})
    try:
        worker.deploy(name, config)
        run = _follow(worker, name, rows, began, limit_s, warm)
    finally:
        worker.process.stop()
    if check is not None:
        check()
    return run


def _follow(worker: ConnectWorker, name: str, rows: int, began: float, limit_s: float, warm: int) -> SinkRun:
    seen: list[tuple[float, float, float]] = []  # time, rows, CPU seconds
    memory: list[int] = []
    peak = 0.0
    while True:
        worker.process.check()
        series = worker.metrics()
        now, cpu = time.monotonic(), worker.process.cpu_s()
        count = sum(v for (key, labels), v in series.items() if key == _SENT and ("connector", name) in labels)
        peak = max(peak, worker.process.rss_mb())
        if count and (not seen or count > seen[-1][1]):
            seen.append((now, count, cpu))
        while len(memory) < _STEPS and count >= rows * (len(memory) + 1) / _STEPS:
            memory.append(round(worker.process.rss_mb()))
        if count >= rows:
            break
        if now - began > limit_s:
            raise TimeoutError(f"{name}: {count:.0f} of {rows} rows\n{worker.process.log.read_text()[-3000:]}")
        time.sleep(0.25)
    first, last = next(each for each in seen if each[1] >= warm), seen[-1]
    if last[1] == first[1]:
        raise RuntimeError(f"{rows} rows are too few to measure")
    stored = last[1] - first[1]
    rate, cpu_us = stored / (last[0] - first[0]), (last[2] - first[2]) / stored * 1e6
    return SinkRun(rows / (last[0] - began), rate, _best(seen, rate), cpu_us, peak, memory, series)


def _best(seen: list[tuple[float, float, float]], rate: float) -> float:
    """Return the rate of the best window of two seconds; `rate` where the whole run is shorter."""
    best = rate
    for index, (begin, before, _) in enumerate(seen):
        later = next(((at, n) for at, n, _ in seen[index:] if at - begin >= _WINDOW_S), None)
        if later is None:
            break
        best = max(best, (later[1] - before) / (later[0] - begin))
    return best


def say(text: str) -> None:
    """Tell what is being measured."""
    sys.stderr.write(f"{text} ...\n")
