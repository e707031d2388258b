"""Prometheus series of the worker; names follow Kafka Connect's metrics."""

from __future__ import annotations

import threading

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["REGISTRY", "TableSeries", "TaskMetrics", "source_gauge"]

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

_TABLE = (*_LABELS, "table")
_ROWS = Counter("connect_sink_table_rows_total", "Rows stored.", _TABLE, registry=REGISTRY)
_AGAIN = Counter("connect_sink_table_retried_rows_total", "Rows sent again.", _TABLE, registry=REGISTRY)
_REFUSED = Counter("connect_sink_table_dead_letters_total", "Rows set aside as bad.", _TABLE, registry=REGISTRY)
_ANSWER = Histogram(
    "connect_sink_table_request_seconds",
    "Time of one request, which may hold many rows; its count is the number of requests.",
    _TABLE,
    registry=REGISTRY,
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5, 10),
)
_AGE = Gauge(
    "connect_sink_table_lag_seconds", "From the change in the source to its storing.", _TABLE, registry=REGISTRY
)


_FIGURES: dict[str, Gauge] = {}
_FIGURES_LOCK = threading.Lock()


def source_gauge(connector: str, task: int, name: str) -> Gauge:
    """Return the series `connect_source_<name>` of a task, which its plugin sets."""
    with _FIGURES_LOCK:
        if name not in _FIGURES:
            _FIGURES[name] = Gauge(f"connect_source_{name}", "Told by the source.", _LABELS, registry=REGISTRY)
    return _FIGURES[name].labels(connector, str(task))


class TableSeries:
    """The series of one table of one task; implements `connectors.api.sink.TableMetrics`."""

    def __init__(self, connector: str, task: int, table: str) -> None:
        labels = (connector, str(task), table)
        self._rows = _ROWS.labels(*labels)
        self._again = _AGAIN.labels(*labels)
        self._refused = _REFUSED.labels(*labels)
        self._answer = _ANSWER.labels(*labels)
        self._age = _AGE.labels(*labels)

    def stored(self, rows: int, age_s: float | None = None) -> None:
        """Count rows that became durable."""
        self._rows.inc(rows)
        if age_s is not None:
            self._age.set(max(0.0, age_s))

    def answered(self, seconds: float) -> None:
        """Count a request that was answered."""
        self._answer.observe(seconds)

    def retried(self, rows: int) -> None:
        """Count rows that are sent again."""
        self._again.inc(rows)

    def refused(self, rows: int) -> None:
        """Count rows that went to the dead letters."""
        self._refused.inc(rows)


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
