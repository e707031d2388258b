"""One topic's way into one table."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from connectors.api.errors import ConfigError, DataError, FatalError, RetriableError
from connectors.api.record import SinkRecord, TopicPartition
from connectors.api.sink import TableMetrics
from connectors.clients.kudu.port import ColumnSpec, FailureKind, KuduClient, RowFailure, Table
from connectors.clients.kudu.settings import ExistsError, MissingTableError
from connectors.formats.canal import RowChange
from connectors.formats.temporal import TimestampParser
from connectors.sinks.kudu.creation import column_for, columns_for, layout_for
from connectors.sinks.kudu.mapper import RowMapper, mapping_errors
from connectors.sinks.kudu.options import SinkOptions, TableOptions
from connectors.sinks.kudu.values import converter_for
from connectors.sinks.kudu.writes import Write, collapse

__all__ = ["Batch", "Changes", "Refusal", "Refused", "Target"]

log = logging.getLogger(__name__)

SETTLE_S = 0.5
"""Pause after rows that were sent again, in seconds.

A write that timed out may still lie with the server, which carries it out when it comes to. It gets the time for that
before newer rows follow, or it could set a row back. Kudu does not tell when it has.
"""

Changes = list[tuple[SinkRecord, RowChange]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that cannot be stored.

    Attributes:
        record: The record.
        error: Why.
        metrics: Series of the table that it was for; None where it came to no table.
    """

    record: SinkRecord
    error: DataError
    metrics: TableMetrics | None = None


Refused = dict[int, Refusal]
"""Refusals by the records' identity: a record is refused once, whatever its rows."""


@dataclass(slots=True)
class Batch:
    """Changes of one target that are written together.

    Attributes:
        mapper: What made the writes; another one than the target's where the table changed since, None where there is
            no table.
        changes: The changes, in order of arrival.
        metrics: Series of the table.
        writes: What they come to.
        refused: Those that cannot be stored.
    """

    mapper: RowMapper | None
    changes: Changes
    metrics: TableMetrics
    writes: list[Write] = field(default_factory=list)
    refused: Refused = field(default_factory=dict)

    def map(self, mapper: RowMapper) -> Batch:
        """Make the writes from the changes. A change that does not fit leaves the others alone."""
        writes: list[Write] = []
        for record, change in self.changes:
            try:
                writes += mapper.writes(record, change)
            except DataError as error:
                self.refuse(record, error)
        self.writes = collapse(writes)
        return self

    def refuse(self, record: SinkRecord, error: DataError) -> None:
        """Note why a record cannot be stored; the first reason stays."""
        self.refused.setdefault(id(record), Refusal(record, error, self.metrics))

    def forget(self, partitions: Collection[TopicPartition]) -> None:
        """Leave out the records of partitions; the rest is mapped anew when it is written again."""
        self.changes = [each for each in self.changes if each[0].topic_partition not in partitions]
        self.mapper = None

    @property
    def age_s(self) -> float | None:
        """Seconds since the newest of the changes; None where they do not tell."""
        newest = max((change.ts_us or 0 for _, change in self.changes), default=0)
        return time.time() - newest / 1e6 if newest else None


class Target:
    """Writes the changes of a topic into a table, and looks at the table again when it changed.

    Its methods block; those that reach Kudu are called from the thread of the client.

    Args:
        client: Connection.
        options: Topic, table, mapping, mode.
        sink: What counts for all tables.
        metrics: Series of the table.
    """

    def __init__(self, client: KuduClient, options: TableOptions, sink: SinkOptions, metrics: TableMetrics) -> None:
        self._client = client
        self._options = options
        self._sink = sink
        self._metrics = metrics
        self._parser = TimestampParser(sink.zone)
        self._ignored: set[str] = set()
        self._timed_out = False
        self._looked = time.monotonic()
        self.mapper: RowMapper | None = None

    def open(self) -> None:
        """Open the table and check the mapping against it; a table that the sink may create is left for later.

        Raises:
            ConfigError: There is no such table, or the mapping does not fit it; a line for each fault.
            RetriableError: The masters do not answer.
        """
        try:
            self._take(self._client.open_table(self._options.table))
        except MissingTableError:
            if not self._sink.create:
                raise

    def wants_look(self, changes: Changes) -> bool:
        """Tell whether `look` is due: there is no table yet, or fields have no column in it."""
        if self.mapper is None or self._unknown(self.mapper, changes):
            return True
        return bool(self._ignored) and time.monotonic() - self._looked >= self._sink.refresh_s

    def look(self, changes: Changes) -> None:
        """Look whether the table is there and has columns for all fields by now; make them where that is wanted.

        Raises:
            FatalError: The table cannot be made, or the mapping does not fit it.
            RetriableError: The masters do not answer.
        """
        if self.mapper is None:
            self._create(changes)
            return
        mapper = self.refresh()
        unknown = self._unknown(mapper, changes)
        if unknown and self._sink.evolve:
            self._add(mapper.table, unknown, changes)
            unknown = self._unknown(self.refresh(), changes)
        if unknown:
            names = ", ".join(sorted(unknown))
            log.warning("table %s has no column for %s: left out", self._options.table, names)
        self._ignored |= unknown
        self._looked = time.monotonic()

    def refresh(self) -> RowMapper:
        """Take the table as it is now.

        Raises:
            FatalError: The table is gone, or the mapping does not fit it any more.
            RetriableError: The masters do not answer.
        """
        try:
            return self._take(self._client.open_table(self._options.table))
        except ConfigError as error:
            raise FatalError(str(error)) from None

    def batch(self, changes: Changes) -> Batch:
        """Map changes."""
        batch = Batch(self.mapper, changes, self._metrics)
        return batch if self.mapper is None else batch.map(self.mapper)

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
        if batch.mapper is None:
            return self._without_table(batch)
        failures = self._send(batch.mapper, batch)
        if any(failure.kind in (FailureKind.SCHEMA_CHANGED, FailureKind.NOT_FOUND) for failure in failures):
            mapper = self.refresh()
            batch = self.batch(batch.changes)
            failures = self._send(mapper, batch)
        self._judge(batch, failures)
        if self._timed_out:
            time.sleep(SETTLE_S)
            self._timed_out = False
        self._metrics.stored(len(batch.changes) - len(batch.refused), batch.age_s)
        return batch.refused

    def _send(self, mapper: RowMapper, batch: Batch) -> list[RowFailure]:
        if not batch.writes:
            return []
        began = time.monotonic()
        failures = self._client.write_batch(mapper.table, batch.writes)
        self._metrics.answered(time.monotonic() - began)
        return failures

    def _judge(self, batch: Batch, failures: list[RowFailure]) -> None:
        for failure in failures:
            what = f"table {self._options.table}: {len(failures)} of {len(batch.writes)} rows failed: {failure.text}"
            if failure.kind in _RETRIABLE:
                self._metrics.retried(len(batch.changes))
                self._timed_out = True
                raise RetriableError(what)
            if failure.kind in (FailureKind.NOT_AUTHORIZED, FailureKind.FATAL):
                raise FatalError(what)
        for failure in failures:
            for record in batch.writes[failure.index].records:
                batch.refuse(record, DataError(f"table {self._options.table}: {failure.text}"))

    def _take(self, table: Table) -> RowMapper:
        errors = mapping_errors(table, self._options)
        if errors:
            raise ConfigError("\n".join(errors), key=self._options.mapping_option)
        self.mapper = RowMapper(table, self._options, self._parser, self._sink.binary)
        return self.mapper

    def _unknown(self, mapper: RowMapper, changes: Changes) -> set[str]:
        """Return fields without a column for which the table has not been looked at yet."""
        unknown: set[str] = set()
        for fields in {tuple(change.row) for _, change in changes}:  # most rows have the same
            unknown |= mapper.unknown_fields(fields)
        return unknown - self._ignored if unknown else unknown

    def _create(self, changes: Sequence[tuple[SinkRecord, RowChange]]) -> None:
        for _, change in changes:
            with suppress(DataError):  # this one tells no types; where none does, all are refused
                columns = columns_for(self._options, change)
                break
        else:
            return
        try:
            layout = layout_for(self._options, columns, self._sink.replicas, self._split)
            with suppress(ExistsError):  # another task was faster
                self._client.create_table(self._options.table, columns, layout)
        except ConfigError as error:
            raise FatalError(str(error)) from None
        self.refresh()

    def _split(self, column: ColumnSpec, text: str) -> Any:
        return converter_for(column, self._parser.micros, self._sink.binary)(text)

    def _add(self, table: Table, fields: set[str], changes: Changes) -> None:
        """Add columns for fields whose type a message tells."""
        types: dict[str, str] = {}
        for _, change in changes:
            types |= {name: text for name, text in (change.mysql_type or {}).items() if name in fields}
        columns = [column_for(name, types[name]) for name in sorted(types)]
        if not columns:
            return
        try:
            with suppress(ExistsError):  # another task was faster; what it lacked comes with a later look
                self._client.add_columns(table, columns)
        except ConfigError as error:
            raise FatalError(str(error)) from None

    def _without_table(self, batch: Batch) -> Refused:
        for record, change in batch.changes:
            try:
                columns_for(self._options, change)
            except DataError as error:
                batch.refuse(record, error)
        return batch.refused


_RETRIABLE = frozenset(
    # The last two: it changed again between the second look and the write.
    {FailureKind.TIMEOUT, FailureKind.UNAVAILABLE, FailureKind.SCHEMA_CHANGED, FailureKind.NOT_FOUND}
)
