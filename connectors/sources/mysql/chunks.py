"""Tables in chunks along their primary key, and the queries that read them."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pymysql
from pymysql.connections import MySQLResult
from pymysql.constants import COMMAND
from pymysql.converters import encoders

from connectors.api.errors import FatalError
from connectors.sources.mysql import columns as c
from connectors.sources.mysql.codec import TableCodec
from connectors.sources.mysql.columns import Column, Table
from connectors.sources.mysql.connection import Address, PacketBuffer, connect, translated
from connectors.sources.mysql.plan import Plan
from connectors.sources.mysql.preflight import Ask
from connectors.sources.mysql.selection import Selection, name
from connectors.sources.mysql.snapshot_decoder import LARGEST_PACKET, RowDecoder, frame, raw_values
from connectors.sources.mysql.updates import Change

__all__ = ["TABLES", "RawRows", "TableChunks", "asker", "changes_of", "open_rows", "read_rows"]

TABLES: Final = (
    "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES"
    " WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')"
    " ORDER BY TABLE_SCHEMA, TABLE_NAME"
)
"""All tables."""

_KEY: Final = (
    "SELECT COLUMN_NAME FROM information_schema.STATISTICS"
    " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s AND INDEX_NAME = 'PRIMARY' ORDER BY SEQ_IN_INDEX"
)
_NUMBERS: Final = frozenset({c.TINY, c.SHORT, c.INT24, c.LONG, c.LONGLONG, c.NEWDECIMAL, c.YEAR})
_TIMES: Final = frozenset({c.DATE, c.TIME2, c.DATETIME2})
_TEXTS: Final = frozenset({c.STRING, c.VARCHAR})
_NO_HEADER: Final = bytes(4)
_NUMBER: Final = re.compile(rb"-?\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class RawRows:
    """Rows as the server sent them.

    Attributes:
        data: Packets.
        end: Position after the last row.
        count: Number of rows.
        last: Position of the last row's values.
    """

    data: bytes
    end: int
    count: int
    last: int


class TableChunks:
    """Reads one table.

    Args:
        ask: Runs queries.
        plan: What to do.
        table: The table's layout.
        size: Rows of a chunk.
        whole: Whether the rows come as messages.
    """

    def __init__(self, ask: Ask, plan: Plan, table: Table, size: int, *, whole: bool = False) -> None:
        self.table = table
        self.rules = plan.rules.of(table)
        # Of a row that decides something about itself the values are needed.
        self.whole = whole and not self.rules.looked_at
        self._selection = Selection(table, self.rules, plan.rendering, whole=self.whole)
        self._size = size
        positions = {column.name: n for n, column in enumerate(table.columns)}
        key = [positions[str(row[0])] for row in ask(_KEY, table.database, table.name)]
        self._key = key if key and all(_comparable(table.columns[n]) for n in key) else []

    @property
    def divided(self) -> bool:
        """Whether the table is read in chunks; otherwise it is one."""
        return bool(self._key)

    @property
    def decode(self) -> RowDecoder:
        """The decoder of its rows."""
        return self._selection.decode

    def sql(self, after: Sequence[str] | None) -> str:
        """Return the statement of the next chunk.

        Args:
            after: Key of the last row that was read, as SQL literals.
        """
        if not self._key:
            return self._selection.sql
        columns = [name(self.table.columns[n].name) for n in self._key]
        where = f" WHERE {_behind(columns, after)}" if after else ""
        return f"{self._selection.sql}{where} ORDER BY {', '.join(columns)} LIMIT {self._size}"

    def after(self, data: bytes, at: int) -> list[str] | None:
        """Return the key of a row as SQL literals.

        Args:
            data: Buffer with the row.
            at: Position of its values.
        """
        if not self._key:
            return None
        row = dict(zip(self._selection.indexes, raw_values(data, at, len(self._selection.indexes)), strict=True))
        return [_literal(self.table.columns[n], row[n]) for n in self._key]

    def more(self, count: int) -> bool:
        """Tell whether another chunk may follow one of so many rows."""
        return self.divided and count >= self._size


def _comparable(column: Column) -> bool:
    """Whether a value, written as a literal, is equal to itself and sorts as the index does."""
    if column.special:
        return False
    return column.type in _NUMBERS | _TIMES | _TEXTS or column.type == c.TIMESTAMP2


def _literal(column: Column, value: bytes | None) -> str:
    if value is None:
        raise FatalError(f"column {column.name} of the primary key is NULL")
    if column.type in _TEXTS:
        return f"_utf8mb4 X'{value.hex()}'" if column.charset is not None else f"X'{value.hex()}'"
    if column.type in _TIMES:
        return f"'{value.decode('ascii')}'"
    if not _NUMBER.fullmatch(value):
        raise FatalError(f"column {column.name} of the primary key: {value!r} is no number")
    return f"FROM_UNIXTIME({value.decode()})" if column.type == c.TIMESTAMP2 else value.decode()


def _behind(columns: Sequence[str], values: Sequence[str]) -> str:
    """Return the condition of rows behind a key; it begins with a range of the first column, for the index."""
    column, value = columns[0], values[0]
    if len(columns) == 1:
        return f"{column} > {value}"
    rest = _behind(columns[1:], values[1:])
    return f"{column} >= {value} AND ({column} > {value} OR ({rest}))"


def read_rows(connection: Any, address: Address, sql: str) -> Iterator[RawRows]:
    """Run a statement; return its rows as they come.

    Args:
        connection: The connection, whose read file is a `PacketBuffer`.
        address: The server, for messages.
        sql: The statement.

    Raises:
        ConnectError: The server refuses, or is out of reach.
    """
    with translated(address):
        connection._execute_command(COMMAND.COM_QUERY, sql)
        result = MySQLResult(connection)
        result.init_unbuffered_query()
    result.unbuffered_active = False  # the rest of the answer is read here
    yield from _rows(connection, address)


def _rows(connection: Any, address: Address) -> Iterator[RawRows]:
    buffer: PacketBuffer = connection._rfile
    data = buffer.rest()
    while True:
        count, at, last = frame(data)
        if count:
            yield RawRows(data, at, count, last)
        data = data[at:]
        size = int.from_bytes(data[:3], "little") if len(data) >= 4 else -1
        if size < 0 or len(data) < 4 + size:
            with translated(address):
                data += buffer.more(max(4 + size - len(data), 1))
        elif size == LARGEST_PACKET:
            with translated(address):
                row, data = _large(buffer, data)
            yield RawRows(_NO_HEADER + row, 4 + len(row), 1, 4)
        else:
            _finish(connection, address, data[4 : 4 + size])
            return


def _large(buffer: PacketBuffer, data: bytes) -> tuple[bytes, bytes]:
    """Put a row of several packets together: returns it and what follows."""
    parts = []
    while True:
        if len(data) < 4:
            data += buffer.more(4 - len(data))
        (size,) = struct.unpack("<I", data[:3] + b"\0")
        if len(data) < 4 + size:
            data += buffer.more(4 + size - len(data))
        parts.append(data[4 : 4 + size])
        data = data[4 + size :]
        if size < LARGEST_PACKET:
            return b"".join(parts), data


def _finish(connection: Any, address: Address, packet: bytes) -> None:
    if packet[:1] == b"\xff":
        with translated(address):
            pymysql.err.raise_mysql_exception(packet)


def open_rows(address: Address) -> Any:
    """Open a connection for queries whose rows are decoded from its socket's bytes."""
    # Without decoders the few other queries give the server's texts.
    connection: Any = connect(address, conv=encoders)
    connection._rfile = PacketBuffer(connection._sock)
    return connection


def asker(connection: pymysql.Connection[Any], address: Address) -> Ask:
    """Return what runs queries on a connection."""

    def ask(sql: str, *values: Any) -> Sequence[Sequence[Any]]:
        with translated(address), connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())

    return ask


def changes_of(codec: TableCodec, rows: list[Any], kind: str) -> list[Change]:
    """Return the changes that rows of a snapshot are; rows that the filter leaves out are not among them."""
    wants, partition_of = codec.updates.wants, codec.updates.partition_of
    if not codec.rules.looked_at:
        partition = partition_of(())
        new: Any = tuple.__new__  # as in `TableCodec`
        return [new(Change, (row, key, variant, kind, None, partition)) for row, key, variant in rows]
    return [
        Change(row, key, variant, kind, None, partition_of(seen)) for row, key, variant, seen in rows if wants(seen)
    ]
