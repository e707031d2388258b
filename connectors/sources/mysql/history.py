"""Table layouts over time, for servers whose binlog does not tell them (`binlog_row_metadata` is not FULL).

A layout is taken from the catalogue when its table is first seen and again after each schema change that the stream
shows, and is stored as an offset of a source partition of its own, so in the same compacted topic and in the same order
as the offsets of the stream: what is read again after a restart is read with the layout that it was written with.
Whether a layout is that of an event is checked as far as the event tells.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from connectors.api.record import SourceRecord
from connectors.sources.mysql import columns as c
from connectors.sources.mysql.charsets import charset_named
from connectors.sources.mysql.columns import Column, Table

__all__ = ["SchemaHistory"]

Describe = Callable[[str, str], Table]
"""Takes database and table, returns the layout in the catalogue."""

_SIZED: Final = frozenset({c.NEWDECIMAL, c.VARCHAR, c.BIT, c.BLOB, c.TIMESTAMP2, c.DATETIME2, c.TIME2})


class SchemaHistory:
    """The layouts of one server's tables.

    Args:
        source_partition: Of the stream.
        stored: Returns the stored offset of a source partition, or None.
        describe: Asks the catalogue.
    """

    def __init__(
        self,
        source_partition: Mapping[str, Any],
        stored: Callable[[Mapping[str, Any]], Mapping[str, Any] | None],
        describe: Describe,
    ) -> None:
        self._source_partition = dict(source_partition)
        self._stored = stored
        self._describe = describe
        self._tables: dict[tuple[str, str], Table | None] = {}
        self._new: list[SourceRecord] = []
        self._lock = threading.Lock()

    def note(self, database: str, name: str) -> None:
        """Take the layout of a table from the catalogue, unless it is known."""
        if self._known(database, name) is None:
            self._learn(database, name)

    def forget(self, database: str, name: str) -> None:
        """Take the layout anew when the table is seen next: its schema was changed."""
        self._tables[database, name] = None

    def columns(self, database: str, name: str, seen: Sequence[Column]) -> tuple[list[Column], list[int]] | None:
        """Return columns and key of a table; None where the known layout is not that of the event.

        Args:
            database: Its schema.
            name: Its name.
            seen: The columns as the event tells them, without names.
        """
        table = self._known(database, name) or self._learn(database, name)
        if len(table.columns) != len(seen) or not all(map(_alike, table.columns, seen)):
            return None
        merged = [_merged(known, event) for known, event in zip(table.columns, seen, strict=True)]
        return merged, list(table.key)

    def take(self) -> list[SourceRecord]:
        """Return the records that store new layouts, and forget them."""
        with self._lock:
            records, self._new = self._new, []
        return records

    def _partition(self, database: str, name: str) -> dict[str, Any]:
        return self._source_partition | {"database": database, "table": name}

    def _known(self, database: str, name: str) -> Table | None:
        if (database, name) not in self._tables:
            offset = self._stored(self._partition(database, name))
            self._tables[database, name] = _table(database, name, offset) if offset else None
        return self._tables[database, name]

    def _learn(self, database: str, name: str) -> Table:
        table = self._tables[database, name] = self._describe(database, name)
        offset = {"columns": [_column_offset(column) for column in table.columns], "key": table.key}
        with self._lock:
            self._new.append(SourceRecord.heartbeat(self._partition(database, name), offset))
        return table


def _alike(known: Column, seen: Column) -> bool:
    if known.type != seen.type and {known.type, seen.type} != {c.STRING, c.VAR_STRING}:
        return False
    return known.type not in _SIZED or known.meta == seen.meta


def _merged(known: Column, seen: Column) -> Column:
    # How the value is stored is the event's, what it means the catalogue's.
    return Column(
        seen.type,
        seen.meta,
        known.name,
        known.unsigned,
        known.charset,
        known.labels,
        known.shape,
        known.special,
        known.full_type,
    )


def _column_offset(column: Column) -> dict[str, Any]:
    return {
        "type": column.type,
        "meta": list(column.meta),
        "name": column.name,
        "unsigned": column.unsigned,
        "charset": column.charset.name if column.charset is not None else None,
        "labels": list(column.labels),
        "shape": column.shape,
        "special": column.special,
        "full_type": column.full_type,
    }


def _table(database: str, name: str, offset: Mapping[str, Any]) -> Table:
    columns = [
        Column(
            int(each["type"]),
            (int(each["meta"][0]), int(each["meta"][1])),
            str(each["name"]),
            bool(each["unsigned"]),
            charset_named(each["charset"]) if each["charset"] else None,
            tuple(map(str, each["labels"])),
            int(each["shape"]),
            str(each["special"]),
            each["full_type"],
        )
        for each in offset["columns"]
    ]
    return Table(database, name, columns, [int(index) for index in offset["key"]])
