"""Back end `native`: kudu-python, where it is installed. Its three traps are closed here.

1. It stores a Decimal by the Decimal's own exponent, not the column's scale. Values of the port are unscaled, and the
   Decimal is made from them with exactly the column's scale.
2. It frees an operation twice when `apply` raises, which ends the process. Nothing is applied that could be refused,
   and the buffer is flushed far below its size.
3. It holds the interpreter's lock during a flush. The session's time-out is held short, well below Kafka's limits.

Source: kudu-python 1.18.1, `kudu/client.pyx`, `kudu/schema.pyx`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from operator import itemgetter
from typing import Any, Final

from connectors.api.errors import ConfigError, FatalError
from connectors.clients.kudu.jars import INSTALL_HINT
from connectors.clients.kudu.port import (
    AWAY,
    UNSET,
    ColumnSpec,
    FailureKind,
    Layout,
    OpKind,
    RowFailure,
    RowOp,
    Table,
    to_python,
)
from connectors.clients.kudu.settings import KuduSettings, check_masters, error_of

__all__ = ["MOST_TIMEOUT_MS", "NativeKuduClient"]

MOST_TIMEOUT_MS: Final = 5_000
_MOST_ROWS: Final = 1_000
_MOST_BYTES: Final = 3 * 1024 * 1024  # of the library's buffer of 7 MiB
_CELL_BYTES: Final = 16
_WORDS: Final = (
    ("timed out", FailureKind.TIMEOUT),
    ("service unavailable", FailureKind.UNAVAILABLE),
    ("network error", FailureKind.UNAVAILABLE),
    ("incomplete", FailureKind.UNAVAILABLE),
    ("aborted", FailureKind.UNAVAILABLE),
    ("not authorized", FailureKind.NOT_AUTHORIZED),
    ("not found", FailureKind.NOT_FOUND),
    ("already present", FailureKind.ALREADY_PRESENT),
    ("invalid argument", FailureKind.INVALID),
    ("immutable", FailureKind.INVALID),
)
_EXACT_WORDS: Final = (
    ("not present in tablet", FailureKind.SCHEMA_CHANGED),
    ("unknown column", FailureKind.SCHEMA_CHANGED),
    ("must have type", FailureKind.SCHEMA_CHANGED),
    ("schema version", FailureKind.SCHEMA_CHANGED),
    ("range partition", FailureKind.INVALID),  # the row lies outside all of the table's ranges
    ("was deleted", FailureKind.NOT_FOUND),
)


class NativeKuduClient:
    """kudu-python behind the port.

    Args:
        settings: How to reach the cluster.

    Raises:
        ConfigError: kudu-python is not installed.
        RetriableError: No master answers.
    """

    def __init__(self, settings: KuduSettings) -> None:
        try:
            self._kudu = importlib.import_module("kudu")
        except ImportError:
            raise ConfigError(
                "The Kudu back end native needs kudu-python (pip install faust-connect[kudu-native], which needs the"
                f" vendor's client library and headers). For the back end jvm: {INSTALL_HINT}",
                key="kudu.backend",
            ) from None
        self._where = f"Kudu {settings.masters}"
        check_masters(settings)
        timeout_ms = min(settings.operation_timeout_ms, MOST_TIMEOUT_MS)
        admin_timeout_ms = min(settings.admin_timeout_ms, MOST_TIMEOUT_MS)
        hosts, ports = (list(part) for part in zip(*settings.addresses(), strict=True))
        with self._translated("connecting"):
            self._client: Any = self._kudu.connect(
                hosts,
                ports,
                admin_timeout_ms=admin_timeout_ms,
                rpc_timeout_ms=timeout_ms,
            )
            self._session = self._client.new_session(flush_mode="manual", timeout_ms=timeout_ms)

    def open_table(self, name: str) -> Table:
        """See `KuduClient`."""
        with self._translated(f"table {name}"):
            handle = self._client.table(name)
        schema = handle.schema
        keys = set(schema.primary_keys())
        columns = tuple(_column(schema[i], column in keys) for i, column in enumerate(schema.names))
        return Table(name, columns, handle)

    def reopen(self, table: Table) -> Table:
        """See `KuduClient`."""
        return self.open_table(table.name)

    def write_batch(self, table: Table, ops: Sequence[RowOp]) -> list[RowFailure]:
        """See `KuduClient`."""
        failures: list[RowFailure] = []
        records: dict[int, Any] = {}
        for index, op in enumerate(ops):
            try:
                records[index] = _record(table, op)
            except (ValueError, OverflowError) as error:
                failures.append(RowFailure(FailureKind.INVALID, index, str(error)))
        away: RowFailure | None = None
        for part in _parts(table, ops, list(records)):
            if away is not None:
                failures += [RowFailure(away.kind, index, away.text) for index in part]
                continue
            found = self._write(table, ops, records, part)
            away = next((failure for failure in found if failure.kind in AWAY), None)
            failures += found
        return failures

    def create_table(self, name: str, columns: Sequence[ColumnSpec], layout: Layout) -> Table:
        """See `KuduClient`."""
        builder = self._kudu.schema_builder()
        for column in columns:
            _add(builder, column)
        builder.set_primary_keys([column.name for column in columns if column.key])
        partitioning = importlib.import_module("kudu.client").Partitioning()
        if layout.hash_on:
            partitioning.add_hash_partitions(column_names=list(layout.hash_on), num_buckets=layout.hash_buckets)
        partitioning.set_range_partition_columns([layout.range_on] if layout.range_on else [])
        for split in layout.splits:
            column = next(each for each in columns if each.name == layout.range_on)
            partitioning.add_range_partition_split({column.name: _library_value(column, split)})
        with self._translated(f"creating table {name}"):
            self._client.create_table(name, builder.build(), partitioning, layout.replicas or None)
        return self.open_table(name)

    def add_columns(self, table: Table, columns: Sequence[ColumnSpec]) -> None:
        """See `KuduClient`."""
        alterer = self._client.new_table_alterer(table.handle)
        for column in columns:
            _add(alterer, column)
        with self._translated(f"adding columns to table {table.name}"):
            alterer.alter()

    def drop_table(self, name: str) -> None:
        """See `KuduClient`."""
        with self._translated(f"dropping table {name}"):
            self._client.delete_table(name)

    def scan(self, name: str) -> Iterator[dict[str, Any]]:
        """See `KuduClient`."""
        table = self.open_table(name)
        names = [column.name for column in table.columns]
        with self._translated(f"reading table {name}"):
            scanner = table.handle.scanner()
            scanner.open()
            while scanner.has_more_rows():
                for row in scanner.read_next_batch_tuples():
                    yield dict(zip(names, row, strict=True))

    def close(self) -> None:
        """See `KuduClient`. The library disconnects when its objects go."""
        self._session = self._client = None

    def _write(self, table: Table, ops: Sequence[RowOp], records: dict[int, Any], part: list[int]) -> list[RowFailure]:
        errors = self._flush(table, ops, records, part)
        if not errors:
            return []
        worst = next((error for error in errors if error[0] in _OF_THE_SERVER), None)
        if len(part) == 1 or worst is not None:
            kind, text = worst or errors[0]
            return [RowFailure(kind, index, text) for index in part]
        # An error says nothing that tells its row for certain. The operations bear to be repeated, so each goes alone.
        return [failure for index in part for failure in self._write(table, ops, records, [index])]

    def _flush(
        self, table: Table, ops: Sequence[RowOp], records: dict[int, Any], part: list[int]
    ) -> list[tuple[FailureKind, str]]:
        makers = (table.handle.new_upsert, table.handle.new_insert_ignore, table.handle.new_delete_ignore)
        operations = [makers[ops[index].kind](records[index]) for index in part]
        try:
            for operation in operations:
                self._session.apply(operation)
        except Exception as error:
            # The operation was freed twice by now: what this process does from here on is unknown.
            raise FatalError(f"{self._where}: kudu-python refused a checked row: {error}") from error
        try:
            self._session.flush()
        except self._kudu.KuduException as error:
            # The exception's own text is the same for everything; pending errors must be fetched or they pile up.
            pending, _ = self._session.get_pending_errors()
            return [_classified(repr(each)) for each in pending] or [_classified(str(error))]
        return []

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """The one place where the library's exceptions become ours."""
        try:
            yield
        except self._kudu.KuduException as error:
            kind, text = _classified(str(error))
            raise error_of(kind, f"{self._where}, {what}", text) from error


_OF_THE_SERVER: Final = frozenset(
    {
        FailureKind.TIMEOUT,
        FailureKind.UNAVAILABLE,
        FailureKind.SCHEMA_CHANGED,
        FailureKind.NOT_AUTHORIZED,
        FailureKind.NOT_FOUND,  # none of our operations minds a missing row: the table or tablet is gone
    }
)


def _column(schema: Any, key: bool) -> ColumnSpec:
    type_ = schema.type.name.upper()
    attributes: Any = schema.type_attributes if type_ in ("DECIMAL", "VARCHAR") else None
    # The library does not tell defaults. Without one assumed, a NOT NULL column always needs a value: trap 2.
    return ColumnSpec(
        name=schema.name,
        type=type_,
        key=key,
        nullable=bool(schema.nullable),
        precision=attributes.precision if type_ == "DECIMAL" else 0,
        scale=attributes.scale if type_ == "DECIMAL" else 0,
        length=attributes.length if type_ == "VARCHAR" else 0,
    )


def _record(table: Table, op: RowOp) -> dict[str, Any]:
    """Return the values as the library takes them.

    Raises:
        ValueError: `apply` would refuse the row, so it must not come there.
        OverflowError: A time lies outside the years 1 to 9999, which is all the library takes.
    """
    used = table.columns[: table.key_size] if op.kind is OpKind.DELETE_IGNORE else table.columns
    record = {}
    for column, value in zip(used, op.values, strict=False):
        if value is UNSET or value is None:
            if not column.nullable:
                raise ValueError(f"Invalid argument: no value for column {column.name}")
            if value is UNSET:
                continue
        record[column.name] = _library_value(column, value)
    return record


def _library_value(column: ColumnSpec, value: Any) -> Any:
    converted = to_python(column, value)
    return converted.replace(tzinfo=None) if isinstance(converted, datetime) else converted


def _add(builder: Any, column: ColumnSpec) -> None:
    """Add a column to the library's builder of a schema, or to what alters a table."""
    added = builder.add_column(column.name, column.type.lower(), nullable=column.nullable)
    if column.type == "DECIMAL":
        added.precision(column.precision).scale(column.scale)
    elif column.type == "VARCHAR":
        added.length(column.length)


def _parts(table: Table, ops: Sequence[RowOp], indexes: list[int]) -> Iterator[list[int]]:
    part: list[int] = []
    size = 0
    for index in indexes:
        cells = ops[index].values
        weight = _CELL_BYTES * len(table.columns) + sum(len(cell) for cell in cells if isinstance(cell, bytes))
        if part and (len(part) >= _MOST_ROWS or size + weight > _MOST_BYTES):
            yield part
            part, size = [], 0
        part.append(index)
        size += weight
    if part:
        yield part


def _classified(text: str) -> tuple[FailureKind, str]:
    """Return the kind for the library's words: the first that occurs, as row values may stand behind them."""
    lowered = text.lower()
    found = [(lowered.index(word), kind) for word, kind in _WORDS if word in lowered]
    kind = min(found, key=itemgetter(0))[1] if found else FailureKind.FATAL
    # What is more exact than the status stands behind it.
    exact = next((each for words, each in _EXACT_WORDS if words in lowered), kind)
    return exact, text
