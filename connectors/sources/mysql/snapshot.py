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

The thread asks and takes rows off the connection; `get` makes records of them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

from connectors.api.errors import ConfigError, ConnectError, FatalError
from connectors.api.record import SourceRecord
from connectors.sources.mysql.batch import Batch, Moment, portions
from connectors.sources.mysql.catalogue import describe
from connectors.sources.mysql.chunks import TABLES, RawRows, TableChunks, asker, changes_of, open_rows, read_rows
from connectors.sources.mysql.codec import EventFacts, TableCodec
from connectors.sources.mysql.connection import Address, connect, cut
from connectors.sources.mysql.plan import Plan
from connectors.sources.mysql.position import Position
from connectors.sources.mysql.preflight import Ask, Server, executed, latest
from connectors.sources.mysql.reader import SourceReader
from connectors.sources.mysql.snapshot_decoder import Around

__all__ = ["Progress", "SnapshotDone", "SnapshotReader"]

logger = logging.getLogger(__name__)

_PORTION_BYTES: Final = 32 * 1024
"""Bytes of rows that are decoded at once: their messages, and all that belongs to them, stay in a core's cache."""


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


class _Rows:
    """Rows of one table, of which some may be decoded already."""

    def __init__(self, codec: TableCodec, chunks: TableChunks, raw: RawRows) -> None:
        self.codec = codec
        self.chunks = chunks
        self._raw = raw
        self._text = ""
        self._at = self._last = 0

    @property
    def names(self) -> tuple[str, str]:
        return self.codec.table.database, self.codec.table.name

    def decode(self, around: Around | None) -> list[Any]:
        """Return some of the rows that are left."""
        data, end = self._raw.data, min(self._at + _PORTION_BYTES, self._raw.end)
        self._text = self._text or data.decode("latin-1")
        rows, self._at, self._last = self.chunks.decode(data, self._text, self._at, end, around)
        return rows

    @property
    def after(self) -> list[str] | None:
        """The key of the last row that was decoded."""
        return self.chunks.after(self._raw.data, self._last)

    @property
    def done(self) -> bool:
        return self._at >= self._raw.end


_Piece = _Rows | Callable[[], None]
"""Rows, or what has to be done between them."""


class SnapshotReader(SourceReader[_Piece]):
    """Reads all rows of the chosen tables.

    Args:
        plan: What to do with the rows.
        server: The server, as it was found.
        address: Where it is.
        progress: Where to go on; None: from the start.
        clock_us: The row clock starts behind this.
        max_queue_bytes: Bytes of rows that may wait.
    """

    def __init__(
        self,
        plan: Plan,
        server: Server,
        address: Address,
        progress: Progress | None = None,
        *,
        clock_us: int = 0,
        max_queue_bytes: int,
    ) -> None:
        position = progress.position if progress is not None else Position("", 0, server=server.identity)
        super().__init__(plan, position, max_queue_bytes=max_queue_bytes)
        self._server = server
        self._address = address
        self._batch = Batch(plan, position.ts_us)
        self._message_id = 0
        self._clock_us = clock_us
        self._rows: _Rows | None = None
        self.progress = progress
        """How far it is; None before the point in the binlog is known."""
        self.stored = progress
        """How far it was with the last batch that was returned."""
        self.done = False
        """Whether all rows were returned."""

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
            for names in tables:
                after = progress.after if names == progress.table else None
                self._table(connection, ask, names, after)
                if self._stopped:
                    return
        finally:
            connection._force_close()  # a plain close would wait for the rest of an answer
        self._do(lambda: self._finish(len(tables)))
        self._queue.fail(SnapshotDone())

    def _do(self, step: Callable[[], None]) -> None:
        """Have `get` do something after what was put before it."""
        self._queue.put(step, 0, 0)

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

    def _table(self, connection: Any, ask: Ask, names: tuple[str, str], after: Sequence[str] | None) -> None:
        try:
            table = describe(ask, *names)
            if not table.columns:  # dropped since the list was made
                return
            chunks = TableChunks(ask, self._plan, table, self._plan.chunk_rows, whole=not self._plan.per_event)
            codec = TableCodec(table, chunks.rules, self._plan.rendering, where=f"{'.'.join(names)} in the snapshot")
        except (ConfigError, FatalError) as error:
            reason = error
            self._do(lambda: self._refuse(names, reason))
            return
        while True:
            count = 0
            for raw in read_rows(connection, self._address, chunks.sql(after)):
                self._queue.put(_Rows(codec, chunks, raw), raw.count, len(raw.data))
                if self._stopped:
                    return
                count += raw.count
                last = raw
            if not chunks.more(count):
                return
            after = chunks.after(last.data, last.last)

    # In the caller's thread

    def records(self, timeout_s: float) -> list[SourceRecord] | None:
        """Make records of some rows."""
        if self._rows is None:
            piece = self._queue.get(timeout_s)
            if piece is None:
                return None
            if not isinstance(piece, _Rows):
                piece()
                return self._batch.take()
            self._rows = piece
        rows = self._rows
        self._emit(rows)
        self._mark(rows.names, rows.after)
        if rows.done:
            self._rows = None
        return self._batch.take()

    def _refuse(self, names: tuple[str, str], error: ConnectError) -> None:
        """Leave out a table that cannot be read; `errors.tolerance` decides whether the others go on."""
        database, name = names
        record = SourceRecord.errant(
            b"",
            error,
            position=f"snapshot:{database}.{name}",
            headers=[("connect.database", database.encode()), ("connect.table", name.encode())],
            source_partition=self._plan.source_partition,
        )
        self._batch.plain(record)
        self._mark(names, None)

    def _facts(self) -> EventFacts:
        now_ms = self.position.ts_us // 1000
        self._message_id += 1
        return EventFacts(now_ms // 1000 * 1000, now_ms, self._message_id, self.position.gtids)

    def _emit(self, rows: _Rows) -> None:
        if self.progress is None:
            return
        codec, facts, kind = rows.codec, self._facts(), self._plan.snapshot_type
        if rows.chunks.whole:
            messages = rows.decode(codec.around(kind, facts))
            self._batch.messages(codec.topic, messages, self._moment(self.progress))
            self.progress = replace(self.progress, rows=self.progress.rows + len(messages))
            return
        changes = changes_of(codec, rows.decode(None), kind)
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
        self.stored = self.progress = replace(self.progress, position=self.position, table=table, after=place)
        self._batch.plain(SourceRecord.heartbeat(self._plan.source_partition, self.progress.to_offset()))

    def _finish(self, tables: int) -> None:
        if self.progress is None:
            return
        logger.info("snapshot of %d rows done, %d tables in this run", self.progress.rows, tables)
        self.position = replace(self.position, ts_us=self._batch.ts_us)
        self._batch.plain(SourceRecord.heartbeat(self._plan.source_partition, self.position.to_offset()))
        self.done = True
