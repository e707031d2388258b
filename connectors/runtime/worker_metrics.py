"""Series of the worker and its cluster, read from the memory at each scrape: also of connectors and tasks that failed.

Source: Kafka Connect's `connector-metrics`, `connect-worker-metrics` and `connect-worker-rebalance-metrics`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from connectors.runtime.herder import Herder
from connectors.runtime.state import State, TaskId

__all__ = ["WorkerCollector"]


class WorkerCollector(Collector):
    """Tells what this worker knows; connectors and tasks are those of this worker, so that a sum counts each once.

    Args:
        herder: The worker's control loop.
    """

    def __init__(self, herder: Herder) -> None:
        self._herder = herder
        self._store = herder.store

    def collect(self) -> Iterator[Metric]:
        """Make the series."""
        placement = self._store.placement()
        me = self._herder.me
        connectors = sorted(name for name, worker in placement.connectors.items() if worker == me)
        tasks = [text.rpartition("-") for text, worker in placement.tasks.items() if worker == me]
        mine = [TaskId(name, int(number)) for name, _, number in tasks]
        yield _gauge("connect_worker_connector_count", "Connectors on this worker.", len(connectors))
        yield _gauge("connect_worker_task_count", "Tasks on this worker.", len(mine))
        yield from self._connectors(connectors)
        yield self._states(mine)
        yield from self._rebalances()

    def _connectors(self, names: list[str]) -> Iterator[Metric]:
        states = GaugeMetricFamily(
            "connect_connector_status", "1 for the present state.", labels=["connector", "state"]
        )
        kinds = InfoMetricFamily("connect_connector", "What a connector is.", labels=["connector"])
        for name in names:
            status = self._store.connector_status(name)
            state = State.UNASSIGNED if status is None else status.seen_from(self._store.version(name)).state
            states.add_metric([name, state.value], 1)
            class_ = (self._store.config(name) or {}).get("connector.class", "")
            kinds.add_metric([name], {"class": class_})
        yield states
        yield kinds

    def _states(self, tasks: list[TaskId]) -> Metric:
        counts: Counter[tuple[str, str]] = Counter()
        for task in tasks:
            status = self._store.task_status(task)
            state = State.UNASSIGNED if status is None else status.seen_from(self._store.version(*task)).state
            counts[task.connector, state.value.lower()] += 1
            counts[task.connector, "total"] += 1
        family = GaugeMetricFamily(
            "connect_worker_connector_task_count", "Tasks of a connector here.", labels=["connector", "status"]
        )
        for (connector, status_), count in sorted(counts.items()):
            family.add_metric([connector, status_], count)
        return family

    def _rebalances(self) -> Iterator[Metric]:
        herder = self._herder
        yield _gauge("connect_worker_rebalance_epoch", "Number of the placement.", self._store.placement().epoch)
        yield _gauge("connect_worker_rebalance_rebalancing", "1 while out of the group.", int(not herder.ready))
        count = CounterMetricFamily("connect_worker_rebalance_completed_rebalances", "Generations of the group seen.")
        count.add_metric([], herder.rebalances)
        yield count
        yield _gauge("connect_worker_rebalance_workers", "Living workers.", len(herder.members.roles))
        leader = InfoMetricFamily("connect_worker_rebalance_leader", "The worker that places tasks.")
        leader.add_metric([], {"name": herder.members.leader})
        yield leader


def _gauge(name: str, doc: str, value: float) -> Metric:
    return GaugeMetricFamily(name, doc, value=value)
