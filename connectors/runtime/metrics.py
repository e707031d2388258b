"""Prometheus series of the worker; names follow Kafka Connect's metrics."""

from __future__ import annotations

import threading
import time
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = ["REGISTRY", "TableSeries", "TaskMetrics", "forget", "source_gauge"]

REGISTRY = CollectorRegistry()
_LABELS = ("connector", "task")

_READ = Counter("connect_sink_record_read_total", "Records read from Kafka.", _LABELS, registry=REGISTRY)
_SENT = Counter("connect_sink_record_send_total", "Records put to the target.", _LABELS, registry=REGISTRY)
_POLLED = Counter("connect_source_record_poll_total", "Records polled from the source.", _LABELS, registry=REGISTRY)
_WRITTEN = Counter("connect_source_record_write_total", "Records acked by Kafka.", _LABELS, registry=REGISTRY)
_ERRORS = Counter("connect_task_error_total_record_errors", "Bad records.", _LABELS, registry=REGISTRY)
_SKIPPED = Counter("connect_task_error_total_records_skipped", "Those left out.", _LABELS, registry=REGISTRY)
_FAILURES = Counter("connect_task_error_total_record_failures", "Those that end the task.", _LABELS, registry=REGISTRY)
_LOGGED = Counter("connect_task_error_total_errors_logged", "Those in the log.", _LABELS, registry=REGISTRY)
_UNDELIVERED = Counter(
    "connect_task_error_deadletterqueue_produce_failures",
    "Dead letters that Kafka refused.",
    _LABELS,
    registry=REGISTRY,
)
_DEAD = Counter("connect_task_error_deadletterqueue_produce_requests", "Dead letters.", _LABELS, registry=REGISTRY)
_RETRIES = Counter("connect_task_error_total_retries", "Calls tried again.", _LABELS, registry=REGISTRY)
_PUT = Histogram("connect_sink_task_put_batch_seconds", "Time of one put.", _LABELS, registry=REGISTRY)
_LAG = Gauge("connect_sink_record_lag", "Records in Kafka that were not put yet.", _LABELS, registry=REGISTRY)
_STATE = Gauge("connect_task_status", "1 for the present state.", (*_LABELS, "state"), registry=REGISTRY)
_UNCOMMITTED = Gauge("connect_sink_record_active_count", "Put and not committed yet.", _LABELS, registry=REGISTRY)
_TRANSACTION = Histogram(
    "connect_source_task_transaction_size",
    "Records of one transaction.",
    _LABELS,
    registry=REGISTRY,
    buckets=(1, 10, 100, 1000, 10_000, 100_000, 1_000_000),
)
_READ_BYTES = Counter("connect_sink_record_read_bytes_total", "Bytes of values read.", _LABELS, registry=REGISTRY)
_WRITE_BYTES = Counter("connect_source_record_write_bytes_total", "Bytes of values sent.", _LABELS, registry=REGISTRY)
_POLL = Histogram("connect_source_task_poll_batch_seconds", "Time of one poll.", _LABELS, registry=REGISTRY)
_ACTIVE = Gauge("connect_source_record_active_count", "Polled and not acked yet.", _LABELS, registry=REGISTRY)
_PARTITIONS = Gauge("connect_sink_partition_count", "Partitions assigned.", _LABELS, registry=REGISTRY)
_COMMITTED = Counter("connect_task_offset_commit_success_total", "Commits of offsets.", _LABELS, registry=REGISTRY)
_COMMIT = Histogram("connect_task_offset_commit_seconds", "Time of one commit.", _LABELS, registry=REGISTRY)
_NOT_COMMITTED = Counter("connect_task_offset_commit_failure_total", "Failed ones.", _LABELS, registry=REGISTRY)
_LAST_ERROR = Gauge(
    "connect_task_error_last_error_timestamp", "Of the last bad record, seconds since 1970.", _LABELS, registry=REGISTRY
)
_STARTS = Counter("connect_task_startup_attempts_total", "Starts of the task here.", _LABELS, registry=REGISTRY)
_FAILED = Counter("connect_task_startup_failure_total", "Starts that failed.", _LABELS, registry=REGISTRY)
_RATIO_OF = {
    "RUNNING": Gauge("connect_task_running_ratio", "Part of its time that the task ran.", _LABELS, registry=REGISTRY),
    "PAUSED": Gauge("connect_task_pause_ratio", "Part of its time that it was paused.", _LABELS, registry=REGISTRY),
}
_OF_TASKS = (
    _READ, _SENT, _POLLED, _WRITTEN, _ERRORS, _DEAD, _RETRIES, _PUT, _LAG, _STATE, _READ_BYTES, _WRITE_BYTES, _POLL,
    _ACTIVE, _PARTITIONS, _COMMITTED, _COMMIT, _NOT_COMMITTED, _LAST_ERROR, _STARTS, _FAILED, *_RATIO_OF.values(),
    _SKIPPED, _FAILURES, _LOGGED, _UNDELIVERED, _UNCOMMITTED, _TRANSACTION,
)  # fmt: skip

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
_OF_TABLES = (_ROWS, _AGAIN, _REFUSED, _ANSWER, _AGE)


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


class _Errors:
    """Counts bad records and what became of them, and remembers when the last one came."""

    def __init__(self, labels: tuple[str, str]) -> None:
        self._count = _ERRORS.labels(*labels)
        self._last = _LAST_ERROR.labels(*labels)
        self.skipped = _SKIPPED.labels(*labels).inc
        self.failed = _FAILURES.labels(*labels).inc
        self.logged = _LOGGED.labels(*labels).inc
        self.undelivered = _UNDELIVERED.labels(*labels).inc

    def inc(self, amount: float = 1) -> None:
        """Count."""
        self._count.inc(amount)
        self._last.set_to_current_time()


class _Times:
    """How long a task was in each state."""

    def __init__(self) -> None:
        self._begun = self._since = time.monotonic()
        self._state = ""
        self._spent: dict[str, float] = {}

    def enter(self, state: str) -> None:
        """Begin with a state."""
        now = time.monotonic()
        self._spent[self._state] = self._spent.get(self._state, 0.0) + now - self._since
        self._state, self._since = state, now

    def ratio(self, state: str) -> float:
        """Return the part of the time, 0 to 1, that was spent in a state."""
        now = time.monotonic()
        spent = self._spent.get(state, 0.0) + (now - self._since if state == self._state else 0.0)
        return spent / (now - self._begun) if now > self._begun else 0.0


class TaskMetrics:
    """The series of one task."""

    def __init__(self, connector: str, task: int) -> None:
        labels = (connector, str(task))
        self._labels = labels
        self.read = _READ.labels(*labels)
        self.read_bytes = _READ_BYTES.labels(*labels)
        self.sent = _SENT.labels(*labels)
        self.polled = _POLLED.labels(*labels)
        self.poll = _POLL.labels(*labels)
        self.written = _WRITTEN.labels(*labels)
        self.write_bytes = _WRITE_BYTES.labels(*labels)
        self.active = _ACTIVE.labels(*labels)
        self.errors = _Errors(labels)
        self.dead_letters = _DEAD.labels(*labels)
        self.retries = _RETRIES.labels(*labels)
        self.uncommitted = _UNCOMMITTED.labels(*labels)
        self.transaction = _TRANSACTION.labels(*labels)
        self.put = _PUT.labels(*labels)
        self.lag = _LAG.labels(*labels)
        self.partitions = _PARTITIONS.labels(*labels)
        self.committed = _COMMITTED.labels(*labels)
        self.commit = _COMMIT.labels(*labels)
        self.not_committed = _NOT_COMMITTED.labels(*labels)
        self.starts = _STARTS.labels(*labels)
        self.failed_starts = _FAILED.labels(*labels)
        self._times = _Times()
        for state, gauge in _RATIO_OF.items():
            gauge.labels(*labels).set_function(partial(self._times.ratio, state))

    def state(self, state: str) -> None:
        """Show a state, and no other."""
        self._times.enter(state)
        connector, task = self._labels
        _STATE.remove_by_labels({"connector": connector, "task": task})
        _STATE.labels(*self._labels, state).set(1)


def forget(connector: str, task: int) -> None:
    """Remove the series of a task that this worker does not run any more."""
    for metric in (*_OF_TASKS, *_OF_TABLES, *list(_FIGURES.values())):
        metric.remove_by_labels({"connector": connector, "task": str(task)})
