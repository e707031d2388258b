"""All rows of the chosen tables as INSERTs, then the binlog from the point at which they were read.

Where the point comes from:
    - MariaDB tells the binlog position of a consistent snapshot; nobody waits.
    - MySQL with GTIDs: `gtid_executed` is read before the snapshot starts. A transaction enters that set only after
      InnoDB committed it, so the snapshot holds all of them; what was committed in between comes again from the
      binlog, with a later `connect.ts_us`. Nobody waits.
    - MySQL without GTIDs: FLUSH TABLES WITH READ LOCK for the moment between position and start of the snapshot.

A snapshot that is cut off starts over: only its last record has an offset.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from json.encoder import encode_basestring
from typing import Any, Final

import pymysql
from pymysql.converters import encoders

from connectors.api.errors import ConfigError, ConnectError
from connectors.api.record import SourceRecord
from connectors.formats.canal import POSITION_HEADER, TS_US_HEADER
from connectors.sources.mysql.catalogue import Selection, describe, selection
from connectors.sources.mysql.changes import Plan
from connectors.sources.mysql.codec import Change, EventFacts, TableCodec
from connectors.sources.mysql.column_types import SIGNED_MAXIMUM
from connectors.sources.mysql.columns import Table
from connectors.sources.mysql.connection import Address, connect, cut, translated
from connectors.sources.mysql.position import Position
from connectors.sources.mysql.preflight import Ask, Server, latest
from connectors.sources.mysql.reader import SourceReader

__all__ = ["SnapshotDone", "SnapshotReader"]

logger = logging.getLogger(__name__)

_FETCH: Final = 1000
_TABLES: Final = (
    "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE'"
    " ORDER BY TABLE_SCHEMA, TABLE_NAME"
)


class SnapshotDone(ConnectError):  # noqa: N818 - nothing went wrong
    """All rows were returned; go on with the binlog at the reader's position."""


class SnapshotReader(SourceReader):
    """Reads all rows of the chosen tables.

    Args:
        plan: What to do with the rows.
        server: The server, as it was found.
        address: Where it is.
        **bounds: `max_batch` and `max_queue_bytes`.
    """

    def __init__(self, plan: Plan, server: Server, address: Address, **bounds: int) -> None:
        super().__init__(plan, Position("", 0, server=server.identity), **bounds)
        self._server = server
        self._address = address
        self._held: list[SourceRecord] = []
        self._size = 0
        self._rows = 0
        self._message_id = 0
        self.done = False
        """Whether all rows were put into the queue."""

    def work(self) -> None:
        """Read all tables."""
        # Without decoders all values come as the server's text, or as bytes where they are no text.
        connection = connect(self._address, conv=encoders, cursorclass=pymysql.cursors.SSCursor)
        try:
            if not self.interruptible(lambda: cut(connection)):
                return
            ask = self._asker(connection)
            self._begin(ask)
            tables = [(d, t) for d, t in ask(_TABLES) if self._plan.filter.table(d, t)]
            for database, name in tables:
                self._table(connection, describe(ask, database, name))
        finally:
            _abandon(connection)
        self._finish(len(tables))

    def _begin(self, ask: Ask) -> None:
        """Start the consistent snapshot and set `position` to the point in the binlog that belongs to it."""
        for statement in (
            "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "SET SESSION sql_mode = ''",
            "SET SESSION net_write_timeout = 86400",  # the reader pauses for as long as Kafka does
        ):
            ask(statement)
        start = "START TRANSACTION WITH CONSISTENT SNAPSHOT"
        if self._server.flavor == "mariadb":
            ask(start)
            status = {str(n).lower(): str(v) for n, v in ask("SHOW STATUS LIKE 'binlog_snapshot_%'")}
            file, pos = status["binlog_snapshot_file"], int(status["binlog_snapshot_position"])
            gtids = str(ask(f"SELECT BINLOG_GTID_POS('{file}', {pos})")[0][0] or "")
            position = replace(self.position, file=file, pos=pos, gtids=gtids)
        elif self._server.variables.get("gtid_mode", "OFF") == "ON":
            gtids = "".join(str(ask("SELECT @@GLOBAL.gtid_executed")[0][0]).split())
            ask(start)
            position = replace(self.position, gtids=gtids)
        else:
            with self._locked() as locked:
                ask(start)
                position = latest(locked, self._server)
        clock_us = int(ask("SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)")[0][0])
        self.position = replace(position, ts_us=clock_us)
        logger.info("snapshot at %s", self.position)

    @contextmanager
    def _locked(self) -> Iterator[Ask]:
        with closing(connect(self._address)) as connection:
            ask = self._asker(connection)
            try:
                ask("FLUSH TABLES WITH READ LOCK")
            except ConfigError as error:
                raise ConfigError(
                    "A snapshot of a server without GTIDs needs the privilege RELOAD:"
                    f" GRANT RELOAD ON *.* TO '{self._address.user}'@'%'; or set gtid_mode=ON ({error})",
                ) from None
            yield ask  # closing the connection unlocks

    def _asker(self, connection: pymysql.Connection[Any]) -> Ask:
        def ask(sql: str, *values: Any) -> Sequence[Sequence[Any]]:
            with translated(self._address), connection.cursor() as cursor:
                cursor.execute(sql, values or None)
                return list(cursor.fetchall())

        return ask

    def _table(self, connection: pymysql.Connection[Any], table: Table) -> None:
        plan = self._plan
        where = f"{table.database}.{table.name} in the snapshot"
        topic = plan.topic.of(table.database, table.name)
        codec = TableCodec(table, topic, plan.rendering, key_changes=plan.keyed, where=where)
        how = selection(table, plan.rendering)
        change_of = _changes(table, how)
        with translated(self._address):
            cursor: Any = connection.cursor(pymysql.cursors.SSCursor)
            try:
                cursor.execute(how.sql)
                while rows := cursor.fetchmany(_FETCH):
                    self._emit(codec, [change_of(row) for row in rows])
                    if self._stopped:
                        return
                cursor.close()
            finally:
                # A cursor left before its end would read the rest of the table when it is collected.
                cursor.connection = None

    def _emit(self, codec: TableCodec, changes: list[Change]) -> None:
        now_ms = self.position.ts_us // 1000
        self._message_id += 1
        facts = EventFacts(now_ms // 1000 * 1000, now_ms, self._message_id, self.position.gtids)
        groups = [changes] if self._plan.per_event else [[change] for change in changes]
        ts_us = self.position.ts_us
        for group in groups:
            value = codec.message(group, facts)
            headers = [(TS_US_HEADER, b"%d" % (ts_us + 1)), (POSITION_HEADER, f"snapshot:{self._rows}".encode())]
            ts_us += len(group)
            self._rows += len(group)
            key = group[0].key if self._plan.keyed else None
            raw_key, partition = (key.encode(), None) if key is not None else (None, 0)
            self._held.append(
                SourceRecord(codec.topic, value, raw_key, partition, headers, now_ms, self._plan.source_partition),
            )
            self._size += len(value)
        self.position = replace(self.position, ts_us=ts_us)
        if len(self._held) > self._max_batch or self._size >= self._max_batch_bytes:
            # One record stays, so that the very last one can have the offset.
            self._put(self._held[:-1], self._held[-1:])

    def _put(self, batch: list[SourceRecord], rest: list[SourceRecord]) -> None:
        self._held, size, self._size = rest, self._size, 0
        self._queue.put(batch, size)

    def _finish(self, tables: int) -> None:
        if self._stopped:
            return
        logger.info("snapshot of %d rows in %d tables done", self._rows, tables)
        if self._held:
            self._held[-1].source_offset = self.position.to_offset()
            self._put(self._held, [])
        self.done = True
        self.fail(SnapshotDone())


def _abandon(connection: Any) -> None:
    """Close without first reading the rest of a table, which PyMySQL would do."""
    if connection._result is not None:
        connection._result.unbuffered_active = False
    connection._force_close()


def _changes(table: Table, how: Selection) -> Callable[[Sequence[Any]], Change]:
    """Return what makes a change of a row."""
    names = [f"{text}:" for text in (encode_basestring(column.name) for column in table.columns)]
    unsigned = [
        (n, SIGNED_MAXIMUM[column.type])
        for n, column in enumerate(table.columns)
        if column.unsigned and column.type in SIGNED_MAXIMUM
    ]

    def change(row: Sequence[Any]) -> Change:
        values = ["null" if value is None else text(value) for value, text in zip(row, how.texts, strict=True)]
        pieces = [name + value for name, value in zip(names, values, strict=True)]
        wide = sum(1 << n for n, most in unsigned if row[n] is not None and int(row[n]) > most)
        key = f"{{{','.join([pieces[n] for n in table.key])}}}" if table.key else None
        return Change(f"{{{','.join(pieces)}}}", key, wide, "INSERT")

    return change
