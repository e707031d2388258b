"""The writes of one batch, and their collapse to one for each key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from connectors.api.record import SinkRecord
from connectors.clients.kudu.port import UNSET, OpKind, RowOp

__all__ = ["Write", "collapse"]


@dataclass(slots=True, eq=False)
class Write(RowOp):
    """An operation and where it comes from.

    Attributes:
        key: Values of the key columns.
        ts_us: Order of the change in microseconds since 1970, or None.
        records: The records whose content it carries.
        after_delete: Whether the row must be deleted first, so that columns it leaves unset do not keep old values.
    """

    key: tuple[Any, ...] = ()
    ts_us: int | None = None
    records: list[SinkRecord] = field(default_factory=list)
    after_delete: bool = False


def collapse(writes: list[Write]) -> list[Write]:
    """Return writes with the same effect, one for each key.

    The newest by `ts_us` wins, by arrival where that is equal or missing. Columns that the newest leaves unset come
    from the one before. The one exception to "one for each key" is a row that was deleted and came back with columns
    unset (or ignoring what is there): its delete and its write both stay, in this order.

    Args:
        writes: In order of arrival. They belong to the result afterwards.
    """
    groups: dict[tuple[Any, ...], list[Write]] = {}
    for write in writes:
        groups.setdefault(write.key, []).append(write)
    if len(groups) == len(writes):
        return writes
    return [write for group in groups.values() for write in _expand(_fold(group))]


def _fold(group: list[Write]) -> Write:
    stamps = [write.ts_us for write in group if write.ts_us is not None]
    if len(stamps) == len(group) > 1:
        group.sort(key=lambda write: write.ts_us or 0)  # stable: equal stamps stay in order of arrival
    result = group[0]
    for newer in group[1:]:
        result = _after(result, newer)
    return result


def _after(older: Write, newer: Write) -> Write:
    if newer.kind is OpKind.DELETE_IGNORE:
        return newer
    if older.kind is OpKind.DELETE_IGNORE:
        partial = any(value is UNSET for value in newer.values)
        newer.after_delete = partial or newer.kind is OpKind.INSERT_IGNORE
        return newer
    if newer.kind is OpKind.INSERT_IGNORE:
        return older
    pairs = zip(older.values, newer.values, strict=True)
    newer.values = [before if after is UNSET else after for before, after in pairs]
    newer.records = older.records + newer.records
    newer.after_delete = older.after_delete
    return newer


def _expand(write: Write) -> Iterator[Write]:
    if write.after_delete:
        yield Write(OpKind.DELETE_IGNORE, write.values, write.key, write.ts_us, write.records)
    yield write
