"""Row changes as Canal's flat messages, for sources whose rows are Python objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

import orjson

from connectors.api.errors import DataError
from connectors.formats.canal import RowChange

__all__ = ["FlatMessages", "TypeOfColumn"]


class TypeOfColumn(Protocol):
    """A column's type in Canal's two ways."""

    @property
    def mysql_type(self) -> str:
        """Type text, e.g. `decimal(10,2)`."""

    @property
    def sql_type(self) -> int:
        """Code of java.sql.Types."""


_UNKNOWN: Final = ("varchar", 12)

Layout = tuple[orjson.Fragment, orjson.Fragment]


class FlatMessages:
    """Encodes row changes; what is the same for all rows of a layout is encoded once."""

    def __init__(self) -> None:
        self._layouts: dict[tuple[Any, ...], Layout] = {}

    def encode(
        self, change: RowChange, types: Mapping[str, TypeOfColumn], *, es_ms: int, ts_ms: int, message_id: int
    ) -> bytes:
        """Return the message of one change.

        Args:
            change: The change; its values are Canal's texts.
            types: Types of the table's columns; one that is not there counts as varchar.
            es_ms: Time of the change at the source, in milliseconds since 1970.
            ts_ms: Time of making the message, in milliseconds since 1970.
            message_id: Canal's batch number.

        Raises:
            DataError: Something in the row cannot be said in JSON.
        """
        mysql_types, sql_types = self._layout(change, types)
        message = {
            "data": [change.row],
            "database": change.database,
            "es": es_ms,
            "gtid": "",
            "id": message_id,
            "isDdl": False,
            "mysqlType": mysql_types,
            "old": None if change.old is None else [change.old],
            "pkNames": change.key or None,
            "sql": "",
            "sqlType": sql_types,
            "table": change.table,
            "ts": ts_ms,
            "type": change.op,
        }
        try:
            return orjson.dumps(message)
        except (TypeError, ValueError) as error:
            raise DataError(f"{change.database}.{change.table}: cannot be written as JSON: {error}") from None

    def truncate(self, database: str, table: str, *, es_ms: int, ts_ms: int, message_id: int) -> bytes:
        """Return the message of a TRUNCATE, as Canal writes that of a statement."""
        message = {
            "data": None,
            "database": database,
            "es": es_ms,
            "gtid": "",
            "id": message_id,
            "isDdl": True,
            "mysqlType": None,
            "old": None,
            "pkNames": None,
            "sql": f"TRUNCATE TABLE {database}.{table}" if database else f"TRUNCATE TABLE {table}",
            "sqlType": None,
            "table": table,
            "ts": ts_ms,
            "type": "TRUNCATE",
        }
        return orjson.dumps(message)

    def _layout(self, change: RowChange, types: Mapping[str, TypeOfColumn]) -> Layout:
        known = (change.database, change.table, len(types), *change.row)
        layout = self._layouts.get(known)
        if layout is None:
            found = {
                name: (types[name].mysql_type, types[name].sql_type) if name in types else _UNKNOWN
                for name in change.row
            }
            texts = orjson.dumps({name: text for name, (text, _) in found.items()})
            codes = orjson.dumps({name: code for name, (_, code) in found.items()})
            if len(self._layouts) >= 5000:  # rows with all sorts of columns: do not let them fill the memory
                self._layouts.clear()
            layout = self._layouts[known] = orjson.Fragment(texts), orjson.Fragment(codes)
        return layout
