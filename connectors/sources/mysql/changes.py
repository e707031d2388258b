"""From binlog events to source records: transactions, row clock, offsets.

Pure: no I/O, so that recorded bytes test it.
"""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from connectors.api.errors import ConnectError, FatalError
from connectors.api.record import SourceRecord
from connectors.sources.mysql import events as e
from connectors.sources.mysql.batch import Batch, Moment, portions
from connectors.sources.mysql.codec import EventFacts, TableCodec, UndecodableError, ddl_message
from connectors.sources.mysql.columns import Table
from connectors.sources.mysql.ddl import classify, tables_written
from connectors.sources.mysql.gtids import gtid_set
from connectors.sources.mysql.incremental import IncrementalSnapshot
from connectors.sources.mysql.json_diff import UNREADABLE, rebuild
from connectors.sources.mysql.layouts import Layouts, Unreadable
from connectors.sources.mysql.plan import Plan
from connectors.sources.mysql.position import Position
from connectors.sources.mysql.statements import StatementTexts
from connectors.sources.mysql.transactions import TransactionMonitor
from connectors.sources.mysql.updates import Change

__all__ = ["ChangeStream"]

logger = logging.getLogger(__name__)

_END_OF_STATEMENT: Final = 0xFFFFFF
"""Table id of a row event without rows, which only ends a statement."""


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
        self._gtids = gtid_set(plan.flavor, position.gtids)
        self._gtids_before = self._gtids_after = str(self._gtids)
        self._gtid: e.Gtid | None = None
        self._in_transaction = False
        self._checksum = 0
        self._event_start = 0
        self._tables: dict[int, TableCodec | Unreadable | None] = {}
        self._layouts = Layouts(plan)
        # Kinds of row events, in capitals, and of statements.
        self._skipped = {name.upper() for name in plan.rules.skipped} | plan.rules.skipped
        self._raw = b""
        self._reached = position.pos
        self.events = self.rows = self.transactions = 0
        """What was read since the start."""
        self.last_event_s = 0
        """Time of the last event in seconds since 1970, as the server has it; 0 before the first one."""
        self.incremental: IncrementalSnapshot | None = None
        """Snapshots that go on beside the stream."""
        self._inner: Iterator[bytes] = iter(())
        self._inner_next_pos = 0
        self._message_id = 0
        self._batch = Batch(plan, position.ts_us)
        self._texts = StatementTexts(plan, self._skipped)
        self._monitor = TransactionMonitor(plan) if plan.transaction_topic is not None else None
        self._handlers: dict[int, Callable[[bytes, int, int], None]] = {
            e.XID: lambda body, seconds, next_pos: self._commit(next_pos, seconds),
            e.XA_PREPARE: lambda body, seconds, next_pos: self._commit(next_pos, seconds),
            e.QUERY: self._query,
            e.EXECUTE_LOAD: lambda body, seconds, next_pos: self._statement(e.query(body, plan.charsets, load=True)),
            e.TABLE_MAP: self._table_map,
            e.FORMAT: self._format,
            e.GTID: lambda body, *_: self._begin(e.mysql_gtid(body, anonymous=False)),
            e.ANONYMOUS_GTID: lambda body, *_: self._begin(e.mysql_gtid(body, anonymous=True)),
            e.GTID_TAGGED: lambda body, *_: self._begin(e.tagged_gtid(body)),
            e.PAYLOAD: self._payload,
            e.PARTIAL_UPDATE: self._partial_update,
            e.INCIDENT: self._refuse_incident,
        }
        if plan.statement_topic is not None:
            self._handlers[e.ROWS_QUERY] = lambda body, *_: self._texts.remember(body[1:])
            self._handlers[e.ANNOTATE_ROWS] = lambda body, *_: self._texts.remember(body)

    @property
    def place(self) -> str:
        """Where the stream stands, for messages."""
        return f"{self._file}:{self._pos}"

    def start_at(self, file: str, pos: int) -> None:
        """Learn from the server where its first event comes from."""
        self._file, self._pos = file, pos
        self._reached = pos

    def position(self) -> Position:
        """Return the position after the records collected so far."""
        return Position(
            # Started by GTIDs, the file says nothing before the first transaction that is not among them.
            "" if self._by_gtid else self._file,
            self._pos,
            self._events + self._skip,
            self._rows,
            self._gtids_before,
            self._batch.ts_us,
            self._plan.server,
        )

    def offset(self) -> dict[str, Any]:
        """Return the source offset after the records collected so far."""
        offset = self.position().to_offset()
        state = self.incremental.state if self.incremental is not None else None
        return offset if state is None else offset | {"incremental": state}

    @property
    def between_transactions(self) -> bool:
        """Whether the last event ended a transaction, or was of none."""
        return self._gtid is None and not self._in_transaction

    @property
    def reached(self) -> tuple[str, int]:
        """File and position behind the last event."""
        return self._file, self._reached

    def emit_rows(self, codec: TableCodec, changes: list[Change], number: int) -> None:
        """Add rows of a snapshot."""
        now = self._now_ms()
        self._message_id += 1
        facts = EventFacts(now // 1000 * 1000, now, self._message_id, self._gtids_before)
        for some in portions(changes) if self._plan.per_event else (changes,):
            self._batch.emit(codec, some, facts, Moment("incremental:", number, self._batch.ts_us))
            number += len(some)

    def store(self) -> None:
        """Add a record that stores the present position."""
        self._batch.plain(SourceRecord.heartbeat(self._plan.source_partition, self.offset()))

    def take(self) -> list[SourceRecord]:
        """Return the records collected and forget them.

        The last one gets the present position: where transactions without chosen tables followed it, they need not
        be read again.
        """
        records = self._batch.take()
        if records and records[-1].source_partition is not self._plan.source_partition:
            records.append(SourceRecord.heartbeat(self._plan.source_partition, {}))  # behind a stored table layout
        if records:
            records[-1].source_offset = self.offset()
        return records

    @property
    def waiting(self) -> int:
        """Number of records that wait to be taken."""
        return len(self._batch.records)

    @property
    def size(self) -> int:
        """Bytes of the records that wait to be taken."""
        return self._batch.size

    def begin(self, event: bytes) -> None:
        """Take one event, header and checksum included; the events that it holds are left to `go_on`.

        Raises:
            FatalError: It holds changes that cannot be decoded, or changes were lost before it.
        """
        seconds, kind, server_id, size, next_pos, flags = e.HEADER(event)
        self._raw = event
        self.events += 1
        if seconds:  # heartbeats and events made for the stream have none
            self.last_event_s = seconds
        if next_pos:
            self._reached = next_pos
        self._event_start = next_pos - size if next_pos else 0
        if kind == e.ROTATE:
            self._rotate(event)
            return
        body = event[e.HEADER_SIZE : len(event) - (self._checksum if kind != e.FORMAT else 0)]
        self._dispatch(kind, body, seconds, server_id, next_pos, flags)

    def go_on(self) -> bool:
        """Take the next of the events that the last one holds; False where there is none.

        A compressed transaction is one event, of any size, so records may be taken in between.
        """
        event = next(self._inner, None)
        if event is None:
            return False
        seconds, kind, server_id, _, _, flags = e.HEADER(event)
        self._dispatch(kind, event[e.HEADER_SIZE :], seconds, server_id, self._inner_next_pos, flags)
        return True

    def _dispatch(self, kind: int, body: bytes, seconds: int, server_id: int, next_pos: int, flags: int) -> None:
        if kind in e.INFLATED:
            kind, body = e.inflate_event(kind, body)
        rows = e.ROWS.get(kind)
        if rows is not None:
            if self._texts.text is not None:
                self._tell_statement(rows[0], body, seconds)
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

    def _commit(self, next_pos: int, seconds: int) -> None:
        """Move the boundary behind the transaction. Only here are event positions true in every server (P5)."""
        self.transactions += 1
        end = self._monitor.end(seconds * 1000) if self._monitor is not None else None
        if end is not None:
            self._batch.plain(end)
        if next_pos:
            self._pos = next_pos
        self._events = self._rows = self._skip = 0
        self._gtids_before = self._gtids_after
        self._gtid = self._texts.text = None
        self._in_transaction = False

    def _rotate(self, event: bytes) -> None:
        self._file, self._pos = e.rotate(event)
        self._reached = self._pos
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
            if words[0].upper() == "XA":
                self._emit_xa(words[1], query.sql, seconds)
            self._commit(next_pos, seconds)
        elif first == "ROLLBACK":
            self._rollback(words, query.sql, next_pos, seconds)
        elif first not in ("SAVEPOINT", "XA"):
            self._statement(query, seconds)
            if not self._in_transaction and not query.sql.rstrip().endswith("START TRANSACTION"):
                self._commit(next_pos, seconds)

    def _emit_xa(self, word: str, sql: str, seconds: int) -> None:
        """Tell of the end of an XA transaction, whose rows were sent when it was prepared."""
        topic = self._plan.ddl_topic
        if topic is not None and "ddl" not in self._skipped:
            message = ddl_message(f"XA{word.upper()}", "", "", sql, self._facts(seconds), is_ddl=False)
            self._send_statement(topic.of("", ""), message, seconds)

    def _rollback(self, words: list[str], sql: str, next_pos: int, seconds: int) -> None:
        # The server logs a rollback only where a table without transactions was written as well: those rows stay.
        if self._rows:
            logger.warning("%s: %s; rows of this transaction were sent already", self.place, sql)
        if words[1:2] != ["TO"]:
            self._commit(next_pos, seconds)

    # Statements

    def _statement(self, query: e.Query, seconds: int = 0) -> None:
        self._events += 1
        if self._skip:
            self._skip -= 1
            return
        refused = self._refuse_statement(query)
        ddl = classify(query.sql, query.database)
        if ddl is None:
            return
        self._layouts.clear()  # what the catalogue tells of tables may have changed
        if self._plan.history is not None:
            for database, name in ddl.tables:
                self._plan.history.forget(database, name)
        if "ddl" in self._skipped or ddl.type.lower() in self._skipped:
            return
        chosen = next((names for names in ddl.tables if self._chosen(*names)), None)
        if chosen is None:
            return
        told = self._emit_ddl(ddl.type, ddl.tables[0] if ddl.type == "RENAME" else chosen, query.sql, seconds)
        if refused is not None and told:
            refused.source_offset = None  # both belong to the same event

    def _refuse_statement(self, query: e.Query) -> SourceRecord | None:
        """Hand on a statement that changed rows of chosen tables, as the rows are not in the binlog."""
        written = tables_written(query.sql, query.database)
        names = next((names for names in written if self._chosen(*names) or not names[1]), None)
        if names is None:
            return None
        reason = FatalError(
            f"{self.place}: rows of {'.'.join(names)} were changed by a statement that the binlog holds as text"
            " (binlog_format=STATEMENT or MIXED in that session), so the rows are not known."
            f" Statement: {query.sql[:200]}",
        )
        return self._poison(Table(*names, []), reason)

    def _chosen(self, database: str, table: str) -> bool:
        return self._plan.filter.table(database, table) if table else self._plan.filter.database(database)

    def _emit_ddl(self, kind: str, names: tuple[str, str], sql: str, seconds: int) -> bool:
        """Send a schema change; tells whether there is a topic for it."""
        database, table = names
        topic = self._plan.ddl_topic
        if topic is None:
            if not table:
                logger.info("%s: not sent, as topic.ddl is not set: %s", self.place, sql)
                return False
            name = self._plan.rules.routing.topic_of(database, table)
        else:
            name = topic.of(database, table)
        self._send_statement(name, ddl_message(kind, database, table, sql, self._facts(seconds)), seconds)
        return True

    def _tell_statement(self, kind: str, body: bytes, seconds: int) -> None:
        """Send the running statement's text before its rows.

        It has no offset of its own: it belongs to the row event, with which it comes again or does not.
        """
        codec = self._tables.get(int.from_bytes(body[:6], "little"))
        found = self._texts.before(kind, body, codec.table if codec is not None else None)
        if found is not None and not self._skip:
            topic, table, text = found
            message = ddl_message("QUERY", "", table, text, self._facts(seconds), is_ddl=False)
            self._send_statement(topic, message, seconds).source_offset = None

    def _send_statement(self, topic: str, value: bytes, seconds: int) -> SourceRecord:
        place = f"{self._file}:{self._pos}:"
        record = self._batch.statement(topic, value, Moment(place, self._rows, self._commit_us(seconds)))
        self._rows += 1
        record.source_offset = self.offset()
        return record

    # Rows

    def _table_map(self, body: bytes, _: int, __: int) -> None:
        self._tables[int.from_bytes(body[:6], "little")] = self._layouts.codec(body, self.place)
        if self._plan.history is not None:
            for record in self._plan.history.take():
                self._batch.plain(record)

    def _row_event(self, rows: tuple[str, int], body: bytes, seconds: int) -> None:
        self._events += 1
        done = self._skip > 0
        if done:
            self._skip -= 1
            if self._monitor is None:
                return
        kind, at = rows
        if at == 10:
            at += int.from_bytes(body[8:10], "little") - 2
        codec = self._table_of(body)
        if codec is None or kind in self._skipped:
            return
        if isinstance(codec, Unreadable):
            self._poison(codec.table, codec.reason, done=done)
            return
        try:
            changes = codec.changes(kind, body, at)
        except UndecodableError as error:
            self._poison(codec.table, error, done=done)
            return
        if codec.topic == "":
            self._signal(changes, done=done)
        elif changes and not done:
            self._emit(codec, changes, seconds)
            self._batch.records[-1].source_offset = self.offset()
        elif changes and self._monitor is not None:
            # Sent before the source started again; they count for the message that tells of the transaction's end.
            self._monitor.resume(self._transaction_id())
            self._monitor.rows(codec, changes, ())

    def _table_of(self, body: bytes) -> TableCodec | Unreadable | None:
        table_id = int.from_bytes(body[:6], "little")
        if table_id not in self._tables and table_id != _END_OF_STATEMENT:
            raise FatalError(f"{self.place}: a row event came without the table map event that describes it")
        return self._tables.get(table_id)

    def _emit(self, codec: TableCodec, changes: list[Change], seconds: int) -> None:
        facts = self._facts(seconds)
        batch, monitor = self._batch, self._monitor
        first = len(batch.records)
        if monitor is not None and not monitor.open:
            batch.plain(monitor.begin(self._transaction_id(), seconds * 1000))
            first += 1
        place = f"{self._file}:{self._pos}:"
        batch.emit(codec, changes, facts, Moment(place, self._rows, self._commit_us(seconds)))
        self._rows += len(changes)
        self.rows += len(changes)
        if self.incremental is not None:
            self.incremental.saw(codec, changes)
        if monitor is not None:
            monitor.rows(codec, changes, batch.records[first:])

    def _signal(self, changes: list[Change], *, done: bool) -> None:
        if self.incremental is not None and not done:
            self.incremental.signal(changes)

    def _transaction_id(self) -> str:
        return self._gtid.text if self._gtid is not None and self._gtid.text else f"{self._file}:{self._pos}"

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
        self._inner, self._inner_next_pos = e.payload_events(body), next_pos

    def _partial_update(self, body: bytes, seconds: int, _: int) -> None:
        """Handle an UPDATE whose JSON documents are logged as differences: put the documents together first."""
        if self._texts.text is not None:
            self._tell_statement("UPDATE", body, seconds)
        codec = self._tables.get(int.from_bytes(body[:6], "little"))
        if not isinstance(codec, TableCodec) or "UPDATE" in self._skipped:
            self._events += 1
            self._skip -= self._skip > 0
            return
        try:
            whole = rebuild(body, codec.parts)
        except UNREADABLE as error:
            done = self._skip > 0
            self._events += 1
            self._skip -= done
            reason = UndecodableError(
                f"{self.place}: an UPDATE of {codec.table.database}.{codec.table.name} is logged as a difference of"
                f" JSON documents, which cannot be put together: {error}. SET GLOBAL binlog_row_value_options = ''; and"
                " in sessions that turned it on",
            )
            self._poison(codec.table, reason, done=done)
            return
        self._row_event(("UPDATE", 10), whole, seconds)

    def _poison(self, table: Table, reason: ConnectError, *, done: bool = False) -> SourceRecord | None:
        """Hand on an event that cannot be read; `errors.tolerance` decides what becomes of it."""
        if done:
            return None
        record = SourceRecord.errant(
            base64.b64encode(self._raw),
            reason,
            position=f"{self.place}:{self._rows}",
            headers=[
                ("connect.database", table.database.encode()),
                ("connect.table", table.name.encode()),
                ("connect.gtid", self._gtid.text.encode() if self._gtid is not None else b""),
                ("connect.table.map", base64.b64encode(self._layouts.event_of(table))),
            ],
            source_partition=self._plan.source_partition,
        )
        self._batch.plain(record)
        record.source_offset = self.offset()
        return record

    def _refuse_incident(self, *_: Any) -> None:
        raise FatalError(f"{self.place}: the server reports that it lost binlog events: take a new snapshot")
