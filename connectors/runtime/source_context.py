"""What a source task may ask of its runner."""

from __future__ import annotations

from typing import Any

from connectors.runtime.task import TaskSpec

__all__ = ["Pairs", "SourceContext", "StoredOffsets"]

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


class SourceContext:
    """Implements `connectors.api.source.SourceTaskContext`."""

    def __init__(self, spec: TaskSpec, stored: StoredOffsets) -> None:
        self.connector = spec.task_id.connector
        self.offset_storage_reader = stored
        self._props = spec.plugin_props

    def configs(self) -> dict[str, str]:
        """Return the task's configuration."""
        return dict(self._props)
