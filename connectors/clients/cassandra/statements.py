"""Upserts and deletes of one table, encoded by its schema."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from cassandra.query import UNSET_VALUE, BoundStatement

from connectors.api.errors import ConnectError, DataError
from connectors.clients.cassandra.client import CassandraClient
from connectors.clients.cassandra.schema import TableSchema, quote
from connectors.clients.cassandra.types import Encode, Micros, compile_encoder, fast_encoder

__all__ = ["UNSET", "Cell", "Prepared", "TableStatements", "Write", "bound", "copied", "routing_key"]

UNSET: Final = UNSET_VALUE
"""A cell that is left as it is; None erases it."""

Cell = Any
"""Bytes, None or `UNSET`."""

_MAX_KEY_BYTES: Final = 65535
_ROW_BYTES: Final = 50
# The server counts about this for a cell beside its bytes and the four of its length.
_CELL_BYTES: Final = 8
_NULL: Final = b"\xff\xff\xff\xff"
_NOT_SET: Final = b"\xff\xff\xff\xfe"

_int32 = struct.Struct(">i").pack
_short = struct.Struct(">H").pack
_timestamp = struct.Struct(">iq").pack
_ttl = struct.Struct(">ii").pack


@dataclass(slots=True)
class Write:
    """One upsert or delete, ready to be sent.

    Attributes:
        table: Statements it belongs to.
        key: Encoded primary key, in the order of the schema.
        ts_us: Its timestamp, microseconds since 1970.
        cells: The row's cells for an upsert, None for a delete.
        ttl_s: Seconds to live, or None.
    """

    table: TableStatements
    key: tuple[bytes, ...]
    ts_us: int
    cells: list[Cell] | None
    ttl_s: int | None = None
    _wire: bytes | None = None
    _partition: bytes | None = None

    @property
    def partition(self) -> bytes:
        """Routing key of its partition."""
        partition = self._partition
        if partition is None:
            partition = self._partition = self.table.partition_of(self.key)
        return partition

    @property
    def size(self) -> int:
        """About the bytes that the server counts for it."""
        cells = self.key if self.cells is None else self.cells
        return _ROW_BYTES + _CELL_BYTES * len(cells) + len(self.wire)

    @property
    def wire(self) -> bytes:
        """Its values as the protocol has them: their number, then each with its length."""
        wire = self._wire
        if wire is None:
            wire = self._wire = self._values()
        return wire

    def _values(self) -> bytes:
        stamp = _timestamp(8, self.ts_us)
        if self.cells is None:
            return b"".join([_short(len(self.key) + 1), stamp, *[_int32(len(cell)) + cell for cell in self.key]])
        framed: list[bytes] = [
            _NULL if cell is None else _NOT_SET if cell is UNSET else _int32(len(cell)) + cell for cell in self.cells
        ]
        if self.ttl_s is None:
            return b"".join([_short(len(framed) + 1), *framed, stamp])
        return b"".join([_short(len(framed) + 2), *framed, stamp, _ttl(4, self.ttl_s)])

    def statement(self) -> Any:
        """Return the driver's bound statement."""
        return self.table.bind(self)

    def absorb(self, later: Write) -> Write:
        """Return one write for two of the same row and timestamp, of which `later` is to win.

        Cassandra would settle such a tie cell by cell for the greater value, which mixes the two rows.
        """
        if self.cells is None or later.cells is None:
            return later
        pairs = zip(self.cells, later.cells, strict=True)
        cells = [before if after is UNSET else after for before, after in pairs]
        return Write(self.table, self.key, self.ts_us, cells, later.ttl_s)


class Prepared:
    """A prepared statement, and how requests name it.

    Attributes:
        statement: The driver's.
        batch_head: Its kind and id in a batch.
    """

    __slots__ = ("_id", "_result_id", "batch_head", "statement")

    def __init__(self, statement: Any) -> None:
        self.statement = statement
        self._id: bytes = _short(len(statement.query_id)) + statement.query_id
        result_id = statement.result_metadata_id or b""
        self._result_id: bytes = _short(len(result_id)) + result_id
        self.batch_head = b"\1" + self._id

    def execute_head(self, with_result_id: bool) -> bytes:
        """Return its id for a request of its own; with that of its result since protocol version 5."""
        return self._id + self._result_id if with_result_id else self._id


class TableStatements:
    """The prepared upsert and delete of a table.

    Args:
        schema: The table.
        columns: Columns that an upsert sets, exact names, the whole primary key among them.
        micros: Reads times, see `compile_encoder`.
        binary: How texts hold bytes, see `compile_encoder`.
    """

    def __init__(self, schema: TableSchema, columns: Sequence[str], micros: Micros, *, binary: str = "latin1") -> None:
        self.schema = schema
        self.columns = tuple(columns)
        self.encoders: tuple[Encode, ...] = tuple(
            compile_encoder(
                schema.label, name, schema.columns[name], micros, binary=binary, user_types=schema.user_types
            )
            for name in columns
        )
        # One for each type, as columns of a row often hold the same time.
        fast = {
            cql_type: fast_encoder(cql_type, micros, binary=binary, user_types=schema.user_types)
            for cql_type in {schema.columns[name] for name in columns}
        }
        self.fast: tuple[Encode, ...] = tuple(fast[schema.columns[name]] for name in columns)
        self.key_indexes = tuple(self.columns.index(name) for name in schema.key)
        self._partition_size = len(schema.partition_key)
        self._upsert: Any = None
        self._expiring: Any = None
        self._delete: Any = None

    async def prepare(self, client: CassandraClient) -> None:
        """Prepare the statements.

        Raises:
            ConnectError: By what the caller must do, see `translate`.
        """
        names = ", ".join(map(quote, self.columns))
        marks = ", ".join("?" * len(self.columns))
        key = " AND ".join(f"{quote(name)} = ?" for name in self.schema.key)
        insert = f"INSERT INTO {self.schema.cql} ({names}) VALUES ({marks}) USING TIMESTAMP ?"
        self._upsert = Prepared(await client.prepare(insert))
        self._expiring = Prepared(await client.prepare(f"{insert} AND TTL ?"))
        self._delete = Prepared(await client.prepare(f"DELETE FROM {self.schema.cql} USING TIMESTAMP ? WHERE {key}"))

    def encode(self, values: Sequence[Any]) -> list[Cell]:
        """Return the cells of a row.

        Args:
            values: A value for each column; None erases, `UNSET` leaves as it is.

        Raises:
            DataError: A value does not fit its column.
        """
        try:
            return [
                value if value is None or value is UNSET else encode(value)
                for encode, value in zip(self.fast, values, strict=True)
            ]
        except Exception:  # one of them needs more care, or does not fit, which is said of its column then
            return [
                value if value is None or value is UNSET else encode(value)
                for encode, value in zip(self.encoders, values, strict=True)
            ]

    def encode_key(self, values: Sequence[Any]) -> tuple[bytes, ...]:
        """Return the encoded primary key in a row of values as `encode` takes it.

        Raises:
            DataError: A key column has no value or one that does not fit.
        """
        encoders = self.encoders
        return self._checked(
            [
                value if (value := values[index]) is None or value is UNSET else encoders[index](value)
                for index in self.key_indexes
            ]
        )

    def upsert(self, cells: list[Cell], ts_us: int, ttl_s: int | None = None) -> Write:
        """Return the upsert of a row.

        Args:
            cells: What `encode` returned.
            ts_us: Its timestamp, microseconds since 1970.
            ttl_s: Seconds to live, or None.

        Raises:
            DataError: A key column has no value, or the timestamp is beyond 64 bits.
        """
        key = self._checked([cells[index] for index in self.key_indexes])
        return Write(self, key, _checked_time(ts_us), cells, ttl_s)

    def delete(self, key: tuple[bytes, ...], ts_us: int) -> Write:
        """Return the delete of a row.

        Args:
            key: What `encode_key` returned.
            ts_us: Its timestamp, microseconds since 1970.

        Raises:
            DataError: The timestamp is beyond 64 bits.
        """
        return Write(self, key, _checked_time(ts_us), None)

    def partition_of(self, key: tuple[bytes, ...]) -> bytes:
        """Return the routing key in an encoded primary key."""
        return routing_key(key[: self._partition_size])

    def prepared(self, write: Write) -> Prepared:
        """Return the statement that carries a write out."""
        made: Prepared = (
            self._delete if write.cells is None else self._upsert if write.ttl_s is None else self._expiring
        )
        return made

    def bind(self, write: Write) -> Any:
        """Return the driver's statement of a write."""
        statement = self.prepared(write).statement
        timestamp = write.ts_us.to_bytes(8, "big", signed=True)
        if write.cells is None:
            return bound(statement, [timestamp, *write.key], write.partition)
        if write.ttl_s is None:
            return bound(statement, [*write.cells, timestamp], write.partition)
        ttl = write.ttl_s.to_bytes(4, "big", signed=True)
        return bound(statement, [*write.cells, timestamp, ttl], write.partition)

    def _checked(self, key: list[Cell]) -> tuple[bytes, ...]:
        if (
            None in key
            or UNSET in key
            or max(map(len, key)) > _MAX_KEY_BYTES
            or not (key[0] or self._partition_size > 1)
        ):
            raise self._bad_key(key)
        return tuple(key)

    def _bad_key(self, key: list[Cell]) -> DataError:
        for name, cell in zip(self.schema.key, key, strict=True):
            if cell is None or cell is UNSET:
                state = "is missing" if cell is UNSET else "is null"
                return DataError(f"key column {self.schema.label}.{name} {state}")
            if len(cell) > _MAX_KEY_BYTES:
                return DataError(
                    f"key column {self.schema.label}.{name} has {len(cell)} bytes, {_MAX_KEY_BYTES} are allowed"
                )
        return DataError(f"key column {self.schema.label}.{self.schema.key[0]} is empty")


def routing_key(partition_key: Sequence[bytes]) -> bytes:
    """Return the bytes that decide which hosts hold a partition."""
    if len(partition_key) == 1:
        return partition_key[0]
    return b"".join([_short(len(part)) + part + b"\0" for part in partition_key])


def bound(prepared: Any, values: list[Cell], partition: bytes) -> Any:
    """Bind bytes as they are: `BoundStatement.bind` would encode Python values, which the columns have done.

    Args:
        prepared: The driver's prepared statement.
        values: Encoded values in its order.
        partition: Routing key of the partition that it touches.
    """
    statement = BoundStatement(prepared, routing_key=partition)
    statement.values = statement.raw_values = values
    return statement


def _checked_time(ts_us: int) -> int:
    if not -(1 << 63) < ts_us < 1 << 63:
        raise DataError(f"the timestamp {ts_us} is beyond 64 bits")
    return ts_us


def copied(error: BaseException) -> BaseException:
    """Return an error for one of several waiters: raising one object in several places mixes up its traceback."""
    return type(error)(str(error)) if isinstance(error, ConnectError) else error
