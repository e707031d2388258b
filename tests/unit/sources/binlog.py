"""Binlog events built by hand, for tests without a server."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from uuid import UUID

from connectors.sources.mysql import events as e
from connectors.sources.mysql.changes import ChangeStream

SERVER = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


def handle(stream: ChangeStream, event: bytes) -> None:
    """Have a stream take an event with all that it holds."""
    stream.begin(event)
    while stream.go_on():
        pass


class Log:
    """Builds events and keeps the position."""

    def __init__(self, pos: int = 4) -> None:
        self.pos = pos
        self.seconds = 1_700_000_000

    def event(
        self, kind: int, body: bytes, *, flags: int = 0, checksum: bool = True, next_pos: int | None = None
    ) -> bytes:
        size = e.HEADER_SIZE + len(body) + 4
        self.pos += size
        after = self.pos if next_pos is None else next_pos
        data = struct.pack("<IBIIIH", self.seconds, kind, 1, size, after, flags) + body
        return data + zlib.crc32(data).to_bytes(4, "little")

    def format(self) -> bytes:
        return self.event(e.FORMAT, b"\x04\0" + b"9.7.4".ljust(50, b"\0") + bytes(5) + b"\0" * 30 + b"\1")

    def rotate(self, file: str, pos: int = 4) -> bytes:
        self.pos = pos
        return self.event(e.ROTATE, struct.pack("<Q", pos) + file.encode())

    def gtid(self, number: int, commit_us: int) -> bytes:
        head = b"\0" + UUID(SERVER).bytes + struct.pack("<QBQQ", number, 2, 0, 1)
        return self.event(e.GTID, head + commit_us.to_bytes(7, "little"))

    def query(self, sql: str, database: str = "d") -> bytes:
        head = struct.pack("<IIBHH", 1, 0, len(database), 0, 0)
        return self.event(e.QUERY, head + database.encode() + b"\0" + sql.encode())

    def rows_query(self, sql: str) -> bytes:
        """The text of the statement whose rows follow; its length byte is of no use for long ones."""
        return self.event(e.ROWS_QUERY, bytes([len(sql) % 256]) + sql.encode())

    def annotation(self, sql: str) -> bytes:
        return self.event(e.ANNOTATE_ROWS, sql.encode())

    def xid(self) -> bytes:
        return self.event(e.XID, bytes(8))

    def table_map(self, table: str, table_id: int = 7, database: str = "d", *, key: bool = True) -> bytes:
        """Columns `id int unsigned`, `name varchar(20)`."""
        names = b"\x02id\x04name"
        optional = b"\1\1\x80" + b"\2\1\xff".replace(b"\xff", b"\x2d") + bytes([4, len(names)]) + names
        if key:
            optional += b"\x08\1\0"
        head = table_id.to_bytes(6, "little") + b"\1\0" + _name(database) + _name(table)
        return self.event(e.TABLE_MAP, head + b"\2\3\x0f" + b"\2\x50\0" + b"\2" + optional)

    def rows(self, kind: int, rows: Sequence[tuple[int, str | None]], table_id: int = 7, *, flags: int = 1) -> bytes:
        """For an update, before and after image in turn; flag 1 is of a statement's last event."""
        bitmaps = b"\3\3" if e.ROWS[kind][0] == "UPDATE" else b"\3"
        head = table_id.to_bytes(6, "little") + struct.pack("<H", flags) + b"\2\0" + b"\2" + bitmaps
        return self.event(kind, head + b"".join(row(*values) for values in rows))

    def insert(self, *rows: tuple[int, str | None], table_id: int = 7) -> bytes:
        return self.rows(30, rows, table_id)


def row(number: int, name: str | None) -> bytes:
    if name is None:
        return b"\2" + struct.pack("<I", number)
    data = name.encode()
    return b"\0" + struct.pack("<I", number) + bytes([len(data)]) + data


def _name(name: str) -> bytes:
    return bytes([len(name)]) + name.encode() + b"\0"
