"""Filter: drops records."""

from __future__ import annotations

from typing import TypeVar

from connectors.api.record import SinkRecord, SourceRecord
from connectors.transforms.base import NamedTransform, is_heartbeat

__all__ = ["Filter"]

R = TypeVar("R", SourceRecord, SinkRecord)


class Filter(NamedTransform):
    """Drops every record that it is applied to; a predicate chooses them.

    Source: org.apache.kafka.connect.transforms.Filter.
    """

    def apply(self, record: R) -> R | None:
        """Drop the record; a heartbeat goes on, since it carries the offset of the source."""
        return record if is_heartbeat(record) else None
