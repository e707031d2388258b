"""Changes to the rows of a message that keep it a true Canal message."""

from __future__ import annotations

from typing import Any, Final

import orjson

from agents.message import Message
from connectors.formats.canal import TS_US_HEADER, is_flat_message

__all__ = ["add_columns", "keep_rows"]

_VARCHAR: Final = "varchar(255)"
_SQL_VARCHAR: Final = 12  # java.sql.Types.VARCHAR


def add_columns(message: Message, added: list[dict[str, Any] | None]) -> None:
    """Write columns into the rows.

    In a Canal message the values become text and the columns get a type, as if they were columns of the table.

    Args:
        message: The message.
        added: Columns for each row; None leaves it alone.
    """
    canal = is_flat_message(message.value)
    for row, columns in zip(message.rows, added, strict=True):
        if columns:
            row.update({name: _canal_text(value) for name, value in columns.items()} if canal else columns)
    if canal:
        names = {name for columns in added if columns for name in columns}
        for kind, type_ in (("mysqlType", _VARCHAR), ("sqlType", _SQL_VARCHAR)):
            types = message.value.get(kind)
            if isinstance(types, dict):
                types.update(dict.fromkeys(sorted(names - types.keys()), type_))


def keep_rows(message: Message, kept: list[bool]) -> list[Message]:
    """Return what is left of a message.

    Row i of a message is at `ts_us` + i. Where rows go from the middle, the runs that remain become messages of their
    own, so that every row keeps its time.

    Args:
        message: The message.
        kept: Whether each row stays.
    """
    if all(kept):
        return [message]
    if not is_flat_message(message.value):
        return []
    return [_run(message, first, last) for first, last in _runs(kept)]


def _runs(kept: list[bool]) -> list[tuple[int, int]]:
    starts = [i for i, keep in enumerate(kept) if keep and not (i and kept[i - 1])]
    ends = [i + 1 for i, keep in enumerate(kept) if keep and not (i + 1 < len(kept) and kept[i + 1])]
    return list(zip(starts, ends, strict=True))


def _run(message: Message, first: int, last: int) -> Message:
    value = dict(message.value, data=message.value["data"][first:last])
    if isinstance(value.get("old"), list):
        value["old"] = value["old"][first:last]
    headers = [(name, data) for name, data in message.headers if name != TS_US_HEADER]
    return message.derive(value, headers=[*headers, (TS_US_HEADER, b"%d" % (message.ts_us + first))])


def _canal_text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()
