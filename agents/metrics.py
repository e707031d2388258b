"""The enrich worker's figures for Prometheus, read from the stages when somebody asks.

Nothing here runs for a record: stages and operators keep plain numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from agents.async_io.figures import BOUNDS_S
from agents.stage import Stage

__all__ = ["CONTENT_TYPE", "StageCollector", "exposition"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4"

_GAUGES: Final[dict[str, tuple[str, Callable[[Stage], float | None]]]] = {
    "enrich_in_flight": (
        "Records in the stage: their calls run, or their results wait for their turn.",
        lambda stage: stage.operator.size,
    ),
    "enrich_capacity": ("Records that may be in the stage.", lambda stage: stage.operator.capacity),
    "enrich_blocked": (
        "Records that were read and wait for room in the stage.",
        lambda stage: sum(len(part.inbox) + len(part.pending) for part in stage.partitions.values()),
    ),
    "enrich_partitions": ("Partitions that this worker has.", lambda stage: len(stage.partitions)),
    "enrich_pending": (
        "Requests without delivered outputs, whether they have a row in the pending table or not.",
        lambda stage: sum(len(part.ledger) for part in stage.partitions.values()),
    ),
    "enrich_checkpoint_seconds": ("Time that the last checkpoint took.", lambda stage: stage.checkpoints.last_s),
    "enrich_checkpoint_rows": (
        "Rows of the pending table that the last checkpoint wrote.",
        lambda stage: stage.checkpoints.last_rows,
    ),
    "enrich_watermark_lag_seconds": (
        "Wall-clock time less the stage's watermark; absent before there is one.",
        lambda stage: _lag_s(stage),
    ),
}
_COUNTERS: Final[dict[str, tuple[str, Callable[[Stage], float]]]] = {
    "enrich_completed": ("Requests that ended with results.", lambda stage: stage.operator.figures.completed),
    "enrich_failed": (
        "Requests that ended with an error, those whose time was up included.",
        lambda stage: stage.operator.figures.failed,
    ),
    "enrich_timed_out": ("Requests whose time was up.", lambda stage: stage.operator.figures.timed_out),
    "enrich_retries": ("Calls after the first of a request.", lambda stage: stage.operator.figures.retries),
    "enrich_dead_letters": ("Records sent to the dead-letter topic.", lambda stage: stage.outputs.dead_letters),
    "enrich_cache_hits": ("Look-ups answered by a cache.", lambda stage: _cached(stage, "hits")),
    "enrich_cache_misses": ("Look-ups that a cache could not answer.", lambda stage: _cached(stage, "misses")),
    "enrich_checkpoints": ("Checkpoints that ended.", lambda stage: stage.checkpoints.count),
    "enrich_pending_rows_written": ("Rows written into the pending table.", lambda stage: stage.rows_written),
}


class StageCollector(Collector):
    """Reads the stages of a worker.

    Args:
        stages: Returns those that run now.
    """

    def __init__(self, stages: Callable[[], Iterable[Stage]]) -> None:
        self._stages = stages

    def collect(self) -> Iterator[Any]:
        """Yield all families; each has the label `stage`."""
        stages = list(self._stages())
        for name, (doc, read) in _GAUGES.items():
            gauge = GaugeMetricFamily(name, doc, labels=["stage"])
            for stage in stages:
                value = read(stage)
                if value is not None:
                    gauge.add_metric([stage.config.name], value)
            yield gauge
        for name, (doc, count) in _COUNTERS.items():
            counter = CounterMetricFamily(name, doc, labels=["stage"])
            for stage in stages:
                counter.add_metric([stage.config.name], count(stage))
            yield counter
        yield self._latency(stages)

    def _latency(self, stages: Iterable[Stage]) -> HistogramMetricFamily:
        doc = "Time from the last call's start to the end of the request."
        histogram = HistogramMetricFamily("enrich_lookup_seconds", doc, labels=["stage"])
        for stage in stages:
            figures, total, buckets = stage.operator.figures, 0, []
            for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), figures.buckets, strict=True):
                total += count
                buckets.append((bound, total))
            histogram.add_metric([stage.config.name], buckets, figures.latency_s)
        return histogram


def exposition(stages: Callable[[], Iterable[Stage]]) -> bytes:
    """Return the figures in Prometheus' text format, with those of the process and of the user's own functions."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(StageCollector(stages))
    return generate_latest(registry) + generate_latest(REGISTRY)


def _lag_s(stage: Stage) -> float | None:
    watermark = None if stage.time is None else stage.time.watermark_us
    return None if watermark is None else max(time.time() - watermark / 1e6, 0.0)


def _cached(stage: Stage, which: str) -> int:
    return sum(getattr(cache, which) for cache in stage.caches)
