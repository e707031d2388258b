"""What a source task may ask of its runner."""

from __future__ import annotations

import threading
from typing import Any, Literal

from connectors.api.record import SourceRecord
from connectors.runtime.metrics import source_gauge
from connectors.runtime.task import TaskSpec

__all__ = ["Pairs", "SourceContext", "StoredOffsets", "Transactions"]

Ending = Literal["commit", "abort"]
Pairs = list[tuple[dict[str, Any], dict[str, Any]]]


class StoredOffsets:
    """The offsets that the cluster's memory held when the task started."""

    def __init__(self, pairs: Pairs) -> None:
        self._pairs = pairs

    def offset(self, partition: Any) -> dict[str, Any] | None:
        """Return the stored offset of a source partition, or None."""
        wanted = dict(partition)
        return next((dict(offset) for known, offset in self._pairs if known == wanted), None)

    def offsets(self) -> Pairs:
        """Return all pairs."""
        return list(self._pairs)


class Transactions:
    """Implements `connectors.api.source.TransactionContext`; requests are kept until the runner takes them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._batch: Ending | None = None
        self._records: dict[int, Ending] = {}

    def commit_transaction(self, record: SourceRecord | None = None) -> None:
        """Commit after the next batch, or after this record of it."""
        self._ask("commit", record)

    def abort_transaction(self, record: SourceRecord | None = None) -> None:
        """Drop the transaction's records after the next batch, or up to and with this record of it."""
        self._ask("abort", record)

    def take(self, records: list[SourceRecord]) -> list[tuple[list[SourceRecord], Ending | None]]:
        """Cut a batch where transactions end; each part with how its transaction ends, None: it goes on."""
        with self._lock:
            whole, self._batch = self._batch, None
            marked, self._records = self._records, {}
        parts: list[tuple[list[SourceRecord], Ending | None]] = []
        begun = 0
        for number, record in enumerate(records):
            ending = marked.get(id(record))
            if ending is not None:
                parts.append((records[begun : number + 1], ending))
                begun = number + 1
        if whole is not None or begun < len(records):
            parts.append((records[begun:], whole))
        return parts

    def _ask(self, ending: Ending, record: SourceRecord | None) -> None:
        with self._lock:
            if record is None:
                self._batch = ending
            else:
                self._records[id(record)] = ending


class SourceContext:
    """Implements `connectors.api.source.SourceTaskContext`."""

    def __init__(self, spec: TaskSpec, stored: StoredOffsets, transactions: Transactions | None = None) -> None:
        self.transaction_context = transactions
        self.connector = spec.task_id.connector
        self.offset_storage_reader = stored
        self._props = spec.plugin_props
        self._number = spec.task_id.number

    def configs(self) -> dict[str, str]:
        """Return the task's configuration."""
        return dict(self._props)

    def gauge(self, name: str, value: float) -> None:
        """Show a figure of the plugin."""
        source_gauge(self.connector, self._number, name).set(value)
