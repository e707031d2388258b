"""Snapshots of single tables while streaming goes on, started over REST or by a row in the signal table.

A table is read in chunks. While the stream goes from before a chunk's SELECT to the binlog position after it, every row
that the stream shows is taken off the chunk, for the stream has a state of it that is as new or newer; what is left is
sent at that position. So nothing is locked and no row goes back in time. Source: Netflix DBLog; Debezium's signals.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import orjson

from connectors.api.errors import ConnectError, RetriableError
from connectors.sources.mysql.catalogue import describe
from connectors.sources.mysql.chunks import TABLES, TableChunks, asker, changes_of, open_rows, read_rows
from connectors.sources.mysql.codec import TableCodec
from connectors.sources.mysql.connection import Address
from connectors.sources.mysql.locate import behind
from connectors.sources.mysql.plan import Plan
from connectors.sources.mysql.position import Position
from connectors.sources.mysql.preflight import Server, latest
from connectors.sources.mysql.updates import Change

__all__ = ["SIGNALS", "IncrementalSnapshot", "Stream"]

SIGNALS: Final = ("execute-snapshot", "stop-snapshot", "pause-snapshot", "resume-snapshot")

logger = logging.getLogger(__name__)

_UNREADABLE: Final = (ValueError, TypeError, AttributeError, re.error)


class Stream(Protocol):
    """What the stream of changes does for it."""

    @property
    def reached(self) -> tuple[str, int]:
        """File and position behind the last event."""

    def emit_rows(self, codec: TableCodec, changes: list[Change], number: int) -> None:
        """Send rows of a snapshot, the first of which has this number."""

    def store(self) -> None:
        """Store the present position and the state of this snapshot once all before it is acknowledged."""


class _Chunk:
    """Rows that wait for the stream to reach the position after their SELECT."""

    def __init__(self, codec: TableCodec, rows: list[Change], high: Position) -> None:
        table = codec.table
        self.codec = codec
        self.name = (table.database, table.name)
        self.high = high
        self._key = [table.columns[n].name for n in table.key]
        self.rows = {self.key(orjson.loads(row.row)): row for row in rows}

    def key(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row.get(name) for name in self._key)

    def drop(self, change: Change) -> None:
        row = orjson.loads(change.row)
        self.rows.pop(self.key(row), None)
        if change.old is not None:
            self.rows.pop(self.key(row | orjson.loads(change.old)), None)


class IncrementalSnapshot:
    """Carries out signals.

    Args:
        plan: What to do.
        server: The server.
        address: Where it is.
        state: What `state` returned when the source stopped, or None.
    """

    def __init__(self, plan: Plan, server: Server, address: Address, state: Mapping[str, Any] | None = None) -> None:
        self._plan = plan
        self._server = server
        self._address = address
        self._connection: Any = None
        self._chunk: _Chunk | None = None
        self._posted: deque[tuple[str, Mapping[str, Any]]] = deque()
        state = state or {}
        self._tables = [(str(database), str(name)) for database, name in state.get("tables", ())]
        self._after: list[str] | None = state.get("after")
        self._rows = int(state.get("rows", 0))
        self._paused = bool(state.get("paused", False))

    @property
    def active(self) -> bool:
        """Whether there is something to read."""
        return bool(self._posted) or (bool(self._tables) and not self._paused)

    @property
    def state(self) -> dict[str, Any] | None:
        """What has to be stored; None where no snapshot is running."""
        if not self._tables:
            return None
        tables = [list(table) for table in self._tables]
        return {"tables": tables, "after": self._after, "rows": self._rows, "paused": self._paused}

    @property
    def posted(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Signals that were not carried out yet."""
        return list(self._posted)

    def post(self, kind: str, data: Mapping[str, Any]) -> None:
        """Take a signal from another thread; the next step carries it out."""
        self._posted.append((kind, data))

    def signal(self, rows: Sequence[Change]) -> None:
        """Take the rows that were inserted into the signal table; what is no signal is logged."""
        for row in rows:
            if row.type != "INSERT":
                continue
            values = orjson.loads(row.row)
            try:
                kind, data = str(values["type"]), orjson.loads(values.get("data") or "{}")
            except (*_UNREADABLE, KeyError) as error:
                logger.warning("signal %r is not carried out: %s", values, error)
            else:
                self._obey(kind, data)

    def _obey(self, kind: str, data: Mapping[str, Any]) -> None:
        try:
            self._carry_out(kind, data)
        except (*_UNREADABLE, KeyError) as error:
            logger.warning("signal %s %r is not carried out: %s", kind, data, error)

    def _carry_out(self, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "execute-snapshot":
            patterns = [re.compile(str(text)) for text in data["data-collections"]]
            found = [table for table in self._all_tables() if any(p.fullmatch(".".join(table)) for p in patterns)]
            self._tables += [table for table in found if table not in self._tables]
            logger.info("incremental snapshot of %s", ", ".join(".".join(table) for table in found) or "no table")
        elif kind == "stop-snapshot":
            patterns = [re.compile(str(text)) for text in data.get("data-collections") or [".*"]]
            left = [table for table in self._tables if not any(p.fullmatch(".".join(table)) for p in patterns)]
            if left[:1] != self._tables[:1]:
                self._after = self._chunk = None
            self._tables = left
        elif kind in ("pause-snapshot", "resume-snapshot"):
            self._paused = kind == "pause-snapshot"
        else:
            raise ValueError("its type is none of execute-, stop-, pause- and resume-snapshot")

    def _all_tables(self) -> list[tuple[str, str]]:
        ask = asker(self._connect(), self._address)
        names = [(str(database), str(name)) for database, name in ask(TABLES)]
        return [table for table in names if table != self._plan.signal_table and self._plan.filter.table(*table)]

    def saw(self, codec: TableCodec, changes: Sequence[Change]) -> None:
        """Take the rows that the stream shows off the chunk that waits."""
        chunk = self._chunk
        if chunk is not None and chunk.name == (codec.table.database, codec.table.name):
            for change in changes:
                chunk.drop(change)

    def step(self, stream: Stream) -> bool:
        """Go on as far as possible; to be called between two transactions.

        Returns:
            False where the stream has to go on first.

        Raises:
            RetriableError: The server is out of reach.
        """
        if self._posted:
            while self._posted:
                self._obey(*self._posted.popleft())
            stream.store()  # a snapshot that was asked for is not forgotten
            return True
        if self._chunk is None:
            self._read()
            return True
        if not behind(*stream.reached, self._chunk.high):
            return False
        chunk, self._chunk = self._chunk, None
        rows = list(chunk.rows.values())
        if rows:
            stream.emit_rows(chunk.codec, rows, self._rows)
        self._rows += len(rows)
        self._after = self._next
        if self._after is None:
            logger.info("incremental snapshot of %s.%s done", *self._tables.pop(0))
        stream.store()
        return True

    def _read(self) -> None:
        """Read the next chunk, then ask for the position behind it."""
        database, name = self._tables[0]
        connection = self._connect()
        ask = asker(connection, self._address)
        try:
            table = describe(ask, database, name)
            chunks = TableChunks(ask, self._plan, table, self._plan.chunk_rows)
            hidden = set(table.key) & (chunks.rules.dropped | chunks.rules.changed.keys())
            if not chunks.divided or hidden:
                logger.error(
                    "no incremental snapshot of %s.%s: its rows cannot be told apart by their key", database, name
                )
                self._tables.pop(0)
                return
            codec = TableCodec(table, chunks.rules, self._plan.rendering, where=f"{database}.{name} in a snapshot")
        except RetriableError:
            raise
        except ConnectError as error:
            logger.error("no incremental snapshot of %s.%s: %s", database, name, error)  # noqa: TRY400
            self._tables.pop(0)
            return
        rows: list[Any] = []
        self._next: list[str] | None = None
        for part in read_rows(connection, self._address, chunks.sql(self._after)):
            rows += chunks.decode(part.data, part.data.decode("latin-1"), 0, part.end, None)[0]
            self._next = chunks.after(part.data, part.last)
        if not chunks.more(len(rows)):
            self._next = None
        self._chunk = _Chunk(codec, changes_of(codec, rows, self._plan.snapshot_type), latest(ask, self._server))

    def _connect(self) -> Any:
        if self._connection is None:
            self._connection = open_rows(self._address)
            asker(self._connection, self._address)("SET SESSION sql_mode = '', time_zone = '+00:00', autocommit = 1")
        return self._connection

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection._force_close()
            self._connection = None
