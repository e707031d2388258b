"""Oracle GoldenGate's JSON: one operation as a row change.

Source: Oracle GoldenGate for Big Data, "Using the JSON Formatter" (operation and row format, meta columns, key updates,
JSON schema of a table) and "Metacolumn Keywords". Numbers keep the digits that they have in the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from decimal import Decimal
from typing import Any, Final, Literal

from connectors.api.errors import DataError
from connectors.formats.canal import RowChange
from connectors.formats.goldengate_meta import MetaColumns
from connectors.formats.goldengate_types import ColumnType, Number, column_type, type_of_schema
from connectors.formats.temporal import TimestampParser

__all__ = ["GoldenGateFormat", "Operation", "decode_objects", "raw_decode"]

Image = dict[str, Any]
OpName = Literal["INSERT", "UPDATE", "DELETE", "TRUNCATE"]
OP_NAMES: Final[tuple[OpName, ...]] = ("INSERT", "UPDATE", "DELETE", "TRUNCATE")
_MISSING: Final = "_isMissing"
_SPACE: Final = re.compile(r"\s*")


def _constant(text: str) -> Any:
    raise DataError(f"{text} is no number that JSON knows")


raw_decode: Final = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=_constant).raw_decode
"""Takes text and an index, returns the JSON value that starts there and the index behind it."""


def decode_objects(data: bytes) -> Iterator[dict[str, Any]]:
    """Return the JSON objects that stand in a value one after the other, with white space or nothing between them.

    Raises:
        DataError: It is something else.
    """
    try:
        text = data.decode().removeprefix("\ufeff")
        at = _space(text, 0)
        while at < len(text):
            value, at = raw_decode(text, at)
            if type(value) is not dict:
                raise DataError(f"a JSON object is needed, not {type(value).__name__}")
            yield value
            at = _space(text, at)
    except (ValueError, RecursionError) as error:
        raise DataError(f"malformed JSON: {error}") from None


def _space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return at if match is None else match.end()


@dataclass(slots=True)
class Operation:
    """One operation of a trail.

    Attributes:
        op: What happened.
        database: Schema, with its catalog before it where there is one: `PDB1.SALES`.
        table: Table.
        before: Row before it, values as Canal's texts; None where there is none.
        after: Row after it; None where there is none.
        key: Names of the key columns; empty where they are not known.
        op_us: Time of the change in microseconds since 1970; None where the record does not tell.
        pos: Position in the trail, or an empty text.
        xid: Transaction, or an empty text.
        txind: `B`, `M`, `E` or `W`: begin, middle, end of a transaction or all of it; or an empty text.
        types: Types of the table's columns, as far as they are known.
    """

    op: OpName
    database: str
    table: str
    before: Image | None
    after: Image | None
    key: tuple[str, ...]
    op_us: int | None
    pos: str
    xid: str
    txind: str
    types: Mapping[str, ColumnType] = field(default_factory=dict)

    @property
    def row(self) -> Image:
        """The row after the change, or before a DELETE; columns that only the before image has did not change."""
        before, after = self.before, self.after
        if after is None:
            return before or {}
        return after if not before or before.keys() <= after.keys() else {**after, **_without(before, after)}

    @property
    def old(self) -> Image | None:
        """Of an UPDATE, the former values of the columns that changed, as far as the trail has them."""
        if self.op != "UPDATE":
            return None
        before, after = self.before, self.after
        if not before or not after:
            return {}
        return {name: before[name] for name, value in after.items() if name in before and before[name] != value}

    def changes(self, *, split_key_updates: bool) -> list[RowChange]:
        """Return the row changes; none for a TRUNCATE.

        Args:
            split_key_updates: Whether an UPDATE of the key becomes a DELETE and an INSERT.

        Raises:
            DataError: It is such an UPDATE, and has not all columns that the row under the new key needs.
        """
        if self.op == "TRUNCATE":
            return []
        row, old = self.row, self.old
        if split_key_updates and old and any(name in old for name in self.key):
            if len(row) < len(self.types):
                raise DataError(
                    f"{self.database}.{self.table}: an UPDATE of the key at {self.pos} has not all columns, so the row"
                    " under the new key is not known; have the database log all columns (ADD TRANDATA ... ALLCOLS)"
                )
            before = {**row, **old}
            return [
                RowChange("DELETE", self.database, self.table, before, None, self.key),
                RowChange("INSERT", self.database, self.table, row, None, self.key),
            ]
        return [RowChange(self.op, self.database, self.table, row, old, self.key)]


@dataclass(slots=True)
class _Table:
    """What is known of a table."""

    database: str
    name: str
    key: tuple[str, ...]
    declared: dict[str, ColumnType]
    types: dict[str, ColumnType] = field(default_factory=dict)


class GoldenGateFormat:
    """Reads operations; keeps what it learns of the tables on the way.

    Args:
        meta: Names of the meta columns.
        op_keys: What stands for insert, update, delete and truncate.
        zone: Zone of `op_ts`.
        keys: Key columns by table (`SCHEMA.TABLE`), where the records do not tell them.
        key_token: Token with the names of the key columns, comma-separated; empty: none.
        types: Type texts by table and column.
        binary: `base64`, `latin1` or `hex`: how columns of a declared binary type are written.
        layout: `op` (images under `before` and `after`), `row` (columns beside the meta columns) or `auto`.
    """

    def __init__(
        self,
        meta: MetaColumns | None = None,
        op_keys: Sequence[str] = ("I", "U", "D", "T"),
        zone: tzinfo = UTC,
        keys: Mapping[str, Sequence[str]] | None = None,
        key_token: str = "",
        types: Mapping[str, Mapping[str, str]] | None = None,
        binary: str = "base64",
        layout: str = "auto",
    ) -> None:
        self._layout = layout
        self._meta = meta or MetaColumns()
        self._ops: dict[Any, OpName] = dict(zip(op_keys, OP_NAMES, strict=True))
        self._times = TimestampParser(zone)
        self._keys = {name: tuple(columns) for name, columns in (keys or {}).items()}
        self._key_token = key_token
        self._declared = types or {}
        self._binary = binary
        self._tables: dict[str, _Table] = {}
        self._last_ts: tuple[Any, int | None] = (None, None)

    def operation(self, record: dict[str, Any]) -> Operation | None:
        """Return the operation that a JSON object stands for; None where it is a table's JSON schema.

        Raises:
            DataError: It is neither; the message tells what is missing.
        """
        if "payload" in record and "schema" in record and len(record) == 2:
            record = record["payload"]  # as Kafka Connect's JSON converter wraps it
        if "$schema" in record:
            self._learn(record)
            return None
        meta = self._meta
        name, kind = meta.table(record), meta.op_type(record)
        if not name or kind is None:
            missing = "table" if not name else "op_type"
            raise DataError(
                f"no GoldenGate operation: the meta column {missing} is missing; where it has another name, set"
                " meta.columns to the replicat's metaColumnsTemplate"
            )
        op = self._ops.get(kind)
        if op is None:
            raise DataError(f"{name}: op_type {kind!r} is not one of {', '.join(map(str, self._ops))}")
        table = self._tables.get(name) or self._new_table(name)
        before, after = self._images(record, op, table)
        if self._key_token or "primary_keys" in meta.fields:
            self._take_key(table, record)
        return Operation(
            op, table.database, table.name, before, after, table.key, self._time(name, record), meta.pos(record),
            meta.text(record, "xid"), meta.txind(record), table.types,
        )  # fmt: skip

    def types_of(self, database: str, table: str) -> dict[str, ColumnType]:
        """Return the types of a table's columns, as far as they are known."""
        known = self._tables.get(f"{database}.{table}")
        return {} if known is None else known.types

    def _new_table(self, name: str) -> _Table:
        database, _, short = name.rpartition(".")
        declared = {column: column_type(text) for column, text in self._declared.get(name, {}).items()}
        table = _Table(database, short, self._keys.get(name, ()), declared, dict(declared))
        self._tables[name] = table
        return table

    def _learn(self, schema: dict[str, Any]) -> None:
        """Take the column types from the JSON schema that the formatter writes for each table."""
        try:
            name = schema["title"]
            properties = schema.get("definitions", {}).get("row", schema)["properties"]
            found = {column: type_of_schema(about) for column, about in properties.items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(f"no JSON schema of a GoldenGate table: {error!r}") from None
        table = self._tables.get(name) or self._new_table(name)
        meta = self._meta.names
        learned = {c: type_ for c, type_ in found.items() if type_ is not None and c not in meta}
        table.types = {c: t for c, t in learned.items() if not c.endswith(_MISSING)} | table.declared

    def _images(self, record: dict[str, Any], op: OpName, table: _Table) -> tuple[Image | None, Image | None]:
        meta = self._meta
        if op == "TRUNCATE":
            return None, None
        before, after = record.get(meta.before), record.get(meta.after)
        flat = not isinstance(before, dict) and not isinstance(after, dict)
        if self._layout == "row" or (flat and self._layout == "auto"):
            row = {name: value for name, value in record.items() if name not in meta.names}
            before, after = (row, None) if op == "DELETE" else (None, row)
        elif before is not None and after is not None and not (isinstance(before, dict) and isinstance(after, dict)):
            raise DataError(f"{table.database}.{table.name}: before and after must be objects")
        if (after is None and op != "DELETE") or (op == "DELETE" and not before):
            image = "before" if op == "DELETE" else "after"
            raise DataError(f"{table.database}.{table.name}: {op} at {meta.pos(record)} has no {image} image")
        before = None if op == "INSERT" or before is None else self._texts(before, table)
        return before, None if op == "DELETE" or after is None else self._texts(after, table)

    def _texts(self, image: Image, table: _Table) -> Image:
        """Return the image with all values as Canal's texts; learns the types of columns."""
        types, declared = table.types, table.declared
        flagged = False
        for name, value in image.items():
            kind = type(value)
            if name not in types and value is not None:
                if kind is bool and name.endswith(_MISSING) and name.removesuffix(_MISSING) in image:
                    flagged = True
                    continue
                types[name] = column_type("varchar" if kind is str else "boolean" if kind is bool else "decimal")
            if kind is str or value is None:
                if declared and value is not None and name in declared:
                    image[name] = declared[name].render(value, self._binary)
            elif name in declared:
                image[name] = declared[name].render(_text(value), self._binary)
            elif kind is not Number or "e" in value or "E" in value:
                image[name] = _text(value)
        return _without_missing(image) if flagged else image

    def _take_key(self, table: _Table, record: dict[str, Any]) -> None:
        names: Any = self._meta.field(record, "primary_keys")
        if names is None and self._key_token:
            names = (self._meta.field(record, "tokens") or {}).get(self._key_token)
        if isinstance(names, str):
            names = [name.strip() for name in names.split(",") if name.strip()]
        if isinstance(names, list) and names:
            key = tuple(names)
            if key != table.key:
                table.key = key

    def _time(self, name: str, record: dict[str, Any]) -> int | None:
        value = self._meta.field(record, "op_ts")
        if value is None:
            return None
        if value != self._last_ts[0]:
            self._last_ts = value, self._parsed_time(name, value)
        return self._last_ts[1]

    def _parsed_time(self, name: str, value: Any) -> int:
        if self._meta.micros:
            try:
                return int(value)
            except (TypeError, ValueError):
                raise DataError(f"{name}: op_ts {value!r} is no number of microseconds") from None
        try:
            return self._times.micros(str(value))
        except DataError as error:
            raise DataError(f"{name}: op_ts: {error}") from None


def _text(value: Any) -> str:
    """Return a value as Canal's text: numbers without exponent, booleans as 1 and 0, the rest as JSON."""
    if isinstance(value, Number):
        return format(Decimal(value), "f") if "e" in value or "E" in value else value
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _without(image: Image, names: Image) -> Image:
    return {name: value for name, value in image.items() if name not in names}


def _without_missing(image: Image) -> Image:
    """Leave the flags `<column>_isMissing` out, and the columns that they say are not in the trail."""
    flags = {name for name in image if name.endswith(_MISSING) and name.removesuffix(_MISSING) in image}
    gone = {name.removesuffix(_MISSING) for name in flags if image[name] in (True, "1")}
    return {name: value for name, value in image.items() if name not in flags and name not in gone}
