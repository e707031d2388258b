"""The binlog events that matter here, read from their bytes.

Source: MySQL `binlog_event.h` and `control_events.h`, MariaDB `log_event.h`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, Final
from uuid import UUID

from connectors.sources.mysql.charsets import Charsets
from connectors.sources.mysql.columns import read_length

if TYPE_CHECKING:
    from zstandard import ZstdDecompressionReader, ZstdDecompressor

__all__ = [
    "HEADER",
    "HEADER_SIZE",
    "IGNORED",
    "Gtid",
    "Query",
    "checksum_size",
    "inflate_event",
    "mariadb_gtid",
    "mysql_gtid",
    "payload_events",
    "query",
    "rotate",
    "tagged_gtid",
]

HEADER: Final = Struct("<IBIIIH").unpack_from
"""Timestamp in seconds, type, server id, size, position of the next event, flags."""
HEADER_SIZE: Final = 19
_ZSTANDARD: Final = 0

QUERY, STOP, ROTATE, FORMAT, XID, TABLE_MAP, INCIDENT, HEARTBEAT = 2, 3, 4, 15, 16, 19, 26, 27
GTID, ANONYMOUS_GTID, XA_PREPARE, PARTIAL_UPDATE, PAYLOAD, GTID_TAGGED = 33, 34, 38, 39, 40, 42
EXECUTE_LOAD, ROWS_QUERY, ANNOTATE_ROWS = 18, 29, 160
PREVIOUS_GTIDS = 35
MARIADB_GTID, MARIADB_QUERY_COMPRESSED = 162, 165
ARTIFICIAL: Final = 0x20
"""Flag of events that the server makes for the stream only; they take no room in the file."""
IGNORABLE: Final = 0x80
"""Flag of events that a reader who does not know them may leave out."""

ROWS: Final = {
    23: ("INSERT", 8), 24: ("UPDATE", 8), 25: ("DELETE", 8),
    30: ("INSERT", 10), 31: ("UPDATE", 10), 32: ("DELETE", 10),
}  # fmt: skip
"""Row events: what they do, and the size of the head before the columns (10: with the length of extra data)."""
INFLATED: Final = {165: QUERY, 166: 23, 167: 24, 168: 25, 169: 30, 170: 31, 171: 32}
"""MariaDB's compressed events and what they are once inflated."""

IGNORED: Final = frozenset(
    {STOP, HEARTBEAT, 41, 35, 36, 37, 28, ROWS_QUERY, 5, 13, 14, 17, ANNOTATE_ROWS, 161, 163, 164},
)
"""Heartbeats, lists of former GTIDs, group replication's notes, statement texts, values for statements, encryption."""


@dataclass(frozen=True, slots=True)
class Gtid:
    """The start of a transaction.

    Attributes:
        source: MySQL: server UUID, with `:tag` where there is one; MariaDB: domain.
        text: The transaction's GTID; empty where it has none.
        number: Its sequence number.
        commit_us: Commit time in microseconds since 1970, or None where the event has only seconds.
        standalone: MariaDB: whether the transaction is one statement without COMMIT.
    """

    source: str
    text: str
    number: int
    commit_us: int | None = None
    standalone: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """A statement.

    Attributes:
        database: The session's database.
        sql: The statement.
    """

    database: str
    sql: str


def checksum_size(body: bytes) -> int:
    """Return the bytes of the checksum behind each event of a file, from its format description event."""
    return 4 if body[-5] == 1 else 0


def rotate(event: bytes) -> tuple[str, int]:
    """Read a whole rotate event: the next file and the position in it.

    Whether the artificial one has a checksum depends on server and session, so the checksum itself is asked.
    """
    end = len(event)
    if zlib.crc32(event[:-4]) == int.from_bytes(event[-4:], "little"):
        end -= 4
    return event[HEADER_SIZE + 8 : end].decode(), int.from_bytes(event[HEADER_SIZE : HEADER_SIZE + 8], "little")


def mysql_gtid(body: bytes, *, anonymous: bool) -> Gtid:
    """Read a GTID event of MySQL; the commit time in it needs MySQL 8.0.1."""
    commit_us = None
    if len(body) >= 49 and body[25] == 2:
        # Bit 55 says that the original server's commit time follows.
        commit_us = int.from_bytes(body[42:49], "little") & ~(1 << 55)
    if anonymous:
        return Gtid("", "", 0, commit_us or None)
    source = str(UUID(bytes=body[1:17]))
    number = int.from_bytes(body[17:25], "little")
    return Gtid(source, f"{source}:{number}", number, commit_us or None)


def tagged_gtid(body: bytes) -> Gtid:
    """Read a GTID event with a tag, MySQL 8.3 and later.

    Its fields are (number, value) pairs of variable size, source: MySQL `libs/mysql/serialization`: the trailing ones
    of a number's first byte count the bytes that follow.
    """
    reader = _Variable(body)
    for _ in range(3):
        reader.number()  # version, size, last field that must be understood
    uuid, number, tag, commit_us = b"", 0, "", None
    while reader.at < len(body):
        field = reader.number()
        if field == 1:
            uuid = bytes(reader.number() for _ in range(16))
        elif field == 2:
            number = reader.signed()
        elif field == 3:
            tag = reader.text()
        elif field == 6:
            commit_us = reader.number()
            break
        elif field in (4, 5):
            reader.signed()
        else:
            reader.number()
    source = f"{UUID(bytes=uuid)}:{tag}" if tag else str(UUID(bytes=uuid))
    return Gtid(source, f"{source}:{number}", number, commit_us)


class _Variable:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def number(self) -> int:
        first = self._data[self.at]
        more = 0
        while more < 8 and first >> more & 1:
            more += 1
        value = int.from_bytes(self._data[self.at : self.at + 1 + more], "little")
        self.at += 1 + more
        return value >> min(more + 1, 8)

    def signed(self) -> int:
        value = self.number()
        return -(value >> 1) - 1 if value & 1 else value >> 1

    def text(self) -> str:
        size = self.number()
        self.at += size
        return self._data[self.at - size : self.at].decode()


def mariadb_gtid(body: bytes, server_id: int) -> Gtid:
    """Read a GTID event of MariaDB."""
    number = int.from_bytes(body[:8], "little")
    domain = int.from_bytes(body[8:12], "little")
    return Gtid(str(domain), f"{domain}-{server_id}-{number}", number, None, bool(body[12] & 1))


_SKIP: Final[dict[int, Callable[[bytes, int], int]]] = {
    0: lambda body, at: at + 4,
    1: lambda body, at: at + 8,
    3: lambda body, at: at + 4,
    6: lambda body, at: at + 1 + body[at],
}
"""Status variables that stand before the character set in a query event."""


def query(body: bytes, charsets: Charsets, *, load: bool = False) -> Query:
    """Read a query event.

    Args:
        body: The event after its header, checksum cut off.
        charsets: Character sets of the server; the statement is in that of its client.
        load: Whether it is the kind that loads a file, whose head is longer.
    """
    database_size = body[8]
    status_size = int.from_bytes(body[11:13], "little")
    at = 13 + (13 if load else 0)
    end = at + status_size
    codec = None
    while at < end:
        kind = body[at]
        if kind == 4:
            codec = charsets[int.from_bytes(body[at + 1 : at + 3], "little")].codec
            break
        skip = _SKIP.get(kind)
        if skip is None:
            break
        at = skip(body, at + 1)
    database = body[end : end + database_size].decode("utf-8", "replace")
    return Query(database, body[end + database_size + 1 :].decode(codec or "utf-8", "replace"))


def inflate_event(kind: int, body: bytes) -> tuple[int, bytes]:
    """Undo MariaDB's event compression: returns the real type and body.

    Source: MariaDB `log_event.cc`, `binlog_buf_uncompress` and its callers: only the statement, or the rows after the
    column bitmaps, are deflated; a byte with method and size of the length, and the length, stand before.
    """
    real = INFLATED[kind]
    if real == QUERY:
        start = 13 + int.from_bytes(body[11:13], "little") + body[8] + 1
    else:
        start = ROWS[real][1]
        if start == 10:
            start += int.from_bytes(body[8:10], "little") - 2
        width = (
            (body[start] + 7) // 8
            if body[start] < 251
            else (int.from_bytes(body[start + 1 : start + 3], "little") + 7) // 8
        )
        start += (1 if body[start] < 251 else 3) + width * (2 if ROWS[real][0] == "UPDATE" else 1)
    head = body[start]
    if head & 0xF0 != 0x80:
        raise ValueError(f"unknown method {head >> 4 & 7} of a compressed event")
    return real, body[:start] + zlib.decompress(body[start + 1 + (head & 7) :])


def payload_events(body: bytes) -> Iterator[bytes]:
    """Return the events of a compressed transaction, one after the other.

    Source: MySQL `libs/mysql/binlog/event/codecs`: numbered fields (1: size, 2: method, 3: size when inflated, 0: end
    of the fields), then events without checksums.

    Raises:
        ValueError: The method is not known.
    """
    at, method = 0, _ZSTANDARD
    while True:
        field, at = read_length(body, at)
        if field == 0:
            break
        length, at = read_length(body, at)
        if field == 2:
            method, _ = read_length(body, at)
        at += length
    if method != _ZSTANDARD:
        raise ValueError(f"unknown method {method} of a compressed transaction")
    from zstandard import ZstdDecompressor

    return _inflated(ZstdDecompressor(), memoryview(body)[at:])


def _inflated(decompressor: ZstdDecompressor, data: memoryview) -> Iterator[bytes]:
    # Event by event, so that a large transaction is never in memory whole.
    with closing(decompressor.stream_reader(data, read_across_frames=True)) as reader:
        while head := _read(reader, HEADER_SIZE):
            yield head + _read(reader, HEADER(head)[3] - HEADER_SIZE)


def _read(reader: ZstdDecompressionReader, size: int) -> bytes:
    parts = []
    while size and (part := reader.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
