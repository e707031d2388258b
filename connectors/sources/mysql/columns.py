"""A table's columns as a table map event describes them.

With `binlog_row_metadata=FULL` the event carries names, signs, character sets, labels and the primary key, so that any
event is decoded right whatever became of the table since. Source: MySQL's `Table_map_event`, MariaDB's
`Table_map_log_event`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from connectors.api.errors import FatalError
from connectors.sources.mysql.charsets import BINARY, Charset, Charsets

__all__ = ["Column", "Table", "parse_columns", "read_length", "table_name"]

TINY, SHORT, LONG, FLOAT, DOUBLE, LONGLONG, INT24, YEAR = 1, 2, 3, 4, 5, 8, 9, 13
TIMESTAMP, DATE, TIME, DATETIME, NEWDATE, TIMESTAMP2, DATETIME2, TIME2 = 7, 10, 11, 12, 14, 17, 18, 19
VARCHAR, BIT, JSON, NEWDECIMAL, ENUM, SET = 15, 16, 245, 246, 247, 248
BLOB, VAR_STRING, STRING, GEOMETRY, VECTOR = 252, 253, 254, 255, 242
BLOB_COMPRESSED, VARCHAR_COMPRESSED = 140, 141
"""Column types as numbered in table map events; the last two are MariaDB's."""

_NUMERIC: Final = frozenset({TINY, SHORT, INT24, LONG, LONGLONG, NEWDECIMAL, FLOAT, DOUBLE, YEAR})
_CHARACTER: Final = frozenset({STRING, VAR_STRING, VARCHAR, BLOB, BLOB_COMPRESSED, VARCHAR_COMPRESSED})
_TWO_BYTES: Final = frozenset({VARCHAR, VAR_STRING, STRING, BIT, NEWDECIMAL, ENUM, SET, VARCHAR_COMPRESSED})
_ONE_BYTE: Final = frozenset(
    {FLOAT, DOUBLE, BLOB, BLOB_COMPRESSED, JSON, GEOMETRY, TIMESTAMP2, DATETIME2, TIME2, VECTOR},
)
GEOMETRIES: Final = (
    "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon", "geomcollection",
)  # fmt: skip


@dataclass(slots=True)
class Column:
    """One column.

    Attributes:
        type: Type number; ENUM and SET stand for themselves, although events write them as STRING.
        meta: Type-dependent: bytes of the length, digits of a second, precision and scale, and so on.
        name: Name as written in CREATE TABLE.
        unsigned: Whether a number has no sign.
        charset: Character set of text and labels; None for bytes and for types without text.
        labels: Labels of ENUM and SET.
        shape: Kind of geometry, or dimensions of a vector.
        special: MariaDB's `uuid`, `inet4` or `inet6`, which events do not tell apart from BINARY.
        full_type: Type with display width and zerofill, from the catalogue; None where it says nothing more.
    """

    type: int
    meta: tuple[int, int] = (0, 0)
    name: str = ""
    unsigned: bool = False
    charset: Charset | None = None
    labels: tuple[str, ...] = ()
    shape: int = 0
    special: str = ""
    full_type: str | None = None


@dataclass(slots=True)
class Table:
    """A table's layout at the time of an event.

    Attributes:
        database: Its schema.
        name: Its name.
        columns: Columns in their order.
        key: Positions of the primary key's columns, in column order.
    """

    database: str
    name: str
    columns: list[Column]
    key: list[int] = field(default_factory=list)


def read_length(data: bytes, at: int) -> tuple[int, int]:
    """Read a length-encoded number: returns it and the position after it."""
    first = data[at]
    if first < 251:
        return first, at + 1
    size = {252: 2, 253: 3, 254: 8}[first]
    return int.from_bytes(data[at + 1 : at + 1 + size], "little"), at + 1 + size


def table_name(body: bytes, at: int) -> tuple[str, str, int]:
    """Read database and table of a table map event.

    Args:
        body: The event after its header.
        at: Position after table id and flags.

    Returns:
        Database, table, and the position of the column count.
    """
    length = body[at]
    database = body[at + 1 : at + 1 + length].decode("utf-8", "replace")
    at += length + 2
    length = body[at]
    return database, body[at + 1 : at + 1 + length].decode("utf-8", "replace"), at + length + 2


def parse_columns(
    body: bytes,
    at: int,
    charsets: Charsets,
    flavor: str,
    where: str,
) -> tuple[list[Column], list[int]]:
    """Read the columns of a table map event.

    Args:
        body: The event after its header, checksum cut off.
        at: Position of the column count, as `table_name` returns it.
        charsets: Character sets of the server.
        flavor: `mysql` or `mariadb`.
        where: Table and place, for messages.

    Returns:
        The columns, and the positions of those in the primary key.

        Without `binlog_row_metadata=FULL` the columns have no names, and there is no key.

    Raises:
        FatalError: The event has a column of an unknown type.
    """
    count, at = read_length(body, at)
    types = body[at : at + count]
    _, at = read_length(body, at + count)
    columns = []
    for number, type_ in enumerate(types):
        column, at = _column(type_, body, at, f"{where}: column {number + 1}")
        columns.append(column)
    at += (count + 7) // 8
    reader = _Metadata(columns, charsets, flavor)
    key = reader.read(body, at)
    return columns, key


def _column(type_: int, body: bytes, at: int, where: str) -> tuple[Column, int]:
    if type_ in _TWO_BYTES:
        first, second = body[at], body[at + 1]
        # STRING's bytes hold the real type, and for CHAR two bits of a length above 255 in the type's place.
        if type_ == STRING and first in (ENUM, SET):
            return Column(first, (second, 0)), at + 2
        if type_ == STRING:
            return Column(type_, ((((first << 4) & 0x300) ^ 0x300) + second, 0)), at + 2
        if type_ in (BIT, NEWDECIMAL):
            return Column(type_, (first, second)), at + 2
        return Column(type_, (first | second << 8, 0)), at + 2
    if type_ in _ONE_BYTE:
        return Column(type_, (body[at], 0)), at + 1
    if type_ in _NUMERIC or type_ in (TIMESTAMP, DATE, TIME, DATETIME, NEWDATE):
        return Column(type_), at
    raise FatalError(f"{where} has the unknown type {type_}: exclude the table with table.exclude.list")


class _Metadata:
    """Reads the optional part of a table map event into the columns."""

    def __init__(self, columns: list[Column], charsets: Charsets, flavor: str) -> None:
        self._columns = columns
        self._charsets = charsets
        self._character = [column for column in columns if self._has_charset(column.type, flavor)]
        self._labelled = [column for column in columns if column.type in (ENUM, SET)]
        self._key: list[int] = []
        self._fields: dict[int, Callable[[bytes], None]] = {
            1: self._signs,
            2: lambda data: self._default_charset(data, self._character),
            3: lambda data: self._each_charset(data, self._character),
            4: self._names,
            5: lambda data: self._labels(data, SET),
            6: lambda data: self._labels(data, ENUM),
            7: lambda data: self._shapes(data, GEOMETRY),
            8: self._simple_key,
            9: self._prefix_key,
            10: lambda data: self._default_charset(data, self._labelled),
            11: lambda data: self._each_charset(data, self._labelled),
            13: lambda data: self._shapes(data, VECTOR),
        }
        self._raw_labels: dict[int, list[list[bytes]]] = {}

    @staticmethod
    def _has_charset(type_: int, flavor: str) -> bool:
        return type_ in _CHARACTER or type_ == (GEOMETRY if flavor == "mariadb" else VECTOR)

    def read(self, body: bytes, at: int) -> list[int]:
        end = len(body)
        while at < end:
            kind = body[at]
            length, at = read_length(body, at + 1)
            reader = self._fields.get(kind)
            if reader is not None:
                reader(body[at : at + length])
            at += length
        self._attach_labels()
        return sorted(self._key)

    def _signs(self, data: bytes) -> None:
        numeric = (column for column in self._columns if column.type in _NUMERIC)
        for index, column in enumerate(numeric):
            column.unsigned = bool(data[index >> 3] & 0x80 >> (index & 7))

    def _default_charset(self, data: bytes, columns: list[Column]) -> None:
        numbers = list(_numbers(data))
        others = dict(zip(numbers[1::2], numbers[2::2], strict=True))
        for index, column in enumerate(columns):
            self._set_charset(column, others.get(index, numbers[0]))

    def _each_charset(self, data: bytes, columns: list[Column]) -> None:
        for column, collation in zip(columns, _numbers(data), strict=True):
            self._set_charset(column, collation)

    def _set_charset(self, column: Column, collation: int) -> None:
        column.charset = None if collation == BINARY or column.type in (GEOMETRY, VECTOR) else self._charsets[collation]

    def _names(self, data: bytes) -> None:
        at = 0
        for column in self._columns:
            length, at = read_length(data, at)
            column.name = data[at : at + length].decode("utf-8", "replace")
            at += length

    def _labels(self, data: bytes, type_: int) -> None:
        at = 0
        lists = self._raw_labels.setdefault(type_, [])
        while at < len(data):
            count, at = read_length(data, at)
            labels = []
            for _ in range(count):
                length, at = read_length(data, at)
                labels.append(data[at : at + length])
                at += length
            lists.append(labels)

    def _attach_labels(self) -> None:
        """Decode the labels once all fields are read: their character set may follow them."""
        for type_, lists in self._raw_labels.items():
            columns = [column for column in self._columns if column.type == type_]
            for column, labels in zip(columns, lists, strict=True):
                codec = (column.charset.codec if column.charset else None) or "latin-1"
                column.labels = tuple(label.decode(codec, "replace") for label in labels)

    def _shapes(self, data: bytes, type_: int) -> None:
        columns = (column for column in self._columns if column.type == type_)
        for column, shape in zip(columns, _numbers(data), strict=True):
            column.shape = shape

    def _simple_key(self, data: bytes) -> None:
        self._key = list(_numbers(data))

    def _prefix_key(self, data: bytes) -> None:
        self._key = list(_numbers(data))[::2]


def _numbers(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        number, at = read_length(data, at)
        yield number
