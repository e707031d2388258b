"""Row changes to writes of one table. What comes out here is valid: the client libraries are not asked to judge."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from connectors.api.errors import DataError, did_you_mean
from connectors.api.record import SinkRecord, header_value
from connectors.clients.kudu.port import UNSET, ColumnSpec, OpKind, Table
from connectors.formats.canal import RowChange, decode_object
from connectors.formats.mapping import ColumnSource
from connectors.formats.temporal import TimestampParser
from connectors.sinks.kudu.options import TableOptions
from connectors.sinks.kudu.values import Converter, cached_micros, converter_for, supported
from connectors.sinks.kudu.writes import Write

__all__ = ["RowMapper", "mapping_errors"]

MAX_KEY_BYTES: Final = 16 * 1024
_MOST_PLANS: Final = 1_000
_KEY_WIDTHS: Final = {"INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8, "UNIXTIME_MICROS": 8, "DATE": 4, "DECIMAL": 16}

Plan = tuple[tuple[int, str, Converter], ...]
"""Column, field and what converts its value, for each column that comes from the row."""

Extra = tuple[int, Callable[[SinkRecord, Mapping[str, Any]], Any]]
"""Column and what takes its value from elsewhere in the record; `UNSET` where it is not there."""


def mapping_errors(table: Table, options: TableOptions) -> list[str]:
    """Check a mapping against the table.

    Args:
        table: The table as it is now.
        options: With the mapping.

    Returns:
        A sentence for each fault; none where all is well.
    """
    strange = [
        f"Table {table.name}: column {column.name} has the type {column.type}, which the sink cannot write"
        for column in table.columns
        if not supported(column)
    ]
    if options.mapping is None:
        return strange
    names = [column.name for column in table.columns]
    where = f"Option {options.mapping_option}: table {table.name}"
    unknown = [
        f"{where} has no column {name}{did_you_mean(name, names)}" for name in options.mapping if name not in names
    ]
    missing = [
        f"{where}: {_why_needed(column)} {column.name} is not mapped"
        for column in table.columns
        if column.name not in options.mapping and _needed(column)
    ]
    return strange + unknown + missing


class RowMapper:
    """Makes the writes for a table as it is at one time.

    Args:
        table: The table.
        options: Mapping, mode and deletes; already checked by `mapping_errors`.
        parser: Reads times.
        binary: How texts hold bytes, see `converter_for`.
    """

    def __init__(self, table: Table, options: TableOptions, parser: TimestampParser, binary: str = "latin1") -> None:
        self.table = table
        self._mode = OpKind.UPSERT if options.mode == "upsert" else OpKind.INSERT_IGNORE
        self._deletes = options.deletes
        self._by_name = options.mapping is None
        micros = cached_micros(parser)
        self._converters: list[Converter] = [converter_for(column, micros, binary) for column in table.columns]
        self._key_size = table.key_size
        self._required = [i for i, column in enumerate(table.columns) if _needed(column)]
        # May be left unset, must not be NULL.
        self._defaulted = [i for i, c in enumerate(table.columns) if not c.nullable and not _needed(c)]
        self._long_keys = [i for i in range(self._key_size) if table.columns[i].type not in _KEY_WIDTHS]
        self._key_base = sum(_KEY_WIDTHS.get(column.type, 2) for column in table.columns[: self._key_size])
        self._plans: dict[tuple[str, ...], Plan] = {}
        self._plan, self._extras = ((), ()) if options.mapping is None else self._compile(options.mapping)

    def unknown_fields(self, row: Iterable[str]) -> set[str]:
        """Return fields of a row that no column takes. None for an explicit mapping, or for fields seen before."""
        fields = tuple(row)
        if not self._by_name or fields in self._plans:
            return set()
        taken = {field for _, field, _ in self._plan_of(fields)}
        return set(fields) - taken

    def writes(self, record: SinkRecord, change: RowChange) -> list[Write]:
        """Return the writes for a change: one, none for a delete where those are off, two where the key changed.

        Raises:
            DataError: The row does not fit the table; the message names table, column, value and type.
        """
        if change.op == "DELETE":
            return [self._delete(record, change.row, change.ts_us)] if self._deletes else []
        values = self._values(record, change.row, whole=True)
        write = Write(self._mode, values, self._key_of(values), change.ts_us, [record])
        former = self._former(record, change) if change.old and self._deletes else None
        return [write] if former is None or former.key == write.key else [former, write]

    def _former(self, record: SinkRecord, change: RowChange) -> Write | None:
        """Return the delete of the row as it was, where a field of the key changed."""
        plan = self._plan_of(tuple(change.row)) if self._by_name else self._plan
        if not any(index < self._key_size and field in (change.old or ()) for index, field, _ in plan):
            return None
        try:
            return self._delete(record, change.key_before(), change.ts_us)
        except DataError:
            return None  # a row that does not fit was never stored

    def _delete(self, record: SinkRecord, row: Mapping[str, Any], ts_us: int | None) -> Write:
        values = self._values(record, row, whole=False)
        return Write(OpKind.DELETE_IGNORE, values, self._key_of(values), ts_us, [record])

    def _values(self, record: SinkRecord, row: Mapping[str, Any], *, whole: bool) -> list[Any]:
        columns, converters = self.table.columns, self._converters
        last = len(columns) if whole else self._key_size
        values: list[Any] = [UNSET] * len(columns)
        index, value = 0, None
        try:
            for index, field, convert in self._plan_of(tuple(row)) if self._by_name else self._plan:
                if index < last and (value := row.get(field, UNSET)) is not UNSET:
                    values[index] = None if value is None else convert(value)
            for index, take in self._extras:
                if index < last and (value := take(record, row)) is not UNSET:
                    values[index] = None if value is None else converters[index](value)
        except (DataError, ValueError, TypeError) as error:
            raise self._refusal(columns[index], f"{_short(value)}: {error}") from None
        self._check(values, whole=whole)
        return values

    def _check(self, values: list[Any], *, whole: bool) -> None:
        needed = [values[index] for index in (self._required if whole else range(self._key_size))]
        if None in needed or UNSET in needed:
            raise self._missing(values, self._required if whole else range(self._key_size))
        if whole:
            for index in self._defaulted:
                if values[index] is None:
                    raise self._refusal(self.table.columns[index], "NOT NULL column is null")
        size = self._key_base + sum([len(values[index]) for index in self._long_keys])
        # A zero byte takes two; they need no count where even twice the length would do.
        if 2 * size > MAX_KEY_BYTES:
            size += sum(values[index].count(0) for index in self._long_keys)
        if size > MAX_KEY_BYTES:
            key = self.table.columns[self._long_keys[0]]
            raise self._refusal(key, f"the encoded key has {size:,} bytes, at most {MAX_KEY_BYTES:,} are possible")

    def _missing(self, values: list[Any], indexes: Iterable[int]) -> DataError:
        index = next(index for index in indexes if values[index] is None or values[index] is UNSET)
        column = self.table.columns[index]
        state = "is null" if values[index] is None else "is missing in the row"
        return self._refusal(column, f"{_why_needed(column)} {state}")

    def _key_of(self, values: list[Any]) -> tuple[Any, ...]:
        return tuple(values[: self._key_size])

    def _plan_of(self, fields: tuple[str, ...]) -> Plan:
        plan = self._plans.get(fields)
        if plan is None:
            if len(self._plans) >= _MOST_PLANS:  # rows of ever other fields must not fill the memory
                self._plans.clear()
            by_lower = {field.lower(): field for field in fields}
            by_lower |= {field: field for field in fields}
            names = [column.name for column in self.table.columns]
            pairs = ((i, by_lower.get(name) or by_lower.get(name.lower())) for i, name in enumerate(names))
            plan = tuple((i, field, self._converters[i]) for i, field in pairs if field is not None)
            self._plans[fields] = plan
        return plan

    def _compile(self, mapping: Mapping[str, ColumnSource]) -> tuple[Plan, tuple[Extra, ...]]:
        places = {column.name: i for i, column in enumerate(self.table.columns)}
        plain = {name: source.kind == "value" and "." not in source.name for name, source in mapping.items()}
        fields = [(places[name], source.name) for name, source in mapping.items() if plain[name]]
        plan = tuple((i, field, self._converters[i]) for i, field in fields)
        extras = tuple((places[name], _taker(source)) for name, source in mapping.items() if not plain[name])
        return plan, extras

    def _refusal(self, column: ColumnSpec, reason: str) -> DataError:
        return DataError(f"table {self.table.name}, column {column.name} {column.type_text}: {reason}")


def _needed(column: ColumnSpec) -> bool:
    return column.key or not (column.nullable or column.has_default)


def _why_needed(column: ColumnSpec) -> str:
    return "key column" if column.key else "NOT NULL column without default"


def _taker(source: ColumnSource) -> Callable[[SinkRecord, Mapping[str, Any]], Any]:
    def header(record: SinkRecord, _: Mapping[str, Any]) -> Any:
        value = header_value(record.headers, source.name)
        return UNSET if value is None else value.decode()

    def timestamp(record: SinkRecord, _: Mapping[str, Any]) -> Any:
        return record.timestamp_ms

    def now(_: SinkRecord, __: Mapping[str, Any]) -> Any:
        return time.time_ns() // 1_000_000

    def key(record: SinkRecord, _: Mapping[str, Any]) -> Any:
        return _key_part(record.key, source.name)

    def nested(_: SinkRecord, row: Mapping[str, Any]) -> Any:
        return _field(row, source.name)

    return {"header": header, "timestamp": timestamp, "now": now, "key": key, "value": nested}[source.kind]


def _field(value: Any, name: str) -> Any:
    """Return a field of an object, or of an object in it where the name has dots."""
    if isinstance(value, Mapping) and name in value:
        return value[name]
    for step in name.split("."):
        if not isinstance(value, Mapping) or step not in value:
            return UNSET
        value = value[step]
    return value


def _key_part(key: Any, field: str) -> Any:
    if not field:
        return key.decode() if isinstance(key, bytes) else key
    if isinstance(key, str | bytes):
        key = decode_object(key.encode() if isinstance(key, str) else key)
    return _field(key, field)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
