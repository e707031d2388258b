"""Canal's flat message: the one schema of row changes between the stages.

Source: alibaba/canal, `FlatMessage` and `MQMessageUtils` (1.1.7). All values in `data` and `old` are strings or null.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

import orjson

from connectors.api.errors import DataError
from connectors.api.record import Headers, header_value

__all__ = [
    "POSITION_HEADER",
    "TS_US_HEADER",
    "Op",
    "RowChange",
    "changes_of",
    "decode_json",
    "decode_object",
    "encode_object",
    "is_flat_message",
    "ts_us_of",
]

TS_US_HEADER: Final = "connect.ts_us"
"""Header with the order of changes: microseconds since 1970 as decimal text, for the first row of the message."""

POSITION_HEADER: Final = "connect.position"
"""Header with the place in the source, e.g. `binlog.000002:1234:0`."""

Op = Literal["INSERT", "UPDATE", "DELETE", "UPSERT"]

ROW_TYPES: Final = frozenset({"INSERT", "UPDATE", "DELETE", "INIT"})


@dataclass(slots=True)
class RowChange:
    """One row that changed.

    Attributes:
        op: What happened. UPSERT stands for a plain JSON object, whose history is unknown.
        database: Database of the row; empty for a plain object.
        table: Table of the row; empty for a plain object.
        row: The row after the change; for a DELETE, the row before it. A missing column is unknown, None is NULL.
        old: For an UPDATE, the former values of the columns that changed.
        key: Names of the key columns.
        ts_us: Order of the change in microseconds since 1970; None where the message does not tell.
        position: Place in the source, or None.
        mysql_type: Column type texts such as `decimal(10,2)`; None for a plain object.
    """

    op: Op
    database: str
    table: str
    row: dict[str, Any]
    old: dict[str, Any] | None = None
    key: tuple[str, ...] = ()
    ts_us: int | None = None
    position: str | None = None
    mysql_type: Mapping[str, str] | None = None

    def key_before(self) -> dict[str, Any]:
        """Return the row as its key was before the change: `row` with the former values laid over it."""
        return {**self.row, **self.old} if self.old else self.row


def decode_object(data: bytes) -> dict[str, Any]:
    """Decode JSON text that must be one object; a number with a fraction becomes a `Decimal`, digit by digit.

    Raises:
        DataError: It is not JSON, or not an object.
    """
    value = decode_json(data)
    if not isinstance(value, dict):
        raise DataError(f"a JSON object is needed, not {type(value).__name__}")
    return value


def decode_json(data: bytes) -> Any:
    """Decode JSON text; a number with a fraction becomes a `Decimal`, digit by digit.

    Raises:
        DataError: It is not JSON.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise DataError(f"malformed JSON: {error}") from None
    # Canal writes all values as text, so only plain ones may have to be read a second time.
    if not (isinstance(value, dict) and is_flat_message(value)) and _has_float(value):
        return json.loads(data, parse_float=Decimal)
    return value


def encode_object(value: Any) -> bytes:
    """Encode JSON text; a `Decimal` is written with the digits that it has.

    Raises:
        DataError: Something in it cannot be said in JSON.
    """
    try:
        return orjson.dumps(value, default=_number)
    except TypeError as error:
        raise DataError(f"cannot be written as JSON: {error}") from None


def _number(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal) and value.is_finite():
        return orjson.Fragment(str(value))
    raise TypeError(f"{value!r} of type {type(value).__name__}")


def _has_float(item: Any) -> bool:
    if isinstance(item, dict):
        return any(map(_has_float, item.values()))
    if isinstance(item, list):
        return any(map(_has_float, item))
    return type(item) is float


def is_flat_message(value: Mapping[str, Any]) -> bool:
    """Tell whether an object has the shape of a Canal flat message, as opposed to a plain row."""
    return "type" in value and "database" in value and "table" in value and ("data" in value or "isDdl" in value)


def ts_us_of(headers: Headers | None) -> int | None:
    """Return the value of the header `connect.ts_us`.

    Raises:
        DataError: The header is no number.
    """
    text = header_value(headers, TS_US_HEADER)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise DataError(f"header {TS_US_HEADER} is {text!r}, a number of microseconds is needed") from None


def changes_of(value: dict[str, Any], headers: Headers | None = None) -> list[RowChange]:
    """Return the row changes in a decoded message.

    Args:
        value: A flat message, or a plain object, which counts as one upsert.
        headers: Its Kafka headers, for order and position.

    Returns:
        A change for each row; none for DDL and other messages without rows.

    Raises:
        DataError: The message has not the shape that its type promises.
    """
    ts_us, place = _order_of(headers) if headers else (None, None)
    if not is_flat_message(value):
        return [RowChange("UPSERT", "", "", value, ts_us=ts_us, position=place)]
    kind = value["type"]
    if value.get("isDdl") or kind not in ROW_TYPES:
        return []
    rows = _objects(value, "data")
    old = value.get("old") if kind == "UPDATE" else None
    old_rows = [None] * len(rows) if old is None else _objects(value, "old")
    if len(old_rows) != len(rows):
        raise DataError(f"Canal message: data has {len(rows)} rows, old has {len(old_rows)}")
    op: Op = "INSERT" if kind == "INIT" else kind
    database, table = value["database"], value["table"]
    key = tuple(value.get("pkNames") or ())
    types = value.get("mysqlType")
    if len(rows) == 1:
        return [RowChange(op, database, table, rows[0], old_rows[0], key, ts_us, place, types)]
    return [
        RowChange(op, database, table, row, old, key, None if ts_us is None else ts_us + i, place, types)
        for i, (row, old) in enumerate(zip(rows, old_rows, strict=True))
    ]


def _order_of(headers: Headers) -> tuple[int | None, str | None]:
    position = header_value(headers, POSITION_HEADER)
    return ts_us_of(headers), position.decode() if position is not None else None


def _objects(value: dict[str, Any], name: str) -> list[Any]:
    rows = value.get(name)
    if not isinstance(rows, list) or not set(map(type, rows)) <= {dict}:
        raise DataError(f"Canal message of type {value['type']}: {name} must be an array of objects")
    return rows
