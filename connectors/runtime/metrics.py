"""Prometheus series of the worker; names follow Kafka Connect's metrics."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["REGISTRY", "TaskMetrics"]

REGISTRY = CollectorRegistry()
_LABELS = ("connector", "task")

_READ = Counter("connect_sink_record_read_total", "Records read from Kafka.", _LABELS, registry=REGISTRY)
_SENT = Counter("connect_sink_record_send_total", "Records put to the target.", _LABELS, registry=REGISTRY)
_POLLED = Counter("connect_source_record_poll_total", "Records polled from the source.", _LABELS, registry=REGISTRY)
_WRITTEN = Counter("connect_source_record_write_total", "Records acked by Kafka.", _LABELS, registry=REGISTRY)
_ERRORS = Counter("connect_task_error_total_record_errors", "Bad records.", _LABELS, registry=REGISTRY)
_DEAD = Counter("connect_task_error_deadletterqueue_produce_requests", "Dead letters.", _LABELS, registry=REGISTRY)
_RETRIES = Counter("connect_task_error_total_retries", "Calls tried again.", _LABELS, registry=REGISTRY)
_PUT = Histogram("connect_sink_task_put_batch_seconds", "Time of one put.", _LABELS, registry=REGISTRY)
_LAG = Gauge("connect_sink_record_lag", "Records in Kafka that were not put yet.", _LABELS, registry=REGISTRY)
_STATE = Gauge("connect_task_status", "1 for the present state.", (*_LABELS, "state"), registry=REGISTRY)


class TaskMetrics:
    """The series of one task."""

    def __init__(self, connector: str, task: int) -> None:
        labels = (connector, str(task))
        self._labels = labels
        self.read = _READ.labels(*labels)
        self.sent = _SENT.labels(*labels)
        self.polled = _POLLED.labels(*labels)
        self.written = _WRITTEN.labels(*labels)
        self.errors = _ERRORS.labels(*labels)
        self.dead_letters = _DEAD.labels(*labels)
        self.retries = _RETRIES.labels(*labels)
        self.put = _PUT.labels(*labels)
        self.lag = _LAG.labels(*labels)
        self._shown: str | None = None

    def state(self, state: str) -> None:
        """Show a state, and no other."""
        if self._shown is not None:
            _STATE.labels(*self._labels, self._shown).set(0)
        _STATE.labels(*self._labels, state).set(1)
        self._shown = state
