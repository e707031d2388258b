"""The codecs of the table layouts that table map events describe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from connectors.api.errors import ConfigError, ConnectError, FatalError
from connectors.sources.mysql import columns as c
from connectors.sources.mysql.codec import TableCodec
from connectors.sources.mysql.column_types import with_width
from connectors.sources.mysql.columns import Column, Table, parse_columns, table_name
from connectors.sources.mysql.plan import Plan
from connectors.sources.mysql.rules import TableRules

__all__ = ["Layouts", "Unreadable"]

_MAX_LAYOUTS: Final = 2000
_SPECIALS: Final = ("uuid", "inet4", "inet6")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A table layout whose rows cannot be decoded.

    Attributes:
        table: The table, without columns.
        reason: Why.
    """

    table: Table
    reason: ConnectError


class Layouts:
    """Makes a codec of each layout, once.

    Args:
        plan: What to do.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._codecs: dict[bytes, TableCodec | Unreadable | None] = {}
        self._events: dict[tuple[str, str], bytes] = {}

    def clear(self) -> None:
        """Forget all; the next table map events are read afresh."""
        self._codecs.clear()

    def event_of(self, table: Table) -> bytes:
        """Return the last table map event of a table, without its header."""
        return self._events.get((table.database, table.name), b"")

    def codec(self, body: bytes, place: str) -> TableCodec | Unreadable | None:
        """Return the codec of a table map event; None where the table is not chosen.

        Args:
            body: The event after its header, checksum cut off.
            place: Where it stands, for messages.

        Raises:
            RetriableError: The catalogue is out of reach.
        """
        layout = body[8:]
        if layout not in self._codecs:
            if len(self._codecs) >= _MAX_LAYOUTS:
                self._codecs.clear()
                self._events.clear()
            self._codecs[layout] = self._make(body, place)
        return self._codecs[layout]

    def _make(self, body: bytes, place: str) -> TableCodec | Unreadable | None:
        plan = self._plan
        database, name, at = table_name(body, 8)
        signals = (database, name) == plan.signal_table
        if not signals and not plan.filter.table(database, name):
            return None
        self._events[database, name] = body
        where = f"{database}.{name} at {place}"
        try:
            columns, key = parse_columns(body, at, plan.charsets, plan.flavor, where)
            if not all(column.name for column in columns):
                columns, key = self._from_history(database, name, columns, where)
            else:
                self._ask_catalogue(database, name, columns)
            table = Table(database, name, columns, key)
            rules = TableRules("", key_changes=False) if signals else plan.rules.of(table)
            return TableCodec(table, rules, plan.rendering, where=where)
        except (FatalError, ConfigError) as error:
            return Unreadable(Table(database, name, []), error)
        except (IndexError, ValueError, KeyError) as error:
            reason = FatalError(f"{where}: the table map event cannot be read: {error!r}")
            return Unreadable(Table(database, name, []), reason)

    def _from_history(
        self, database: str, name: str, columns: list[Column], where: str
    ) -> tuple[list[Column], list[int]]:
        history = self._plan.history
        if history is None:
            raise FatalError(
                f"{where}: the event does not name its columns, because it was written before binlog_row_metadata was"
                " FULL. SET GLOBAL binlog_row_metadata = FULL; then start after this position, or set"
                " schema.history=true",
            )
        found = history.columns(database, name, columns)
        if found is None:
            raise FatalError(
                f"{where}: the event has other columns than the catalogue had when the table was last looked at, so the"
                " schema was changed between. SET GLOBAL binlog_row_metadata = FULL; keeps this from happening; take a"
                " new snapshot",
            )
        return found

    def _ask_catalogue(self, database: str, name: str, columns: list[Column]) -> None:
        """Add what events do not tell: display width, zerofill, and MariaDB's types that look like BINARY."""
        ask = self._plan.column_types
        if ask is None:
            return
        types = ask(database, name)
        for column in columns:
            known = types.get(column.name)
            if known in _SPECIALS and self._plan.flavor == "mariadb":
                if column.type == c.STRING and column.charset is None:
                    column.special = known
            else:
                column.full_type = with_width(column, known)
