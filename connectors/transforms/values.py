"""The adapter between transforms, which change rows, and the values that records hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from connectors.api.errors import DataError
from connectors.formats.canal import RowChange, decode_object, encode_object, is_flat_message
from connectors.transforms.paths import MISSING, FieldPath

__all__ = ["Edit", "Struct", "common_value", "edit_value", "rows_of"]

Row = dict[str, Any]
Types = Mapping[str, str]


class Struct(dict[str, Any]):
    """A row whose text is JSON, so that the converter `string` writes JSON too."""

    def __str__(self) -> str:
        return encode_object(dict(self)).decode()


@dataclass(frozen=True, slots=True)
class Edit:
    """What a transform does to a row.

    Attributes:
        row: Takes a row and the MySQL types of its columns (empty where unknown). Returns another row, or the same
            object where nothing changes; must not change what it is given.
        old: The same for the former values of an UPDATE, which hold the changed columns only; None: as `row`.
        rename: Takes the name of a column and returns its new name, or None where the column is gone; keeps the key
            names and the column types in step with the rows. None: the names stay.
    """

    row: Callable[[Row, Types], Any]
    old: Callable[[Row, Types], Any] | None = None
    rename: Callable[[str], str | None] | None = None

    def former(self, row: Row | None, types: Types) -> Any:
        """Return the changed former values."""
        return (self.old or self.row)(row, types) if row is not None else None


def rows_of(value: Any) -> list[Row]:
    """Return the rows in a value, for reading only.

    Raises:
        DataError: The value holds no rows.
    """
    if isinstance(value, bytes | str):
        value = decode_object(_utf8(value))
    if isinstance(value, dict):
        return list(value.get("data") or ()) if is_flat_message(value) else [value]
    if _is_changes(value):
        return [change.row for change in value]
    raise _no_rows(value)


def common_value(rows: list[Row], path: FieldPath) -> Any:
    """Return the value that a field has in all rows, or `MISSING`.

    Raises:
        DataError: The rows do not agree.
    """
    values = [path.get(row) for row in rows]
    if any(value != values[0] for value in values[1:]):
        raise DataError(
            f"field {path} differs between the {len(rows)} rows of the message; have the source send one row a message"
        )
    return values[0] if values else MISSING


def edit_value(value: Any, edit: Edit) -> Any:
    """Return the value with its rows changed; the same object where nothing changed.

    Args:
        value: A plain object, a Canal flat message, JSON text or bytes of one of them, or row changes.
        edit: What to do.

    Raises:
        DataError: The value holds no rows, or row changes would no longer hold rows.
    """
    if isinstance(value, bytes | str):
        decoded = decode_object(_utf8(value))
        edited = edit_value(decoded, edit)
        return value if edited is decoded else _encoded(edited, like=value)
    if isinstance(value, dict):
        return _flat(value, edit) if is_flat_message(value) else edit.row(value, {})
    if _is_changes(value):
        changes = [_change(change, edit) for change in value]
        same = all(made is former for made, former in zip(changes, value, strict=True))
        return value if same else changes
    raise _no_rows(value)


def _is_changes(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, RowChange) for item in value)


def _no_rows(value: Any) -> DataError:
    return DataError(f"an object with fields is needed, not {type(value).__name__}")


def _utf8(value: bytes | str) -> bytes:
    try:
        return value.encode() if isinstance(value, str) else value
    except UnicodeEncodeError as error:
        raise DataError(f"not UTF-8: {error}") from None


def _encoded(value: Any, like: bytes | str) -> Any:
    if value is None:
        return None
    if isinstance(like, bytes):
        return encode_object(value)
    # Text stays as it is, without JSON's quotes: an extracted key must come out as `A1`, not `"A1"`.
    return value if isinstance(value, str) else encode_object(value).decode()


def _change(change: RowChange, edit: Edit) -> RowChange:
    types = change.mysql_type or {}
    row, old = edit.row(change.row, types), edit.former(change.old, types)
    if row is change.row and old is change.old:
        return change
    made = replace(change, row=_plain(_row(row)), old=None if old is None else _plain(_row(old)))
    if edit.rename is not None:
        made.key = tuple(_renamed_list(change.key, edit.rename))
        made.mysql_type = None if change.mysql_type is None else _renamed(change.mysql_type, edit.rename)
    return made


def _flat(message: Row, edit: Edit) -> Row:
    if message.get("isDdl") or not isinstance(message.get("data"), list):
        return message
    types = message.get("mysqlType") or {}
    former_old: Any = message.get("old")
    data = [edit.row(row, types) for row in message["data"]]
    old: Any = [edit.former(row, types) for row in former_old] if isinstance(former_old, list) else former_old
    if _same(data, message["data"]) and (old is former_old or _same(old, former_old)):
        return message
    made = {**message, "data": [_texts(_row(row)) for row in data]}
    if isinstance(old, list):
        made["old"] = [None if row is None else _texts(_row(row)) for row in old]
    if edit.rename is not None:
        if message.get("pkNames"):
            made["pkNames"] = _renamed_list(message["pkNames"], edit.rename)
        for name in ("mysqlType", "sqlType"):
            if message.get(name):
                made[name] = _renamed(message[name], edit.rename)
    return made


def _same(made: list[Any], former: list[Any]) -> bool:
    return all(one is other for one, other in zip(made, former, strict=True))


def _row(row: Any) -> Row:
    if not isinstance(row, dict):
        raise DataError(f"a row change must stay a row of columns, it would become {type(row).__name__}")
    return row


def _renamed_list(names: Any, rename: Callable[[str], str | None]) -> list[str]:
    return [new for new in map(rename, names) if new is not None]


def _renamed(types: Mapping[str, Any], rename: Callable[[str], str | None]) -> dict[str, Any]:
    return {new: type_ for name, type_ in types.items() if (new := rename(name)) is not None}


def _plain(row: Row) -> Row:
    # Sinks read times in row changes as text.
    return {name: _time_text(value) if isinstance(value, date | time) else value for name, value in row.items()}


def _texts(row: Row) -> Row:
    return {name: value if value is None or type(value) is str else _text(value) for name, value in row.items()}


def _text(value: Any) -> str:
    # All values of a flat message are text, as Canal writes them.
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date | time):
        return _time_text(value)
    if isinstance(value, bytes):
        return value.decode("latin-1")
    return encode_object(value).decode() if isinstance(value, dict | list) else str(value)


def _time_text(value: date | time) -> str:
    return value.isoformat(sep=" ") if isinstance(value, datetime) else value.isoformat()
