"""Mode `lookup`: columns of a row of Cassandra into the rows of a message."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from agents.functions.cassandra.texts import Renderer, add_columns
from agents.functions.redis.rows import keep_rows
from agents.message import Message
from connectors.api.errors import ConfigError, DataError
from connectors.clients.cassandra import CassandraClient, Key, Micros, Row, RowReader, TableSchema, compile_encoder

__all__ = ["Lookup"]

_MISS_WORDS = ("keep", "drop", "error")


class Lookup:
    """Reads the row that belongs to each row of a message.

    Args:
        key: Key column to the field that holds its value; the partition key, and clustering columns from the first on.
        columns: Field to add to the column that it comes from.
        on_miss: keep, drop, error, or defaults by field.

    Raises:
        ConfigError: An option cannot be used.
    """

    def __init__(self, key: Mapping[str, str], columns: Mapping[str, str], on_miss: str | Mapping[str, Any]) -> None:
        if not key or not columns:
            raise ConfigError("mode lookup needs the options key and columns", key="key")
        if isinstance(on_miss, str) and on_miss not in _MISS_WORDS:
            raise ConfigError(
                f"Option on_miss: {on_miss!r} is not keep, drop, error or defaults by field", key="on_miss"
            )
        unknown = [] if isinstance(on_miss, str) else [field for field in on_miss if field not in columns]
        if unknown:
            raise ConfigError(f"Option on_miss: {', '.join(unknown)} is not among columns", key="on_miss")
        self._key = dict(key)
        self._columns = dict(columns)
        self._on_miss = on_miss
        self._fields: list[str] = []

    async def open(
        self,
        client: CassandraClient,
        schema: TableSchema,
        micros: Micros,
        renderer: Renderer,
        *,
        gather: bool = True,
    ) -> None:
        """Check the options against the schema and prepare the statements.

        Raises:
            ConfigError: They do not fit; a line for each error.
        """
        fields, names = self._check(schema)
        self._fields = [fields[name] for name in names]
        self._encoders = [compile_encoder(schema.label, name, schema.columns[name], micros) for name in names]
        read = [schema.find(column) or column for column in self._columns.values()]
        self._types = dict(zip(self._columns, (schema.columns[name] for name in read), strict=True))
        self._renderer = renderer
        self._label = schema.label
        self._reader = RowReader(client, schema, read, names, gather=gather)
        await self._reader.prepare()

    async def invoke(self, message: Message) -> list[Message]:
        """Return the message with its columns, or what is left of it."""
        keys = [self._key_of(row) for row in message.rows]
        found = await self._read(keys)
        added = [self._columns_of(row, key) for row, key in zip(found, keys, strict=True)]
        add_columns(message, [columns or {} for columns in added], self._types)
        return keep_rows(message, [columns is not None for columns in added])

    async def _read(self, keys: list[Key | None]) -> list[Row | None]:
        # Without a task for each key: one row to a message is the usual case, and a task costs as much as its look-up.
        answers = [self._reader.read(key) for key in keys if key is not None]
        rows = iter([await answers[0]] if len(answers) == 1 else await asyncio.gather(*answers))
        return [None if key is None else next(rows) for key in keys]

    def _check(self, schema: TableSchema) -> tuple[dict[str, str], list[str]]:
        errors = schema.check("key", self._key, key=schema.partition_key)
        for field, column in self._columns.items():
            if schema.find(column) is None:
                errors.append(f"Option columns: table {schema.label} has no column {column}, wanted for {field}")
        fields = {schema.find(column): field for column, field in self._key.items()}
        names = [name for name in schema.key if name in fields]
        # Clustering columns can be given from the first on only.
        if not errors and (list(schema.key[: len(names)]) != names or len(names) != len(fields)):
            key = ", ".join(schema.key)
            errors.append(f"Option key: give the columns of the key of {schema.label} from the first on: {key}")
        if errors:
            raise ConfigError("\n".join(errors), key="key")
        return {name: field for name, field in fields.items() if name is not None}, names

    def _key_of(self, row: Mapping[str, Any]) -> Key | None:
        """Return the encoded key, or None where a field is null: there is no such row."""
        values = []
        for field in self._fields:
            if field not in row:
                raise DataError(f"the row has no field {field}, which the key of {self._label} needs")
            values.append(row[field])
        if any(value is None for value in values):
            return None
        return tuple(encode(value) for encode, value in zip(self._encoders, values, strict=True))

    def _columns_of(self, row: Row | None, key: Key | None) -> dict[str, Any] | None:
        """Return the fields to add, none to keep a row as it is, None to drop it."""
        if row is not None:
            pairs = zip(self._types.items(), row, strict=True)
            return {field: self._renderer.value(value, cql_type) for (field, cql_type), value in pairs}
        if self._on_miss == "error":
            raise DataError(f"{self._label} has no row for the key {b', '.join(key or ()).decode(errors='replace')}")
        if self._on_miss == "drop":
            return None
        return {} if isinstance(self._on_miss, str) else dict(self._on_miss)
