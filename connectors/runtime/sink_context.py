"""What a sink task may ask of its runner; requests are kept here until the runner takes them between two steps."""

from __future__ import annotations

import threading

from connectors.api.record import TopicPartition
from connectors.runtime.dead_letters import DeadLetters
from connectors.runtime.metrics import TableSeries
from connectors.runtime.task import TaskSpec

__all__ = ["SinkContext"]


class SinkContext:
    """Implements `connectors.api.sink.SinkTaskContext`; may be used from any thread."""

    def __init__(self, spec: TaskSpec, letters: DeadLetters) -> None:
        self.connector = spec.task_id.connector
        self.errant_record_reporter = letters
        self.commit_requested = False
        self.assigned: set[TopicPartition] = set()
        self._props = spec.plugin_props
        self._task = spec.task_id.number
        self._tables: dict[str, TableSeries] = {}
        self._lock = threading.Lock()
        self._rewinds: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._resumed: set[TopicPartition] = set()
        self._timeout_s = 0.0

    def table_metrics(self, table: str) -> TableSeries:
        """Return the series of a table of the target."""
        with self._lock:
            if table not in self._tables:
                self._tables[table] = TableSeries(self.connector, self._task, table)
            return self._tables[table]

    def configs(self) -> dict[str, str]:
        """Return the task's configuration."""
        return dict(self._props)

    def assignment(self) -> set[TopicPartition]:
        """Return the partitions that the task has now."""
        return set(self.assigned)

    def offset(self, partition: TopicPartition, offset: int) -> None:
        """Have the partition read again from `offset`."""
        with self._lock:
            self._rewinds[partition] = offset

    def timeout(self, timeout_ms: int) -> None:
        """Wait this long before the same batch is put again."""
        self._timeout_s = timeout_ms / 1000

    def pause(self, *partitions: TopicPartition) -> None:
        """Deliver nothing of these partitions until `resume`."""
        with self._lock:
            self._paused.update(partitions)
            self._resumed.difference_update(partitions)

    def resume(self, *partitions: TopicPartition) -> None:
        """Deliver these partitions again."""
        with self._lock:
            self._resumed.update(partitions)
            self._paused.difference_update(partitions)

    def request_commit(self) -> None:
        """Ask for a commit after this batch."""
        self.commit_requested = True

    def take_rewinds(self) -> dict[TopicPartition, int]:
        """Return the rewinds asked for since the last call."""
        with self._lock:
            taken, self._rewinds = self._rewinds, {}
        return taken

    def take_pauses(self) -> tuple[set[TopicPartition], set[TopicPartition]]:
        """Return the partitions to pause and to resume since the last call."""
        with self._lock:
            taken = self._paused, self._resumed
            self._paused, self._resumed = set(), set()
        return taken

    def take_timeout_s(self) -> float:
        """Return the wait asked for before the next try, once."""
        taken, self._timeout_s = self._timeout_s, 0.0
        return taken
