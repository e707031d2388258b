"""Rows of one table layout to Canal messages.

The parts of a message that are the same for all rows of a table or of an event are encoded once; a message is put
together from such pieces and the row's own text, in the alphabetical order of Canal's keys.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from json.encoder import encode_basestring
from typing import Any, Final

import orjson

from connectors.api.errors import FatalError
from connectors.sources.mysql.column_types import mysql_type, sql_type
from connectors.sources.mysql.columns import Column, Table, read_length
from connectors.sources.mysql.decoder import ImageDecoder, Part, TextDecoder, compile_image, compile_texts
from connectors.sources.mysql.fields import Field, Rendering, field_of
from connectors.sources.mysql.rules import TableRules
from connectors.sources.mysql.snapshot_decoder import Around
from connectors.sources.mysql.updates import Change, Updates
from connectors.sources.mysql.values import Cache

__all__ = ["Change", "EventFacts", "TableCodec", "UndecodableError", "ddl_message", "group"]


class UndecodableError(FatalError):
    """A row event whose bytes do not fit the table's layout."""


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

    With the key as Kafka key, an UPDATE of the key becomes a DELETE and an INSERT: old and new row may lie on different
    partitions, whose order among each other nobody keeps, so a consumer that saw only the UPDATE could not remove the
    old row after a later change of the same key.

    Args:
        table: The layout.
        rules: What is done with its rows.
        rendering: Choices of text form.
        where: Table and place, for messages.

    Raises:
        FatalError: A column cannot be decoded.
    """

    def __init__(self, table: Table, rules: TableRules, rendering: Rendering, *, where: str) -> None:
        self.table = table
        self.topic = rules.topic
        self.rules = rules
        self._where = where
        self._rendering = rendering
        self.parts = [
            Part(n, column, self._field(n, column), n not in rules.dropped, rules.changed.get(n))
            for n, column in enumerate(table.columns)
        ]
        self._texts: dict[bytes, TextDecoder] = {}
        self._images: dict[bytes, tuple[ImageDecoder, list[int]]] = {}
        self._names = [encode_basestring(column.name) + ":" for column in table.columns]
        self._database = f'],"database":{encode_basestring(table.database)},"es":'
        self._table = f',"table":{encode_basestring(table.name)},"ts":'
        self._types: dict[int, tuple[str, str]] = {}
        self.updates = Updates(table, rules, self._names)

    def _field(self, index: int, column: Column) -> Field:
        rules, rendering = self.rules, self._rendering
        if index in rules.dropped and index not in rules.looked_at:
            rendering = replace(rendering, exact=True)  # only its size matters, so no character set is in the way
        return field_of(column, rendering, self._where)

    def changes(self, kind: str, body: bytes, at: int) -> list[Change]:
        """Decode a row event.

        Args:
            kind: INSERT, UPDATE or DELETE.
            body: The event after its header, checksum cut off.
            at: Position of the column count.

        Raises:
            UndecodableError: The bytes do not fit the layout.
        """
        try:
            count, at = read_length(body, at)
            self._check("columns", count, len(self.table.columns))
            width = (count + 7) // 8
            present, at = body[at : at + width], at + width
            if kind == "UPDATE":
                after = body[at : at + width]
                changes, end = self._decode_updates(present, after, body, at + width)
            else:
                rows, end = self._text_decoder(present)(body, at, len(body))
                changes = self._rows(kind, rows, present)
            self._check("bytes", end, len(body))
        except (ValueError, IndexError, KeyError, ArithmeticError, struct.error) as error:
            raise UndecodableError(f"{self._where}: a row cannot be decoded: {error}") from error
        return changes

    def _check(self, what: str, found: int, expected: int) -> None:
        if found != expected:
            raise ValueError(f"{found} {what} where the table map event says {expected}")

    def _rows(self, kind: str, rows: list[Any], present: bytes) -> list[Change]:
        absent = self._absent(present)
        wants, partition_of = self.updates.wants, self.updates.partition_of
        if not self.rules.looked_at:
            partition = partition_of(())
            if absent:
                return [Change(row, key, variant | absent, kind, None, partition) for row, key, variant in rows]
            # What the class's own constructor does, at a third of its cost: every row comes through here.
            new: Any = tuple.__new__
            return [new(Change, (row, key, variant, kind, None, partition)) for row, key, variant in rows]
        return [
            Change(row, key, variant | absent, kind, None, partition_of(seen))
            for row, key, variant, seen in rows
            if wants(seen)
        ]

    def message(self, changes: Sequence[Change], facts: EventFacts, last: Change | None = None) -> bytes:
        """Return the message of changes of the same type; all rows of an event, or some of them.

        Args:
            changes: The rows.
            facts: About their event.
            last: The event's last row, whose type codes Canal takes for all.
        """
        first = changes[0]
        variant = (last or changes[-1]).variant
        if len(changes) == 1:
            head, tail = self.pieces(first.type, variant, facts)
            return f'{{"data":[{first.row}{head}{_old(first.old)}{tail}'.encode()
        rows = ",".join([change.row for change in changes])
        olds = "null" if first.old is None else f"[{','.join([change.old or '{}' for change in changes])}]"
        head, tail = self.pieces(first.type, variant, facts)
        return f'{{"data":[{rows}{head}{olds}{tail}'.encode()

    def pieces(self, kind: str, variant: int, facts: EventFacts) -> tuple[str, str]:
        """Return what stands between `data` and `old`, and after `old`."""
        found = self._types.get(variant)
        if found is None:
            found = self._types[variant] = self._type_pieces(variant)
        types, key_names = found
        head = f'{self._database}{facts.es_ms},"gtid":"{facts.gtids}","id":{facts.id}{types}'
        return head, f'{key_names}{self._table}{facts.ts_ms},"type":"{kind}"}}'

    def around(self, kind: str, facts: EventFacts) -> Around:
        """Return what is put around the rows of a snapshot, each a message."""

        def tail(variant: int) -> str:
            head, end = self.pieces(kind, variant, facts)
            return f"{head}null{end}"

        return Around('{"data":[', Cache(tail), self.updates.partition_of(()))

    def _type_pieces(self, variant: int) -> tuple[str, str]:
        columns = self.table.columns
        absent = variant >> len(columns)
        held = {n: columns[n] for n, part in enumerate(self.parts) if part.sent and not absent >> n & 1}
        types = {column.name: mysql_type(column) for column in held.values()}
        bits = self._rendering.bit_codes
        codes = {
            column.name: sql_type(column, odd=bool(variant >> n & 1), bit_codes=bits) for n, column in held.items()
        }
        key = [columns[n].name for n in self.table.key if n in held]
        # Half a key would make different rows look like one.
        whole = key if len(key) == len(self.table.key) or self.rules.exact else []
        return (
            f',"isDdl":false,"mysqlType":{_json(types)},"old":',
            f',"pkNames":{_json(whole or None)},"sql":"","sqlType":{_json(codes)}',
        )

    def _absent(self, present: bytes) -> int:
        """Return what the variant tells of columns that the image lacks; only Canal's quirks need it."""
        if not self.rules.exact:
            return 0
        count = len(self.table.columns)
        return ((1 << count) - 1 & ~int.from_bytes(present, "little")) << count

    def _held(self, present: bytes) -> list[Part]:
        bits = int.from_bytes(present, "little")
        return [part for part in self.parts if bits >> part.index & 1]

    def _text_decoder(self, present: bytes) -> TextDecoder:
        decoder = self._texts.get(present)
        if decoder is None:
            parts, rules = self._held(present), self.rules
            held = {part.index for part in parts}
            key = rules.key if held.issuperset(rules.key) else ()
            decoder = self._texts[present] = compile_texts(parts, key, rules.looked_at, nulls=rules.exact)
        return decoder

    def _image_decoder(self, present: bytes) -> tuple[ImageDecoder, list[int]]:
        found = self._images.get(present)
        if found is None:
            parts, rules = self._held(present), self.rules
            decoder = compile_image(parts, rules.looked_at, nulls=rules.exact)
            found = self._images[present] = (decoder, [part.index for part in parts if part.sent])
        return found

    def _decode_updates(self, before_bits: bytes, after_bits: bytes, body: bytes, at: int) -> tuple[list[Change], int]:
        before_of, before_columns = self._image_decoder(before_bits)
        after_of, after_columns = self._image_decoder(after_bits)
        complete = before_bits == after_bits and len(self._held(after_bits)) == len(self._names)
        end, absent = len(body), self._absent(after_bits)
        changes: list[Change] = []
        make = self.updates.start(changes)
        while at < end:
            before, before_variant, at = before_of(body, at)
            after, variant, at = after_of(body, at)
            if complete:
                make(before, after, before_variant, variant)
            else:
                known = (before_columns, before), (after_columns, after)
                self.updates.partial(changes, *known, variant | before_variant, absent)
        return changes, at


def _old(old: str | None) -> str:
    return "null" if old is None else f"[{old}]"


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


_DDL: Final = {"data": None, "mysqlType": None, "old": None, "pkNames": None, "sqlType": None}


def ddl_message(kind: str, database: str, table: str, sql: str, facts: EventFacts, *, is_ddl: bool = True) -> bytes:
    """Return the message of a schema change, or of another statement."""
    message = {
        **_DDL,
        "database": database,
        "es": facts.es_ms,
        "gtid": facts.gtids,
        "id": facts.id,
        "isDdl": is_ddl,
        "sql": sql,
        "table": table,
        "ts": facts.ts_ms,
        "type": kind,
    }
    return orjson.dumps(message, option=orjson.OPT_SORT_KEYS)


def group(changes: Iterable[Change]) -> list[list[Change]]:
    """Split the changes of an event into those of one message each: of one type, and for one partition."""
    groups: list[list[Change]] = []
    open_groups: dict[int | None, list[Change]] = {}
    type_ = ""
    for change in changes:
        if change.type != type_:
            type_, open_groups = change.type, {}
        found = open_groups.get(change.partition)
        if found is None:
            found = open_groups[change.partition] = []
            groups.append(found)
        found.append(change)
    return groups
