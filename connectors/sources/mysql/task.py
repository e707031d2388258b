"""The task: start, poll, stop."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

from connectors.api.connector import Props
from connectors.api.errors import FatalError, RetriableError
from connectors.api.record import SourceRecord
from connectors.api.source import SourceTask
from connectors.sources.mysql.binlog_reader import BinlogReader
from connectors.sources.mysql.catalogue import describe
from connectors.sources.mysql.charsets import Charsets
from connectors.sources.mysql.chunks import TABLES
from connectors.sources.mysql.columns import Table
from connectors.sources.mysql.connection import BinlogChannel, PurgedError
from connectors.sources.mysql.figures import Figures
from connectors.sources.mysql.history import SchemaHistory
from connectors.sources.mysql.incremental import IncrementalSnapshot
from connectors.sources.mysql.locate import at_time
from connectors.sources.mysql.options import Settings, read_settings
from connectors.sources.mysql.plan import Plan
from connectors.sources.mysql.position import Position
from connectors.sources.mysql.preflight import Ask, Server, earliest, given, inspect, latest
from connectors.sources.mysql.queries import queries
from connectors.sources.mysql.reader import SourceReader
from connectors.sources.mysql.snapshot import Progress, SnapshotDone, SnapshotReader
from connectors.sources.mysql.start import StartPosition

__all__ = ["MySqlBinlogTask"]

logger = logging.getLogger(__name__)

_POLL_S: Final = 0.5


class MySqlBinlogTask(SourceTask):
    """Reads one server's binlog.

    Where reading starts is stored before the first change comes, so that a crash at that time neither starts over nor
    leaves out what was written meanwhile.
    """

    def __init__(self) -> None:
        self._settings: Settings | None = None
        self._server: Server | None = None
        self._plan: Plan | None = None
        self._reader: SourceReader[Any] | None = None
        self._lost = False
        self._position: Position | None = None
        self._progress: Progress | None = None
        self._finished = False
        self._clock_us = 0
        self._history: SchemaHistory | None = None
        self._incremental: dict[str, Any] | None = None
        self._signals: deque[tuple[str, Mapping[str, Any]]] = deque()
        self._unstored = False

    def start(self, props: Props) -> None:
        """Check the server and start reading.

        Raises:
            ConfigError: Options or server are not set up for it; the message has a line for each reason.
            RetriableError: The server is out of reach.
            FatalError: The server has no binlog at the stored position.
        """
        self._settings = settings = read_settings(props, self.context.connector)
        with self._queries() as ask:
            self._server = server = inspect(ask, str(settings.address), history=settings.history)
            if settings.history:
                self._history = self._open_history(settings, ask)
            self._plan = self._make_plan(settings, server)
            stored = self.context.offset_storage_reader.offset(settings.source_partition)
            if stored:
                position = self._resume(stored, server)
                self._progress = Progress.from_offset(stored | position.to_offset())
                if self._progress is None:
                    self._position = position
                    self._incremental = stored.get("incremental")
                    self._finished = settings.snapshot_mode == "initial_only"
            elif not settings.snapshot:
                self._position = self._first(settings.start, server, ask)
                self._unstored = True
        self._figures = Figures(self.context.gauge, self._queries)
        self._read_on()

    def poll(self) -> list[SourceRecord] | None:
        """Return records; waits up to half a second."""
        layouts = self._history.take() if self._history is not None else []
        if self._unstored and self._position is not None:
            return [*layouts, self._heartbeat(self._position)]
        if layouts:
            return layouts
        if self._finished:
            time.sleep(_POLL_S)  # snapshot.mode=initial_only: nothing more will come
            return None
        if self._lost:
            self._find_again()
        reader = self._reader or self._read_on()
        self._figures.show(reader)
        try:
            return reader.get(_POLL_S)
        except SnapshotDone:
            self._go_on(reader)
            self._finished = self._settings is not None and self._settings.snapshot_mode == "initial_only"
            return None
        except PurgedError as error:
            self._start_over(reader, error)
            return None
        except RetriableError:
            # The next poll reads on behind what was returned; the position is ours, the library's is not used.
            self._go_on(reader)
            self._lost = True
            raise

    def signal(self, kind: str, data: Mapping[str, Any]) -> None:
        """Begin, stop, pause or resume snapshots of single tables; during a first snapshot it waits for its end."""
        if isinstance(self._reader, BinlogReader) and self._reader.incremental is not None:
            self._reader.incremental.post(kind, data)
        else:
            self._signals.append((kind, data))

    def stop(self) -> None:
        """End the reader thread."""
        if self._reader is not None:
            self._reader.stop()
            self._reader = None

    def _heartbeat(self, position: Position) -> SourceRecord:
        if self._plan is None:
            raise FatalError("the task was not started")
        self._unstored = False
        return SourceRecord.heartbeat(self._plan.source_partition, position.to_offset())

    def _go_on(self, reader: SourceReader[Any]) -> None:
        """Have the next poll start a reader where this one ended."""
        if isinstance(reader, SnapshotReader) and not reader.done:
            self._progress = reader.stored
        else:
            self._position = reader.position
        if isinstance(reader, BinlogReader) and reader.incremental is not None:
            self._incremental = reader.incremental.state
            self._signals += reader.incremental.posted
        reader.stop()
        self._reader = None

    def _start_over(self, reader: SourceReader[Any], error: PurgedError) -> None:
        """Take a new snapshot where the server no longer has what follows the stored position.

        Raises:
            PurgedError: `snapshot.mode` does not allow it.
        """
        if self._settings is None or self._settings.snapshot_mode != "when_needed":
            raise error
        logger.warning("%s Taking a new snapshot, as snapshot.mode=when_needed", error)
        reader.stop()
        self._reader = self._position = self._progress = None
        self._clock_us = reader.position.ts_us

    def _find_again(self) -> None:
        """Look at the server once more: behind the same address there may be another one by now."""
        if self._settings is None:
            raise FatalError("the task was not started")
        with self._queries() as ask:
            self._server = server = inspect(ask, str(self._settings.address), history=self._settings.history)
        if self._position is not None:
            self._position = self._resume(self._position.to_offset(), server)
        self._plan = self._make_plan(self._settings, server)
        self._lost = False

    def _make_plan(self, settings: Settings, server: Server) -> Plan:
        return Plan(
            settings.source_partition,
            settings.filter,
            settings.rules,
            settings.ddl_topic,
            settings.transaction_topic,
            settings.per_event,
            settings.rendering,
            server.flavor,
            server.identity,
            Charsets(server.collations, server.flavor),
            self._column_types,
            settings.snapshot_type,
            settings.chunk_rows,
            settings.signal_table,
            self._history,
            settings.statement_topic,
            settings.change_time,
        )

    def _open_history(self, settings: Settings, ask: Ask) -> SchemaHistory:
        def described(database: str, name: str) -> Table:
            with self._queries() as asking:
                return describe(asking, database, name)

        offset = self.context.offset_storage_reader.offset
        history = SchemaHistory(settings.source_partition, offset, described)
        for database, name in ask(TABLES):
            if settings.filter.table(str(database), str(name)):
                history.note(str(database), str(name))
        return history

    def _read_on(self) -> SourceReader[Any]:
        settings, server, plan = self._settings, self._server, self._plan
        if settings is None or server is None or plan is None:
            raise FatalError("poll was called before start")
        bound = settings.max_queue_bytes
        reader: SourceReader[Any]
        if self._position is None:
            reader = SnapshotReader(
                plan, server, settings.address, self._progress, clock_us=self._clock_us, max_queue_bytes=bound
            )
        else:
            incremental = IncrementalSnapshot(plan, server, settings.address, self._incremental)
            while self._signals:
                incremental.post(*self._signals.popleft())
            reader = BinlogReader(
                plan,
                self._position,
                self._open_channel,
                incremental,
                max_batch=settings.max_batch,
                max_queue_bytes=bound,
            )
        self._reader = reader
        reader.start()
        return reader

    def _open_channel(self, position: Position) -> BinlogChannel:
        if self._settings is None or self._plan is None:
            raise FatalError("the task was not started")
        return self._channel(position, self._plan.flavor)

    def _channel(self, position: Position, flavor: str) -> BinlogChannel:
        if self._settings is None:
            raise FatalError("the task was not started")
        settings = self._settings
        texts = settings.statement_topic is not None
        return BinlogChannel(settings.address, settings.server_id, position, flavor, annotations=texts)

    def _resume(self, offset: dict[str, Any], server: Server) -> Position:
        position = Position.from_offset(offset)
        if not position.server or position.server == server.identity:
            return position
        if not position.gtids:
            raise FatalError(
                f"the stored position is of the server {position.server}, but this is the server {server.identity},"
                " whose binlog files differ; without GTIDs the same place cannot be found. Delete the connector's"
                " offsets and take a new snapshot, or set start.position",
            )
        # Another server cuts transactions into row events differently, so the running one is read from its start.
        logger.warning("server %s took the place of %s: going on by GTID", server.identity, position.server)
        return Position("", 0, gtids=position.gtids, ts_us=position.ts_us, server=server.identity)

    def _first(self, start: StartPosition, server: Server, ask: Ask) -> Position:
        if start.kind == "gtid":
            return Position("", 0, gtids=start.gtids, server=server.identity)
        if start.kind == "file":
            return given(ask, server, start.file, start.pos)
        if start.kind == "timestamp":
            flavor = server.flavor
            return at_time(ask, server, lambda position: self._channel(position, flavor), start.time_ms)
        if start.kind == "latest":
            return latest(ask, server)
        return earliest(ask, server)

    def _queries(self) -> AbstractContextManager[Ask]:
        if self._settings is None:
            raise FatalError("the task was not started")
        return queries(self._settings.address)

    def _column_types(self, database: str, table: str) -> dict[str, str]:
        with self._queries() as ask:
            rows = ask(
                "SELECT COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS"
                " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s",
                database,
                table,
            )
        return {str(name): str(type_) for name, type_ in rows}
