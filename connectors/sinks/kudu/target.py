"""One topic's way into one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from connectors.api.errors import ConfigError, DataError, FatalError, RetriableError
from connectors.api.record import SinkRecord
from connectors.clients.kudu.port import FailureKind, KuduClient, RowFailure, Table
from connectors.formats.canal import RowChange
from connectors.formats.temporal import TimestampParser
from connectors.sinks.kudu.mapper import RowMapper, mapping_errors
from connectors.sinks.kudu.options import TableOptions
from connectors.sinks.kudu.writes import Write, collapse

__all__ = ["Batch", "Refused", "Target"]

Refused = dict[int, tuple[SinkRecord, DataError]]
"""Records that cannot be stored and why, by the records' identity: a record is refused once, whatever its rows."""


@dataclass(slots=True)
class Batch:
    """Changes of one target that are written together.

    Attributes:
        mapper: What made the writes; another one than the target's where the table changed since.
        changes: The changes, in order of arrival.
        writes: What they come to.
        refused: Those that cannot be stored.
    """

    mapper: RowMapper
    changes: list[tuple[SinkRecord, RowChange]]
    writes: list[Write] = field(default_factory=list)
    refused: Refused = field(default_factory=dict)

    def map(self) -> Batch:
        """Make the writes from the changes. A change that does not fit leaves the others alone."""
        self.writes = []
        for record, change in self.changes:
            try:
                self.writes += self.mapper.writes(record, change)
            except DataError as error:
                self.refuse(record, error)
        self.writes = collapse(self.writes)
        return self

    def refuse(self, record: SinkRecord, error: DataError) -> None:
        """Note why a record cannot be stored; the first reason stays."""
        self.refused.setdefault(id(record), (record, error))


class Target:
    """Writes the changes of a topic into a table, and looks at the table again when it changed.

    Its methods block; those that reach Kudu are called from the thread of the client.

    Args:
        client: Connection.
        options: Topic, table, mapping, mode.
        parser: Reads times.
        table: The table, open.
    """

    def __init__(self, client: KuduClient, options: TableOptions, parser: TimestampParser, table: Table) -> None:
        self._client = client
        self._options = options
        self._parser = parser
        self._ignored: set[str] = set()
        self.mapper = RowMapper(table, options, parser)

    @property
    def table(self) -> str:
        """Name of the table."""
        return self._options.table

    def unknown_fields(self, changes: Sequence[tuple[SinkRecord, RowChange]]) -> set[str]:
        """Return fields without a column for which the table has not been looked at yet."""
        unknown: set[str] = set()
        for _, change in changes:
            unknown |= self.mapper.unknown_fields(change.row)
        return unknown - self._ignored

    def learn(self, fields: set[str]) -> None:
        """Look whether the table has columns for new fields by now; leave the others out from now on."""
        self.refresh()
        self._ignored |= fields

    def refresh(self) -> None:
        """Take the table as it is now.

        Raises:
            FatalError: The table is gone, or the mapping does not fit it any more.
            RetriableError: The masters do not answer.
        """
        try:
            table = self._client.reopen(self.mapper.table)
        except ConfigError as error:
            raise FatalError(str(error)) from None
        errors = mapping_errors(table, self._options)
        if errors:
            raise FatalError("\n".join(errors))
        self.mapper = RowMapper(table, self._options, self._parser)

    def batch(self, changes: list[tuple[SinkRecord, RowChange]]) -> Batch:
        """Map changes."""
        return Batch(self.mapper, changes).map()

    def write(self, batch: Batch) -> Refused:
        """Store a batch; when this returns, it is durable.

        Returns:
            The records that cannot be stored, none of which hurt the others.

        Raises:
            RetriableError: Some rows may not be stored; the whole batch may be written again.
            FatalError: Access is refused, or the table is gone.
        """
        if batch.mapper is not self.mapper:  # the table changed after this batch was mapped
            batch = self.batch(batch.changes)
        failures = self._client.write_batch(batch.mapper.table, batch.writes)
        if any(failure.kind in (FailureKind.SCHEMA_CHANGED, FailureKind.NOT_FOUND) for failure in failures):
            self.refresh()
            batch = self.batch(batch.changes)
            failures = self._client.write_batch(batch.mapper.table, batch.writes)
        self._judge(batch, failures)
        return batch.refused

    def _judge(self, batch: Batch, failures: list[RowFailure]) -> None:
        for failure in failures:
            what = f"table {self.table}: {len(failures)} of {len(batch.writes)} rows failed: {failure.text}"
            if failure.kind in _RETRIABLE:
                raise RetriableError(what)
            if failure.kind in (FailureKind.NOT_AUTHORIZED, FailureKind.FATAL):
                raise FatalError(what)
        for failure in failures:
            for record in batch.writes[failure.index].records:
                batch.refuse(record, DataError(f"table {self.table}: {failure.text}"))


_RETRIABLE = frozenset(
    # The last two: it changed again between the second look and the write.
    {FailureKind.TIMEOUT, FailureKind.UNAVAILABLE, FailureKind.SCHEMA_CHANGED, FailureKind.NOT_FOUND}
)
