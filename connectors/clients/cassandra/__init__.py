"""Cassandra as an asynchronous resource: client, schema, encoding by column type, statements, batches, reads."""

from __future__ import annotations

from connectors.clients.cassandra.batches import BATCHING, Batching, WriteBatches
from connectors.clients.cassandra.client import CassandraClient
from connectors.clients.cassandra.errors import SchemaChangedError
from connectors.clients.cassandra.reader import Key, Row, RowReader
from connectors.clients.cassandra.schema import TableSchema, quote
from connectors.clients.cassandra.settings import CONSISTENCY_LEVELS, MAX_IN_FLIGHT_LIMIT, CassandraSettings
from connectors.clients.cassandra.statements import UNSET, Cell, TableStatements, Write, routing_key
from connectors.clients.cassandra.tls import TlsSettings
from connectors.clients.cassandra.types import BINARY_MODES, Encode, Micros, compile_encoder

__all__ = [
    "BATCHING",
    "BINARY_MODES",
    "CONSISTENCY_LEVELS",
    "MAX_IN_FLIGHT_LIMIT",
    "UNSET",
    "Batching",
    "CassandraClient",
    "CassandraSettings",
    "Cell",
    "Encode",
    "Key",
    "Micros",
    "Row",
    "RowReader",
    "SchemaChangedError",
    "TableSchema",
    "TableStatements",
    "TlsSettings",
    "Write",
    "WriteBatches",
    "compile_encoder",
    "quote",
    "routing_key",
]
