"""Mode `upsert`, the insert-style update: a row is written anew but keeps what its first insert said of its birth."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agents.functions.cassandra.sources import Getter
from agents.functions.cassandra.texts import Renderer, add_columns
from agents.functions.cassandra.turns import Clock, Turns
from agents.functions.cassandra.upsert_options import CHANGE_TIME, UpsertOptions
from agents.message import Message
from connectors.api.errors import DataError
from connectors.clients.cassandra import (
    UNSET,
    Batching,
    CassandraClient,
    Cell,
    Key,
    Micros,
    Row,
    RowReader,
    TableSchema,
    TableStatements,
    Write,
    WriteBatches,
)

__all__ = ["Upsert"]


@dataclass(slots=True)
class _Change:
    """One row on its way.

    Attributes:
        op: What happened to it.
        ts_us: Its place in the order.
        values: A value for each column of the table that is written.
        generated: Times by field, in milliseconds since 1970.
        partition: Encoded partition key.
        before: Encoded partition key before the change.
    """

    op: str
    ts_us: int
    values: list[Any]
    generated: dict[str, int | None]
    partition: Key
    before: Key


class Upsert:
    """Reads the present row where there may be one, keeps some of its columns, writes the row, adds columns.

    Args:
        options: What to write, keep and add.
    """

    def __init__(self, options: UpsertOptions) -> None:
        self._options = options
        self._turns = Turns()
        self._clock = Clock()

    async def open(
        self, client: CassandraClient, schema: TableSchema, micros: Micros, renderer: Renderer, batching: Batching
    ) -> None:
        """Check the options against the schema and prepare the statements.

        Raises:
            ConfigError: They do not fit; a line for each error.
        """
        options = self._options
        self._columns = options.columns_of(schema)
        self._schema = schema
        self._micros = micros
        self._renderer = renderer
        self._getters: list[Getter | None] = [options.getter_of(schema, name) for name in self._columns]
        self._statements = TableStatements(schema, self._columns, micros)
        self._place = {name: i for i, name in enumerate(self._columns)}
        self._generate = {schema.find(name) or name: source for name, source in options.generate.items()}
        self._kept = [schema.find(name) or name for name in options.keep]
        self._emitted = options.emitted(schema)
        self._types = {field: schema.columns.get(column, "timestamp") for field, column in self._emitted.items()}
        # Only what a present row keeps is written: then nothing is left to write when there is one.
        self._only_kept = set(self._columns) <= {*schema.key, *self._kept} and {*schema.clustering} <= {*self._kept}
        self._reader = RowReader(client, schema, [*self._kept, *schema.clustering], schema.partition_key)
        self._batches = WriteBatches(client, batching)
        await self._statements.prepare(client)
        await self._reader.prepare()

    async def invoke(self, message: Message) -> list[Message]:
        """Store all rows of a message and return it with the added columns; everything is durable then."""
        op, ts_us = message.op, self._clock.order_of(message)
        pairs = zip(message.rows, message.old_rows, strict=True)
        changes = [self._plan(message, op, ts_us + i, row, old) for i, (row, old) in enumerate(pairs)]
        if len(changes) == 1:
            added = [await self._store(changes[0])]
        else:
            added = await asyncio.gather(*map(self._store, changes))
        add_columns(message, added, self._types)
        return [message]

    def _plan(self, message: Message, op: str, ts_us: int, row: Mapping[str, Any], old: Mapping[str, Any]) -> _Change:
        generated = {
            name: ts_us // 1000 if source == CHANGE_TIME else self._millis(row, source)
            for name, source in self._generate.items()
        }
        values = self._values(message, row, generated)
        partition = self._partition(values)
        before = partition
        if old and not self._options.key_fields.isdisjoint(old):
            before = self._partition(self._values(message, {**row, **old}, generated))
        return _Change(op, ts_us, values, generated, partition, before)

    async def _store(self, change: _Change) -> dict[str, Any]:
        async with self._turns.turn(*{change.partition, change.before}):
            found = await self._reader.read(change.before) if self._must_read(change.op) else None
            values = self._with_kept(change.values, found)
            writes = self._writes(change, values, found)
            if len(writes) == 1:
                await self._batches.submit(writes[0])
            elif writes:
                await asyncio.gather(*map(self._batches.submit, writes))
        return self._added(change, values)

    def _must_read(self, op: str) -> bool:
        return self._options.read == "always" or op != "INSERT"

    def _writes(self, change: _Change, values: list[Any], found: Row | None) -> list[Write]:
        if change.op == "DELETE":
            return self._deletion(change, values, found)
        moved = change.before != change.partition
        if found is not None and not moved and self._only_kept:
            return []
        writes = [self._upsert(values, change.ts_us)]
        if moved and found is not None:
            writes.append(self._delete(change.before, found, change.ts_us))
        return writes

    def _deletion(self, change: _Change, values: list[Any], found: Row | None) -> list[Write]:
        if not self._options.deletes:
            return []
        if self._options.delete_after_s:
            # Kept for a while, so that the same delete, replayed, still finds what its message must carry.
            return [self._upsert(values, change.ts_us, self._options.delete_after_s)]
        if found is not None or not self._schema.clustering:
            return [self._delete(change.before, found or (), change.ts_us)]
        return []

    def _upsert(self, values: list[Any], ts_us: int, ttl_s: int | None = None) -> Write:
        return self._statements.upsert(self._statements.encode(values), ts_us, ttl_s)

    def _delete(self, partition: Key, found: Row, ts_us: int) -> Write:
        clustering = found[len(self._kept) :]
        encoders = (self._statements.encoders[self._place[name]] for name in self._schema.clustering)
        key = partition + tuple(encode(value) for encode, value in zip(encoders, clustering, strict=True))
        return self._statements.delete(key, ts_us)

    def _values(self, message: Message, row: Mapping[str, Any], generated: Mapping[str, int | None]) -> list[Any]:
        return [
            generated.get(name, UNSET) if get is None else get(message, row)
            for name, get in zip(self._columns, self._getters, strict=True)
        ]

    def _partition(self, values: list[Any]) -> Key:
        key: list[Cell] = []
        for name in self._schema.partition_key:
            value = values[self._place[name]]
            if value is None or value is UNSET:
                state = "is null" if value is None else "is missing"
                raise DataError(f"key column {self._schema.label}.{name} {state}")
            key.append(self._statements.encoders[self._place[name]](value))
        return tuple(key)

    def _with_kept(self, values: list[Any], found: Row | None) -> list[Any]:
        if found is None:
            return values
        result = list(values)
        for name, value in zip(self._kept, found, strict=False):
            if value is not None:
                result[self._place[name]] = value
        return result

    def _millis(self, row: Mapping[str, Any], field: str) -> int | None:
        value = row.get(field)
        return None if value is None else self._micros(value) // 1000

    def _added(self, change: _Change, values: list[Any]) -> dict[str, Any]:
        added = {}
        for field, column in self._emitted.items():
            place = self._place.get(column)
            value = change.generated.get(column) if place is None else values[place]
            added[field] = self._rendered(None if value is UNSET else value, self._types[field])
        return added

    def _rendered(self, value: Any, cql_type: str) -> Any:
        if value is not None and cql_type == "timestamp" and not isinstance(value, int):
            value = self._micros(value) // 1000
        return self._renderer.value(value, cql_type)
