"""Rows of one table layout to Canal messages.

The parts of a message that are the same for all rows of a table or of an event are encoded once; a message is put
together from such pieces and the row's own text, in the alphabetical order of Canal's keys.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any, Final, NamedTuple

import orjson

from connectors.api.errors import FatalError
from connectors.sources.mysql.column_types import mysql_type, sql_type
from connectors.sources.mysql.columns import Table, read_length
from connectors.sources.mysql.decoder import ImageDecoder, Parts, TextDecoder, compile_image, compile_texts
from connectors.sources.mysql.fields import Rendering, field_of

__all__ = ["Change", "EventFacts", "TableCodec", "ddl_message"]


class Change(NamedTuple):
    """A changed row, its parts as JSON text.

    Attributes:
        row: The row after the change; of a DELETE, before it.
        key: Its key's columns, or None where the table or the image has no key.
        wide: Mask of the unsigned columns whose value is above the signed maximum.
        type: INSERT, UPDATE or DELETE.
        old: Of an UPDATE, the former values of the columns that changed.
    """

    row: str
    key: str | None
    wide: int
    type: str
    old: str | None = None


@dataclass(frozen=True, slots=True)
class EventFacts:
    """What the messages of one event have in common.

    Attributes:
        es_ms: Time of the statement, whole seconds, in milliseconds since 1970.
        ts_ms: Time of making the message, in milliseconds since 1970.
        id: Canal's batch number.
        gtids: GTIDs executed up to and with this transaction; empty where there are none.
    """

    es_ms: int
    ts_ms: int
    id: int
    gtids: str = ""


class TableCodec:
    """Turns row events of one layout into changes, and changes into messages.

    Args:
        table: The layout.
        topic: Topic of its messages.
        rendering: Choices of text form.
        key_changes: Whether an UPDATE of the key becomes a DELETE and an INSERT. With the key as Kafka key, old and
            new row may lie on different partitions, whose order among each other nobody keeps: a consumer that saw
            only the UPDATE could not remove the old row after a later change of the same key.
    """

    def __init__(self, table: Table, topic: str, rendering: Rendering, *, key_changes: bool, where: str) -> None:
        self.table = table
        self.topic = topic
        self._key_changes = key_changes
        self._where = where
        self._fields = [field_of(column, rendering, where) for column in table.columns]
        self._texts: dict[bytes, TextDecoder] = {}
        self._images: dict[bytes, tuple[ImageDecoder, list[int]]] = {}
        self._names = [encode_basestring(column.name) + ":" for column in table.columns]
        types = {column.name: mysql_type(column) for column in table.columns}
        key_names = [table.columns[index].name for index in table.key] or None
        self._database = f'],"database":{encode_basestring(table.database)},"es":'
        self._types = f',"isDdl":false,"mysqlType":{_json(types)},"old":'
        self._key_names = f',"pkNames":{_json(key_names)},"sql":"","sqlType":'
        self._table = f',"table":{encode_basestring(table.name)},"ts":'
        self._sql_types: dict[int, str] = {}

    def changes(self, kind: str, body: bytes, at: int) -> list[Change]:
        """Decode a row event.

        Args:
            kind: INSERT, UPDATE or DELETE.
            body: The event after its header, checksum cut off.
            at: Position of the column count.

        Raises:
            FatalError: The bytes do not fit the layout.
        """
        try:
            count, at = read_length(body, at)
            self._check("columns", count, len(self.table.columns))
            width = (count + 7) // 8
            present, at = body[at : at + width], at + width
            if kind == "UPDATE":
                changes, end = self._updates(present, body[at : at + width], body, at + width)
            else:
                rows, end = self._text_decoder(present)(body, at, len(body))
                changes = [Change(row, key, wide, kind) for row, key, wide in rows]
            self._check("bytes", end, len(body))
        except (ValueError, IndexError, KeyError, ArithmeticError, struct.error) as error:
            raise FatalError(f"{self._where}: a row cannot be decoded: {error}") from error
        return changes

    def _check(self, what: str, found: int, expected: int) -> None:
        if found != expected:
            raise ValueError(f"{found} {what} where the table map event says {expected}")

    def message(self, changes: Sequence[Change], facts: EventFacts) -> bytes:
        """Return the message of changes of the same type; all rows of an event, or a single one."""
        first = changes[0]
        if len(changes) == 1:
            head, tail = self.pieces(first.type, first.wide, facts)
            return f'{{"data":[{first.row}{head}{_old(first.old)}{tail}'.encode()
        rows = ",".join([change.row for change in changes])
        olds = "null" if first.old is None else f"[{','.join([change.old or '{}' for change in changes])}]"
        # Canal takes the type codes of the last row.
        head, tail = self.pieces(first.type, changes[-1].wide, facts)
        return f'{{"data":[{rows}{head}{olds}{tail}'.encode()

    def pieces(self, kind: str, wide: int, facts: EventFacts) -> tuple[str, str]:
        """Return what stands between `data` and `old`, and after `old`."""
        codes = self._sql_types.get(wide)
        if codes is None:
            columns = enumerate(self.table.columns)
            by_name = {column.name: sql_type(column, wide=bool(wide >> n & 1)) for n, column in columns}
            codes = self._sql_types[wide] = _json(by_name)
        head = f'{self._database}{facts.es_ms},"gtid":"{facts.gtids}","id":{facts.id}{self._types}'
        return head, f'{self._key_names}{codes}{self._table}{facts.ts_ms},"type":"{kind}"}}'

    def _parts(self, present: bytes) -> Parts:
        bits = int.from_bytes(present, "little")
        columns = self.table.columns
        return [(i, columns[i], self._fields[i]) for i in range(len(columns)) if bits >> i & 1]

    def _text_decoder(self, present: bytes) -> TextDecoder:
        decoder = self._texts.get(present)
        if decoder is None:
            parts = self._parts(present)
            held = {index for index, _, _ in parts}
            key = self.table.key if held.issuperset(self.table.key) else []
            decoder = self._texts[present] = compile_texts(parts, key)
        return decoder

    def _image_decoder(self, present: bytes) -> tuple[ImageDecoder, list[int]]:
        found = self._images.get(present)
        if found is None:
            parts = self._parts(present)
            found = self._images[present] = (compile_image(parts), [index for index, _, _ in parts])
        return found

    def _updates(self, before_bits: bytes, after_bits: bytes, body: bytes, at: int) -> tuple[list[Change], int]:
        before_of, before_columns = self._image_decoder(before_bits)
        after_of, after_columns = self._image_decoder(after_bits)
        complete = before_columns == after_columns and len(after_columns) == len(self._names)
        end = len(body)
        changes: list[Change] = []
        while at < end:
            before, before_wide, at = before_of(body, at)
            after, wide, at = after_of(body, at)
            if complete:
                self._update(changes, before, after, before_wide, wide)
            else:
                known = dict(zip(before_columns, before, strict=True))
                self._partial_update(changes, known, dict(zip(after_columns, after, strict=True)), wide | before_wide)
        return changes, at

    def _update(
        self,
        changes: list[Change],
        before: tuple[str, ...],
        after: tuple[str, ...],
        before_wide: int,
        wide: int,
    ) -> None:
        names = self._names
        row = f"{{{','.join([n + v for n, v in zip(names, after, strict=True)])}}}"
        key = self._key(after)
        if self._key_changes and key is not None and (old_key := self._key(before)) != key:
            old_row = f"{{{','.join([n + v for n, v in zip(names, before, strict=True)])}}}"
            changes.append(Change(old_row, old_key, before_wide, "DELETE"))
            changes.append(Change(row, key, wide, "INSERT"))
            return
        old = ",".join([n + v for n, v, w in zip(names, before, after, strict=True) if v != w])
        changes.append(Change(row, key, wide, "UPDATE", f"{{{old}}}"))

    def _partial_update(
        self,
        changes: list[Change],
        before: dict[int, str],
        after: dict[int, str],
        wide: int,
    ) -> None:
        """Handle images that lack columns (MINIMAL, NOBLOB): the row is what both together know."""
        row = {index: after.get(index, before.get(index, "")) for index in sorted(before.keys() | after.keys())}
        key, old_key = self._key(row), self._key({**row, **before})
        if self._key_changes and key is not None and old_key != key:
            changes.append(Change(self._partial(before), old_key, wide, "DELETE"))
            changes.append(Change(self._partial(row), key, wide, "INSERT"))
            return
        old = {index: value for index, value in before.items() if after.get(index, value) != value}
        changes.append(Change(self._partial(row), key, wide, "UPDATE", self._partial(old)))

    def _key(self, values: Any) -> str | None:
        try:
            key = ",".join([self._names[index] + values[index] for index in self.table.key])
        except KeyError:
            return None  # an image without the key's columns
        return f"{{{key}}}" if key else None

    def _partial(self, values: dict[int, str]) -> str:
        return f"{{{','.join([self._names[index] + value for index, value in values.items()])}}}"


def _old(old: str | None) -> str:
    return "null" if old is None else f"[{old}]"


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


_DDL: Final = {"data": None, "mysqlType": None, "old": None, "pkNames": None, "sqlType": None}


def ddl_message(kind: str, database: str, table: str, sql: str, facts: EventFacts) -> bytes:
    """Return the message of a schema change."""
    message = {
        **_DDL,
        "database": database,
        "es": facts.es_ms,
        "gtid": facts.gtids,
        "id": facts.id,
        "isDdl": True,
        "sql": sql,
        "table": table,
        "ts": facts.ts_ms,
        "type": kind,
    }
    return orjson.dumps(message, option=orjson.OPT_SORT_KEYS)


def group(changes: Iterable[Change]) -> list[list[Change]]:
    """Split changes where the type changes, so that each group is one message."""
    groups: list[list[Change]] = []
    for change in changes:
        if groups and groups[-1][0].type == change.type:
            groups[-1].append(change)
        else:
            groups.append([change])
    return groups
