"""All rows of the chosen tables as INSERTs, then the binlog from the point at which reading began.

Where the point comes from:
    - MariaDB tells the binlog position of a consistent snapshot; nobody waits.
    - MySQL with GTIDs: `gtid_executed` is read before the snapshot starts. A transaction enters that set only after
      InnoDB committed it, so the snapshot holds all of them; what was committed in between comes again from the
      binlog, with a later `connect.ts_us`. Nobody waits.
    - MySQL without GTIDs: FLUSH TABLES WITH READ LOCK for the moment between position and start of the snapshot.

Tables are read in chunks along their primary key, and each batch ends with an offset. A snapshot that is cut off goes
on behind its last batch in a new transaction, which sees later rows than the first one; the binlog is still read
from the first point on, so that all changes since then follow, with later times, and the tables end as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pymysql

from connectors.api.errors import ConfigError, ConnectError, FatalError
from connectors.api.record import SourceRecord
from connectors.sources.mysql.batch import Batch, Moment, portions
from connectors.sources.mysql.catalogue import describe
from connectors.sources.mysql.chunks import TABLES, TableChunks, asker, changes_of, open_rows, read_rows
from connectors.sources.mysql.codec import EventFacts, TableCodec
from connectors.sources.mysql.connection import Address, connect, cut
from connectors.sources.mysql.plan import Plan
from connectors.sources.mysql.position import Position
from connectors.sources.mysql.preflight import Ask, Server, executed, latest
from connectors.sources.mysql.reader import SourceReader

__all__ = ["Progress", "SnapshotDone", "SnapshotReader"]

logger = logging.getLogger(__name__)


class SnapshotDone(ConnectError):  # noqa: N818 - nothing went wrong
    """All rows were returned; go on with the binlog at the reader's position."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a snapshot is.

    Attributes:
        position: Where the binlog is read from afterwards; its clock goes on with each row.
        table: Schema and name of the table that is read; those before it are done.
        after: Key of its last row that was read, as SQL literals; None: from its start.
        rows: Rows so far.
    """

    position: Position
    table: tuple[str, str] = ("", "")
    after: tuple[str, ...] | None = None
    rows: int = 0

    def to_offset(self) -> dict[str, Any]:
        """Return the source offset."""
        state = {
            "table": list(self.table),
            "after": None if self.after is None else list(self.after),
            "rows": self.rows,
        }
        return self.position.to_offset() | {"snapshot": state}

    @classmethod
    def from_offset(cls, offset: Mapping[str, Any]) -> Progress | None:
        """Read a source offset; None where no snapshot was running."""
        state = offset.get("snapshot")
        if not isinstance(state, Mapping):
            return None
        after = state.get("after")
        table = tuple(map(str, state["table"]))
        position = Position.from_offset(offset)
        return cls(position, (table[0], table[1]), None if after is None else tuple(after), int(state.get("rows", 0)))


class SnapshotReader(SourceReader):
    """Reads all rows of the chosen tables.

    Args:
        plan: What to do with the rows.
        server: The server, as it was found.
        address: Where it is.
        progress: Where to go on; None: from the start.
        clock_us: The row clock starts behind this.
        **bounds: `max_batch` and `max_queue_bytes`.
    """

    def __init__(
        self,
        plan: Plan,
        server: Server,
        address: Address,
        progress: Progress | None = None,
        *,
        clock_us: int = 0,
        **bounds: int,
    ) -> None:
        position = progress.position if progress is not None else Position("", 0, server=server.identity)
        super().__init__(plan, position, **bounds)
        self._server = server
        self._address = address
        self._batch = Batch(plan, position.ts_us)
        self._message_id = 0
        self._clock_us = clock_us
        self.progress = progress
        """How far it is; None before the point in the binlog is known."""
        self.stored = progress
        """How far it was with the last batch that was put into the queue."""
        self.done = False
        """Whether all rows were put into the queue."""

    def figures(self) -> dict[str, float]:
        """Return what to show of the reader, by name."""
        rows = self.progress.rows if self.progress is not None else 0
        return super().figures() | {"snapshot_rows_total": rows}

    def work(self) -> None:
        """Read all tables."""
        connection = open_rows(self._address)
        try:
            if not self.interruptible(lambda: cut(connection)):
                return
            ask = asker(connection, self._address)
            progress = self._begin(ask)
            tables = [(d, t) for d, t in ask(TABLES) if self._plan.filter.table(d, t) and (d, t) >= progress.table]
            for database, name in tables:
                self._table(connection, ask, database, name)
                if self._stopped:
                    return
        finally:
            connection._force_close()  # a plain close would wait for the rest of an answer
        self._finish(len(tables))

    def _begin(self, ask: Ask) -> Progress:
        """Start the consistent snapshot and, unless it goes on, note the point in the binlog that belongs to it."""
        for statement in (
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "SET SESSION sql_mode = '', time_zone = '+00:00'",
            "SET SESSION net_write_timeout = 86400",  # the reader pauses for as long as Kafka does
        ):
            ask(statement)
        if self.progress is not None:
            ask("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            logger.info("the snapshot at %s goes on in table %s.%s", self.position, *self.progress.table)
            return self.progress
        position = self._start(ask)
        now_us = int(ask("SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)")[0][0])
        self._batch.ts_us = max(now_us, self._clock_us)
        self.position = replace(position, ts_us=self._batch.ts_us)
        self.progress = Progress(self.position)
        logger.info("snapshot at %s", self.position)
        return self.progress

    def _start(self, ask: Ask) -> Position:
        start = "START TRANSACTION WITH CONSISTENT SNAPSHOT"
        if self._server.flavor == "mariadb":
            before = executed(ask, "mariadb")
            ask(start)
            status = {str(n).lower(): str(v) for n, v in ask("SHOW STATUS LIKE 'binlog_snapshot_%'")}
            file, pos = status["binlog_snapshot_file"], int(status["binlog_snapshot_position"])
            gtids = str(ask(f"SELECT BINLOG_GTID_POS('{file}', {pos})")[0][0] or "") or before
            return replace(self.position, file=file, pos=pos, gtids=gtids)
        if self._server.variables.get("gtid_mode", "OFF") == "ON":
            gtids = "".join(str(ask("SELECT @@GLOBAL.gtid_executed")[0][0]).split())
            ask(start)
            return replace(self.position, gtids=gtids)
        with self._locked() as locked:
            ask(start)
            return latest(locked, self._server)

    @contextmanager
    def _locked(self) -> Iterator[Ask]:
        with closing(connect(self._address)) as connection:
            ask = asker(connection, self._address)
            try:
                ask("FLUSH TABLES WITH READ LOCK")
            except ConfigError as error:
                raise ConfigError(
                    "A snapshot of a server without GTIDs needs the privilege RELOAD:"
                    f" GRANT RELOAD ON *.* TO '{self._address.user}'@'%'; or set gtid_mode=ON ({error})",
                ) from None
            yield ask  # closing the connection unlocks

    def _table(self, connection: pymysql.Connection[Any], ask: Ask, database: str, name: str) -> None:
        try:
            table = describe(ask, database, name)
            if not table.columns:  # dropped since the list was made
                return
            chunks = TableChunks(ask, self._plan, table, self._plan.chunk_rows, whole=not self._plan.per_event)
            codec = TableCodec(table, chunks.rules, self._plan.rendering, where=f"{database}.{name} in the snapshot")
        except (ConfigError, FatalError) as error:
            self._refuse(database, name, error)
            return
        around = lambda: codec.around(self._plan.snapshot_type, self._facts()) if chunks.whole else None  # noqa: E731
        after = None
        if self.progress is not None and self.progress.table == (database, name) and chunks.divided:
            after = self.progress.after
        while True:
            count = 0
            for part in read_rows(connection, self._address, chunks, chunks.sql(after), around):
                count += len(part.rows)
                after = tuple(part.after) if part.after is not None else None
                self._emit(codec, part.rows, whole=chunks.whole)
                self._mark((database, name), after)
                if self._stopped:
                    return
            if not chunks.more(count):
                return

    def _refuse(self, database: str, name: str, error: ConnectError) -> None:
        """Leave out a table that cannot be read; `errors.tolerance` decides whether the others go on."""
        record = SourceRecord.errant(
            b"",
            error,
            position=f"snapshot:{database}.{name}",
            headers=[("connect.database", database.encode()), ("connect.table", name.encode())],
            source_partition=self._plan.source_partition,
        )
        self._batch.plain(record)
        self._mark((database, name), None)

    def _facts(self) -> EventFacts:
        now_ms = self.position.ts_us // 1000
        self._message_id += 1
        return EventFacts(now_ms // 1000 * 1000, now_ms, self._message_id, self.position.gtids)

    def _emit(self, codec: TableCodec, rows: list[Any], *, whole: bool) -> None:
        if self.progress is None:
            return
        if whole:
            self._batch.messages(codec.topic, rows, self._moment(self.progress))
            self.progress = replace(self.progress, rows=self.progress.rows + len(rows))
            return
        facts = self._facts()
        changes = changes_of(codec, rows, self._plan.snapshot_type)
        for some in portions(changes) if self._plan.per_event else (changes,):
            self._batch.emit(codec, some, facts, self._moment(self.progress))
            self.progress = replace(self.progress, rows=self.progress.rows + len(some))

    def _moment(self, progress: Progress) -> Moment:
        return Moment("snapshot:", progress.rows, self._batch.ts_us)

    def _mark(self, table: tuple[str, str], after: Sequence[str] | None) -> None:
        """Store how far the snapshot is: with every batch, so that none of its rows is read again."""
        if self.progress is None:
            return
        self.position = replace(self.position, ts_us=self._batch.ts_us)
        place = tuple(after) if after is not None else None
        self.progress = replace(self.progress, position=self.position, table=table, after=place)
        offset = self.progress.to_offset()
        self._batch.plain(SourceRecord.heartbeat(self._plan.source_partition, offset))
        self._put()
        self.stored = self.progress

    def _put(self) -> None:
        size = self._batch.size
        self._queue.put(self._batch.take(), size)

    def _finish(self, tables: int) -> None:
        if self._stopped or self.progress is None:
            return
        logger.info("snapshot of %d rows done, %d tables in this run", self.progress.rows, tables)
        self.position = replace(self.position, ts_us=self._batch.ts_us)
        self._batch.plain(SourceRecord.heartbeat(self._plan.source_partition, self.position.to_offset()))
        self._put()
        self.done = True
        self.fail(SnapshotDone())
