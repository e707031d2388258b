"""How the changes of a topic become writes of a table, worked out once against the live schema."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from datetime import tzinfo
from typing import Any, Final
from uuid import uuid1

from connectors.api.errors import ConfigError, DataError
from connectors.api.record import SinkRecord, header_value
from connectors.clients.cassandra import UNSET, Cell, Encode, TableSchema, TableStatements, Write
from connectors.formats.canal import RowChange, decode_object
from connectors.formats.mapping import ColumnSource
from connectors.formats.temporal import TimestampParser
from connectors.sinks.cassandra.config import TableOptions
from connectors.sinks.cassandra.options import MAX_TTL_S

__all__ = ["TablePlan", "key_object", "mapping_errors"]

Getter = Callable[[SinkRecord, Mapping[str, Any]], Any]
"""Takes a record and one of its rows; returns a value, None for null or `UNSET` where there is nothing."""

Layout = list[tuple[Encode, str | None]]

_LAYOUTS_KEPT: Final = 1000


class TablePlan:
    """Turns row changes into writes of one table.

    Args:
        options: Topic, table and what is configured for them.
        schema: The table as it is.
        zone: Zone of times that name none.
        binary: How texts hold bytes.

    Attributes:
        version: The client's token of the schema.
        strange: Fields of rows seen that the table has no column for; the owner clears it.
    """

    def __init__(self, options: TableOptions, schema: TableSchema, zone: tzinfo, binary: str = "latin1") -> None:
        self.version: object = None
        self.strange: dict[str, Any] = {}
        self.options = options
        self.schema = schema
        self._micros = TimestampParser(zone).micros
        sources = options.mapping
        columns = list(schema.columns) if sources is None else [_exact(schema, name) for name in sources]
        self.statements = TableStatements(schema, columns, self._micros, binary=binary)
        self._automatic = sources is None
        self._getters = (
            []
            if sources is None
            else [getter(source, schema.columns[name]) for name, source in zip(columns, sources.values(), strict=True)]
        )
        self._fields = None if sources is None else _plain_fields(sources.values())
        self._from_fields = self._automatic or self._fields is not None
        # Layouts seen: the fields of a row, in order, to the encoder and the field of each column.
        self._layouts: dict[tuple[str, ...], Layout] = {}
        self._null = UNSET if options.null_to_unset else None
        self._key_fields = _key_fields(schema, columns, sources)
        self._ttl = getter(options.ttl) if isinstance(options.ttl, ColumnSource) else None
        self._timestamp = getter(options.timestamp) if options.timestamp is not None else None

    def writes(self, record: SinkRecord, change: RowChange, ts_us: int) -> list[Write]:
        """Return what a change means for the table: usually one write, two for a change of its key.

        Args:
            record: The record that the change came in.
            change: The change.
            ts_us: Its place in the order, microseconds since 1970.

        Raises:
            DataError: The row does not fit the table.
        """
        if self._timestamp is not None:
            ts_us = self._own_timestamp(self._timestamp(record, change.row))
        statements = self.statements
        if change.op == "DELETE":
            if not self.options.deletes_enabled:
                return []
            return [statements.delete(statements.encode_key(self._values(record, change.row)), ts_us)]
        upsert = statements.upsert(self._cells(record, change.row), ts_us, self._seconds_to_live(record, change.row))
        old = change.old
        if old and self.options.deletes_enabled and (self._automatic or not self._key_fields.isdisjoint(old)):
            before = statements.encode_key(self._values(record, change.key_before()))
            if before != upsert.key:
                return [statements.delete(before, ts_us), upsert]
        return [upsert]

    def _cells(self, record: SinkRecord, row: Mapping[str, Any]) -> list[Cell]:
        if not self._from_fields:
            return self.statements.encode(self._values(record, row))
        null = self._null
        try:
            return [
                UNSET if field is None else null if (value := row[field]) is None else encode(value)
                for encode, field in self._layout(row)
            ]
        except Exception:  # one of them needs more care, or does not fit, which is said of its column then
            return self.statements.encode(self._values(record, row))

    def _values(self, record: SinkRecord, row: Mapping[str, Any]) -> list[Any]:
        if self._from_fields:
            values = [UNSET if field is None else row[field] for _, field in self._layout(row)]
        else:
            values = [get(record, row) for get in self._getters]
        if self.options.null_to_unset:
            values = [UNSET if value is None else value for value in values]
        return values

    def _layout(self, row: Mapping[str, Any]) -> Layout:
        names = tuple(row)
        layout = self._layouts.get(names)
        if layout is None:
            if len(self._layouts) >= _LAYOUTS_KEPT:
                self._layouts.clear()
            layout = self._layouts[names] = list(zip(self.statements.fast, self._fields_in(row), strict=True))
        return layout

    def _fields_in(self, row: Mapping[str, Any]) -> list[str | None]:
        if self._fields is not None:
            return [name if name in row else None for name in self._fields]
        folded = {name.lower(): name for name in row}
        columns = {name.lower() for name in self.statements.columns}
        self.strange |= {name: row[name] for low, name in folded.items() if low not in columns}
        return [name if name in row else folded.get(name.lower()) for name in self.statements.columns]

    def _seconds_to_live(self, record: SinkRecord, row: Mapping[str, Any]) -> int | None:
        if self._ttl is None:
            return self.options.ttl if isinstance(self.options.ttl, int) else None
        value = self._ttl(record, row)
        if value is None or value is UNSET:
            return None
        try:
            seconds = int(value)
        except (TypeError, ValueError):
            raise DataError(f"the seconds to live are {value!r}, a whole number is needed") from None
        if seconds > MAX_TTL_S:
            raise DataError(f"the seconds to live are {seconds}, more than 20 years")
        return seconds if seconds > 0 else None

    def _own_timestamp(self, value: Any) -> int:
        if value is None or value is UNSET:
            raise DataError(f"there is no timestamp: option {self.options.prefix}.timestamp names a missing field")
        if isinstance(value, int) or (isinstance(value, str) and value.lstrip("-").isdigit()):
            return int(value)
        return self._micros(value)


def getter(source: ColumnSource, cql_type: str = "") -> Getter:
    """Return the function that fetches a source's value; what `now()` is depends on the column's type."""
    name = source.name
    if source.kind == "value":
        return _field(name)
    if source.kind == "header":
        return lambda record, row: _header(record, name)
    if source.kind == "timestamp":
        return lambda record, row: record.timestamp_ms
    if source.kind == "now" and cql_type == "timeuuid":
        return lambda record, row: uuid1()
    if source.kind == "now":
        return lambda record, row: time.time_ns() // 1_000_000
    if not name:
        return lambda record, row: record.key.decode() if isinstance(record.key, bytes) else record.key
    find = _field(name)
    return lambda record, row: find(record, key_object(record.key))


def key_object(key: Any) -> Mapping[str, Any]:
    """Return the fields of a key: an object, or the JSON text of one, as the default key converter leaves it."""
    if isinstance(key, str | bytes):
        key = decode_object(key.encode() if isinstance(key, str) else key)
    return key if isinstance(key, Mapping) else {}


def _plain_fields(sources: Collection[ColumnSource]) -> list[str] | None:
    """Return the fields of a mapping that takes nothing but fields of the row itself, else None."""
    if all(source.kind == "value" and "." not in source.name for source in sources):
        return [source.name for source in sources]
    return None


def _field(name: str) -> Getter:
    if "." not in name:
        return lambda record, row: row.get(name, UNSET)
    steps = name.split(".")

    def nested(record: SinkRecord, row: Mapping[str, Any]) -> Any:
        if name in row:
            return row[name]
        value: Any = row
        for step in steps:
            if not isinstance(value, dict) or step not in value:
                return UNSET
            value = value[step]
        return value

    return nested


def _header(record: SinkRecord, name: str) -> Any:
    data = header_value(record.headers, name)
    if data is None:
        return UNSET
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise DataError(f"header {name} is not UTF-8") from None


def _exact(schema: TableSchema, column: str) -> str:
    name = schema.find(column)
    if name is None:
        raise ConfigError(f"table {schema.label} has no column {column}")
    return name


def _key_fields(schema: TableSchema, columns: list[str], sources: Mapping[str, ColumnSource] | None) -> frozenset[str]:
    if sources is None:
        return frozenset()
    pairs = zip(columns, sources.values(), strict=True)
    return frozenset(source.name for name, source in pairs if name in schema.key and source.kind == "value")


def mapping_errors(options: TableOptions, schema: TableSchema) -> list[str]:
    """Return a sentence for everything that keeps the mapping from fitting the table."""
    option = f"{options.prefix}.mapping"
    if options.mapping is None:
        return schema.check(option, list(schema.columns))
    moving = {schema.find(column) for column, source in options.mapping.items() if source.kind == "now"}
    return schema.check(option, list(options.mapping)) + [
        f"Option {option}: key column {name} of {schema.label} cannot be now(): a replay would make another row"
        for name in schema.key
        if name in moving
    ]
