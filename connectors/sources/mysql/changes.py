"""From binlog events to source records: transactions, row clock, offsets.

Pure: no I/O, so that recorded bytes test it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from connectors.api.errors import FatalError
from connectors.api.record import Headers, SourceRecord
from connectors.formats.canal import POSITION_HEADER, TS_US_HEADER
from connectors.sources.mysql import events as e
from connectors.sources.mysql.charsets import Charsets
from connectors.sources.mysql.codec import Change, EventFacts, TableCodec, ddl_message, group
from connectors.sources.mysql.columns import Column, Table, parse_columns, table_name
from connectors.sources.mysql.ddl import classify, tables_written
from connectors.sources.mysql.fields import Rendering
from connectors.sources.mysql.filters import TableFilter, TopicName
from connectors.sources.mysql.gtids import gtid_set
from connectors.sources.mysql.position import Position

__all__ = ["ChangeStream", "Plan"]

logger = logging.getLogger(__name__)

_MAX_LAYOUTS: Final = 2000
_END_OF_STATEMENT: Final = 0xFFFFFF
"""Table id of a row event without rows, which only ends a statement."""

ColumnTypes = Callable[[str, str], dict[str, str]]
"""Takes database and table, returns the catalogue's present type names by column."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the stream has to know besides the events.

    Attributes:
        source_partition: Of every record.
        filter: Which tables.
        topic: Where rows go.
        ddl_topic: Where schema changes go; None: to the table's topic.
        keyed: Whether the primary key is the Kafka key.
        per_event: Whether all rows of an event are one message.
        rendering: Choices of text form.
        flavor: `mysql` or `mariadb`.
        server: Identity of the server.
        charsets: Character sets of the server.
        column_types: Asks the catalogue for what MariaDB's events do not tell.
    """

    source_partition: dict[str, Any]
    filter: TableFilter = field(default_factory=TableFilter)
    topic: TopicName = field(default_factory=lambda: TopicName("topic", "${database}.${table}"))
    ddl_topic: TopicName | None = None
    keyed: bool = True
    per_event: bool = False
    rendering: Rendering = field(default_factory=Rendering)
    flavor: str = "mysql"
    server: str = ""
    charsets: Charsets = field(default_factory=Charsets)
    column_types: ColumnTypes | None = None


class ChangeStream:
    """Takes events in the order of the binlog and collects records.

    Args:
        plan: What to do.
        position: Where the first event comes from.
        now_ms: Wall clock in milliseconds since 1970.
    """

    def __init__(
        self,
        plan: Plan,
        position: Position,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._plan = plan
        self._now_ms = now_ms
        self._file, self._pos = position.file, position.pos
        self._by_gtid = not position.file
        self._skip, self._events, self._rows = position.events, 0, position.rows
        self._ts_us = position.ts_us
        self._gtids = gtid_set(plan.flavor, position.gtids)
        self._gtids_before = self._gtids_after = str(self._gtids)
        self._gtid: e.Gtid | None = None
        self._in_transaction = False
        self._checksum = 0
        self._event_start = 0
        self._tables: dict[int, TableCodec | None] = {}
        self._layouts: dict[bytes, TableCodec | None] = {}
        self._message_id = 0
        self._records: list[SourceRecord] = []
        self.size = 0
        """Bytes of the records that wait to be taken."""
        self._handlers: dict[int, Callable[[bytes, int, int], None]] = {
            e.XID: lambda body, seconds, next_pos: self._commit(next_pos),
            e.XA_PREPARE: lambda body, seconds, next_pos: self._commit(next_pos),
            e.QUERY: self._query,
            e.EXECUTE_LOAD: lambda body, seconds, next_pos: self._statement(e.query(body, plan.charsets, load=True)),
            e.TABLE_MAP: self._table_map,
            e.FORMAT: self._format,
            e.GTID: lambda body, *_: self._begin(e.mysql_gtid(body, anonymous=False)),
            e.ANONYMOUS_GTID: lambda body, *_: self._begin(e.mysql_gtid(body, anonymous=True)),
            e.GTID_TAGGED: lambda body, *_: self._begin(e.tagged_gtid(body)),
            e.PAYLOAD: self._payload,
            e.PARTIAL_UPDATE: self._refuse_partial,
            e.INCIDENT: self._refuse_incident,
        }

    @property
    def place(self) -> str:
        """Where the stream stands, for messages."""
        return f"{self._file}:{self._pos}"

    def start_at(self, file: str, pos: int) -> None:
        """Learn from the server where its first event comes from."""
        self._file, self._pos = file, pos

    def position(self) -> Position:
        """Return the position after the records collected so far."""
        return Position(
            # Started by GTIDs, the file says nothing before the first transaction that is not among them.
            "" if self._by_gtid else self._file,
            self._pos,
            self._events + self._skip,
            self._rows,
            self._gtids_before,
            self._ts_us,
            self._plan.server,
        )

    def take(self) -> list[SourceRecord]:
        """Return the records collected and forget them.

        The last one gets the present position: where transactions without chosen tables followed it, they need not
        be read again.
        """
        records, self._records, self.size = self._records, [], 0
        if records:
            records[-1].source_offset = self.position().to_offset()
        return records

    @property
    def waiting(self) -> int:
        """Number of records that wait to be taken."""
        return len(self._records)

    def handle(self, event: bytes) -> None:
        """Take one event, header and checksum included.

        Raises:
            FatalError: It holds changes that cannot be decoded, or changes were lost before it.
        """
        seconds, kind, server_id, size, next_pos, flags = e.HEADER(event)
        self._event_start = next_pos - size if next_pos else 0
        if kind == e.ROTATE:
            self._rotate(event)
            return
        body = event[e.HEADER_SIZE : len(event) - (self._checksum if kind != e.FORMAT else 0)]
        self._dispatch(kind, body, seconds, server_id, next_pos, flags)

    def _dispatch(self, kind: int, body: bytes, seconds: int, server_id: int, next_pos: int, flags: int) -> None:
        if kind in e.INFLATED:
            kind, body = e.inflate_event(kind, body)
        rows = e.ROWS.get(kind)
        if rows is not None:
            self._row_event(rows, body, seconds)
            return
        handler = self._handlers.get(kind)
        if handler is not None:
            handler(body, seconds, next_pos)
        elif kind == e.MARIADB_GTID:
            self._begin(e.mariadb_gtid(body, server_id))
        elif kind not in e.IGNORED and not flags & e.IGNORABLE:
            raise FatalError(f"{self.place}: event type {kind} is not known; it may hold changes, so reading stops")

    # Transactions

    def _begin(self, gtid: e.Gtid) -> None:
        if self._event_start:
            self._pos = self._event_start
        self._by_gtid = False
        self._gtid = gtid
        self._gtids.add(gtid)
        self._gtids_after = str(self._gtids)
        if self._plan.flavor == "mariadb":
            self._in_transaction = not gtid.standalone

    def _commit(self, next_pos: int) -> None:
        """Move the boundary behind the transaction. Only here are event positions true in every server (P5)."""
        if next_pos:
            self._pos = next_pos
        self._events = self._rows = self._skip = 0
        self._gtids_before = self._gtids_after
        self._gtid = None
        self._in_transaction = False

    def _rotate(self, event: bytes) -> None:
        self._file, self._pos = e.rotate(event)
        self._tables.clear()

    def _format(self, body: bytes, _: int, __: int) -> None:
        self._checksum = e.checksum_size(body)
        self._tables.clear()  # the server may have started again and count table ids from the beginning

    def _query(self, body: bytes, seconds: int, next_pos: int) -> None:
        if body[-6:] == b"\0BEGIN":
            self._in_transaction = True
            return
        query = e.query(body, self._plan.charsets)
        words = query.sql[:40].upper().split(None, 2)
        first = words[0].rstrip(";") if words else ""
        if first == "BEGIN" or words[:2] in (["XA", "START"], ["START", "TRANSACTION"]):
            self._in_transaction = True
        elif first == "COMMIT" or words[:2] in (["XA", "COMMIT"], ["XA", "ROLLBACK"]):
            if words[:2] == ["XA", "ROLLBACK"]:
                logger.warning("%s: %s undoes rows that were sent when it was prepared", self.place, query.sql)
            self._commit(next_pos)
        elif first == "ROLLBACK":
            self._rollback(words, query.sql, next_pos)
        elif first not in ("SAVEPOINT", "XA"):
            self._statement(query, seconds)
            if not self._in_transaction and not query.sql.rstrip().endswith("START TRANSACTION"):
                self._commit(next_pos)

    def _rollback(self, words: list[str], sql: str, next_pos: int) -> None:
        # The server logs a rollback only where a table without transactions was written as well: those rows stay.
        if self._rows:
            logger.warning("%s: %s; rows of this transaction were sent already", self.place, sql)
        if words[1:2] != ["TO"]:
            self._commit(next_pos)

    # Statements

    def _statement(self, query: e.Query, seconds: int = 0) -> None:
        self._events += 1
        if self._skip:
            self._skip -= 1
            return
        ddl = classify(query.sql, query.database)
        if ddl is not None:
            chosen = next((names for names in ddl.tables if self._chosen(*names)), None)
            if chosen is not None:
                self._emit_ddl(ddl.type, ddl.tables[0] if ddl.type == "RENAME" else chosen, query.sql, seconds)
            return
        written = tables_written(query.sql, query.database)
        if written is not None and (self._chosen(*written) or not written[1]):
            raise FatalError(
                f"{self.place}: rows of {'.'.join(written)} were changed by a statement that the binlog holds as text"
                " (binlog_format=STATEMENT or MIXED in that session), so the rows are not known."
                f" Statement: {query.sql[:200]}",
            )

    def _chosen(self, database: str, table: str) -> bool:
        return self._plan.filter.table(database, table) if table else self._plan.filter.database(database)

    def _emit_ddl(self, kind: str, names: tuple[str, str], sql: str, seconds: int) -> None:
        database, table = names
        topic = self._plan.ddl_topic
        if topic is None:
            if not table:
                logger.info("%s: not sent, as topic.ddl is not set: %s", self.place, sql)
                return
            topic = self._plan.topic
        value = ddl_message(kind, database, table, sql, self._facts(seconds))
        commit_us = self._commit_us(seconds)
        self._ts_us = max(self._ts_us + 1, commit_us)
        self._add(topic.of(database, table), value, None, self._headers(), commit_us // 1000)
        self._records[-1].source_offset = self.position().to_offset()

    # Rows

    def _table_map(self, body: bytes, _: int, __: int) -> None:
        layout = body[8:]
        if layout not in self._layouts:
            if len(self._layouts) >= _MAX_LAYOUTS:
                self._layouts.clear()
            self._layouts[layout] = self._codec(body)
        self._tables[int.from_bytes(body[:6], "little")] = self._layouts[layout]

    def _codec(self, body: bytes) -> TableCodec | None:
        plan = self._plan
        database, name, at = table_name(body, 8)
        if not plan.filter.table(database, name):
            return None
        where = f"{database}.{name} at {self.place}"
        columns, key = parse_columns(body, at, plan.charsets, plan.flavor, where)
        self._name_special_columns(database, name, columns)
        topic = plan.topic.of(database, name)
        table = Table(database, name, columns, key)
        return TableCodec(table, topic, plan.rendering, key_changes=plan.keyed, where=where)

    def _name_special_columns(self, database: str, name: str, columns: list[Column]) -> None:
        suspects = [column for column in columns if column.type == 254 and column.charset is None]
        if self._plan.flavor != "mariadb" or self._plan.column_types is None or not suspects:
            return
        types = self._plan.column_types(database, name)
        for column in suspects:
            if types.get(column.name) in ("uuid", "inet4", "inet6"):
                column.special = types[column.name]

    def _row_event(self, rows: tuple[str, int], body: bytes, seconds: int) -> None:
        self._events += 1
        if self._skip:
            self._skip -= 1
            return
        kind, at = rows
        if at == 10:
            at += int.from_bytes(body[8:10], "little") - 2
        table_id = int.from_bytes(body[:6], "little")
        if table_id not in self._tables:
            if table_id == _END_OF_STATEMENT:
                return
            raise FatalError(f"{self.place}: a row event came without the table map event that describes it")
        codec = self._tables[table_id]
        if codec is None:
            return
        changes = codec.changes(kind, body, at)
        if changes:
            self._emit(codec, changes, seconds)
            self._records[-1].source_offset = self.position().to_offset()

    def _emit(self, codec: TableCodec, changes: list[Change], seconds: int) -> None:
        facts = self._facts(seconds)
        commit_us = self._commit_us(seconds)
        self._ts_us = max(self._ts_us, commit_us - 1)
        timestamp_ms = commit_us // 1000
        if self._plan.per_event:
            for changes_of_message in group(changes):
                value = codec.message(changes_of_message, facts)
                self._ts_us += 1
                self._add(codec.topic, value, None, self._headers(), timestamp_ms)
                self._ts_us += len(changes_of_message) - 1
                self._rows += len(changes_of_message) - 1
            return
        self._emit_each(codec, changes, facts, timestamp_ms)

    def _emit_each(self, codec: TableCodec, changes: list[Change], facts: EventFacts, timestamp_ms: int) -> None:
        """Make a record for each change; the loop that decides the speed, hence its local names."""
        append, partition, keyed, topic = (
            self._records.append,
            self._plan.source_partition,
            self._plan.keyed,
            codec.topic,
        )
        place = f"{self._file}:{self._pos}:".encode()
        ts_us, row_number, size = self._ts_us, self._rows, 0
        pieces: dict[tuple[str, int], tuple[str, str]] = {}
        for row, key, wide, kind, old in changes:
            around = pieces.get((kind, wide))
            if around is None:
                around = pieces[kind, wide] = codec.pieces(kind, wide, facts)
            middle = "null" if old is None else f"[{old}]"
            value = f'{{"data":[{row}{around[0]}{middle}{around[1]}'.encode()
            ts_us += 1
            headers = [(TS_US_HEADER, b"%d" % ts_us), (POSITION_HEADER, place + b"%d" % row_number)]
            row_number += 1
            size += len(value)
            if keyed and key is not None:
                append(SourceRecord(topic, value, key.encode(), None, headers, timestamp_ms, partition))
            else:
                # Without a key the rows of a table keep their order only on one partition, as in Canal.
                append(SourceRecord(topic, value, None, 0, headers, timestamp_ms, partition))
        self._ts_us, self._rows = ts_us, row_number
        self.size += size

    def _add(self, topic: str, value: bytes, key: bytes | None, headers: Headers, timestamp_ms: int) -> None:
        partition = None if key is not None else 0
        self._records.append(
            SourceRecord(topic, value, key, partition, headers, timestamp_ms, self._plan.source_partition),
        )
        self._rows += 1
        self.size += len(value)

    def _headers(self) -> Headers:
        position = f"{self._file}:{self._pos}:{self._rows}".encode()
        return [(TS_US_HEADER, b"%d" % self._ts_us), (POSITION_HEADER, position)]

    def _facts(self, seconds: int) -> EventFacts:
        self._message_id += 1
        return EventFacts(seconds * 1000, self._now_ms(), self._message_id, self._gtids_after)

    def _commit_us(self, seconds: int) -> int:
        if self._gtid is not None and self._gtid.commit_us is not None:
            return self._gtid.commit_us
        return seconds * 1_000_000

    # Events that hold changes this source cannot read

    def _payload(self, body: bytes, _: int, next_pos: int) -> None:
        """Handle a compressed transaction: its events have no checksum, and positions that mean nothing in the file."""
        try:
            inner = e.payload_events(body)
        except ImportError:
            raise FatalError(
                f"{self.place}: the transaction is compressed; reading it needs the package zstandard"
                " (pip install zstandard), or SET GLOBAL binlog_transaction_compression = OFF; before it is written",
            ) from None
        for event in inner:
            seconds, kind, server_id, _, _, flags = e.HEADER(event)
            self._dispatch(kind, event[e.HEADER_SIZE :], seconds, server_id, next_pos, flags)

    def _refuse_partial(self, body: bytes, *_: Any) -> None:
        codec = self._tables.get(int.from_bytes(body[:6], "little"))
        if codec is not None:
            raise FatalError(
                f"{self.place}: an UPDATE of {codec.table.database}.{codec.table.name} is logged as a difference of"
                " JSON documents, which cannot be read. SET GLOBAL binlog_row_value_options = ''; and in sessions"
                " that turned it on",
            )
        self._events += 1

    def _refuse_incident(self, *_: Any) -> None:
        raise FatalError(f"{self.place}: the server reports that it lost binlog events: take a new snapshot")
