"""The task: start, poll, stop."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, Final

from connectors.api.connector import Props
from connectors.api.errors import FatalError, RetriableError
from connectors.api.record import SourceRecord
from connectors.api.source import SourceTask
from connectors.sources.mysql.changes import Plan
from connectors.sources.mysql.charsets import Charsets
from connectors.sources.mysql.connection import BinlogChannel, connect, translated
from connectors.sources.mysql.options import Settings, StartPosition, read_settings
from connectors.sources.mysql.position import Position
from connectors.sources.mysql.preflight import Ask, Server, earliest, given, inspect, latest
from connectors.sources.mysql.reader import BinlogReader, SourceReader
from connectors.sources.mysql.snapshot import SnapshotDone, SnapshotReader

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
        self._reader: SourceReader | None = None
        self._lost = False
        self._position: Position | None = None
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
            self._server = server = inspect(ask, str(settings.address))
            self._plan = self._make_plan(settings, server)
            stored = self.context.offset_storage_reader.offset(settings.source_partition)
            if stored:
                self._position = self._resume(stored, server)
            elif not settings.snapshot:
                self._position = self._first(settings.start, server, ask)
                self._unstored = True
        self._read_on()

    def poll(self) -> list[SourceRecord] | None:
        """Return records; waits up to half a second."""
        if self._unstored and self._position is not None:
            return [self._heartbeat(self._position)]
        if self._lost:
            self._find_again()
        reader = self._reader or self._read_on()
        try:
            return reader.get(_POLL_S)
        except SnapshotDone:
            self._go_on(reader)
            self._unstored = True
            return None
        except RetriableError:
            # The next poll reads on behind what was returned; the position is ours, the library's is not used.
            self._go_on(reader)
            self._lost = True
            raise

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

    def _go_on(self, reader: SourceReader) -> None:
        """Have the next poll start a reader where this one ended; a snapshot that was cut off starts over."""
        if not isinstance(reader, SnapshotReader) or reader.done:
            self._position = reader.position
        reader.stop()
        self._reader = None

    def _find_again(self) -> None:
        """Look at the server once more: behind the same address there may be another one by now."""
        if self._settings is None:
            raise FatalError("the task was not started")
        with self._queries() as ask:
            self._server = server = inspect(ask, str(self._settings.address))
        if self._position is not None:
            self._position = self._resume(self._position.to_offset(), server)
        self._plan = self._make_plan(self._settings, server)
        self._lost = False

    def _make_plan(self, settings: Settings, server: Server) -> Plan:
        return Plan(
            settings.source_partition,
            settings.filter,
            settings.topic,
            settings.ddl_topic,
            settings.keyed,
            settings.per_event,
            settings.rendering,
            server.flavor,
            server.identity,
            Charsets(server.collations, server.flavor),
            self._column_types,
        )

    def _read_on(self) -> SourceReader:
        settings, server, plan = self._settings, self._server, self._plan
        if settings is None or server is None or plan is None:
            raise FatalError("poll was called before start")
        bounds = {"max_batch": settings.max_batch, "max_queue_bytes": settings.max_queue_bytes}
        reader: SourceReader
        if self._position is None:
            reader = SnapshotReader(plan, server, settings.address, **bounds)
        else:
            reader = BinlogReader(plan, self._position, self._open_channel, **bounds)
        self._reader = reader
        reader.start()
        return reader

    def _open_channel(self, position: Position) -> BinlogChannel:
        if self._settings is None or self._plan is None:
            raise FatalError("the task was not started")
        return BinlogChannel(self._settings.address, self._settings.server_id, position, self._plan.flavor)

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
        if start.kind == "latest":
            return latest(ask, server)
        return earliest(ask, server)

    @contextmanager
    def _queries(self) -> Iterator[Ask]:
        """Open a connection for queries, for the length of the block."""
        if self._settings is None:
            raise FatalError("the task was not started")
        address = self._settings.address
        with closing(connect(address)) as connection, connection.cursor() as cursor:

            def ask(sql: str, *values: Any) -> Sequence[Sequence[Any]]:
                with translated(address):
                    cursor.execute(sql, values or None)
                    return list(cursor.fetchall())

            yield ask

    def _column_types(self, database: str, table: str) -> dict[str, str]:
        with self._queries() as ask:
            rows = ask(
                "SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS"
                " WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s",
                database,
                table,
            )
        return {str(name): str(type_).lower() for name, type_ in rows}
