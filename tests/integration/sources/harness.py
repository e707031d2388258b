"""Drives the source as the runtime does: start, poll, stop, with offsets in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pymysql

from connectors import RetriableError, SourceRecord
from connectors.sources.mysql import MySqlBinlogSource, MySqlBinlogTask


@dataclass
class Database:
    """One of the real servers: the source logs in as `user`, the tests as root."""

    flavor: str
    host: str
    port: int
    user: str
    password: str

    def props(self, **options: str) -> dict[str, str]:
        return {
            "database.hostname": self.host,
            "database.port": str(self.port),
            "database.user": self.user,
            "database.password": self.password,
            **{name.replace("_", "."): value for name, value in options.items()},
        }

    @contextmanager
    def connect(self, **options: Any) -> Iterator[pymysql.cursors.Cursor]:
        connection = pymysql.connect(
            host=self.host,
            port=self.port,
            user="root",
            password="",
            charset="utf8mb4",
            autocommit=options.pop("autocommit", True),
            **options,
        )
        with closing(connection), connection.cursor() as cursor:
            yield cursor

    def run(self, *statements: str, **options: Any) -> None:
        with self.connect(**options) as cursor:
            for statement in statements:
                cursor.execute(statement)


@dataclass
class Context:
    """The runtime's side: the offset that was stored last."""

    connector: str
    stored: dict[str, Any] | None = None
    layouts: dict[tuple[str, str], Any] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=dict)

    @property
    def offset_storage_reader(self) -> Context:
        return self

    def offset(self, partition: Mapping[str, Any]) -> dict[str, Any] | None:
        return self.layouts.get((partition["database"], partition["table"])) if "table" in partition else self.stored

    def offsets(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        return []

    def configs(self) -> dict[str, str]:
        return {}

    def gauge(self, name: str, value: float) -> None:
        self.gauges[name] = value


@dataclass
class Source:
    """A running task and what it returned."""

    props: dict[str, str]
    context: Context
    task: MySqlBinlogTask = field(default_factory=MySqlBinlogTask)
    records: list[SourceRecord] = field(default_factory=list)
    tolerant: bool = False
    errors: list[SourceRecord] = field(default_factory=list)

    def start(self) -> Source:
        assert not [error for value in MySqlBinlogSource.validate(self.props) for error in value.errors]
        self.task.initialize(self.context)
        self.task.start(self.props)
        return self

    def poll(self) -> list[SourceRecord]:
        batch = self.task.poll() or []
        for record in batch:
            if "table" in (record.source_partition or {}):
                partition = record.source_partition or {}
                self.context.layouts[partition["database"], partition["table"]] = record.source_offset
            elif record.source_offset is not None and (record.error is None or self.tolerant):
                self.context.stored = dict(record.source_offset)
            if record.error is not None and not self.tolerant:
                raise record.error
        self.errors += [record for record in batch if record.error is not None]
        sent = [record for record in batch if record.topic]
        self.records += sent
        return sent

    def wait(self, count: int, timeout_s: float = 30.0) -> list[SourceRecord]:
        """Poll until so many records are there."""
        deadline = time.monotonic() + timeout_s
        while len(self.records) < count:
            assert time.monotonic() < deadline, f"{len(self.records)} of {count} records"
            self.poll()
        return self.records

    def wait_rows(self, count: int, timeout_s: float = 30.0) -> list[dict[str, Any]]:
        """Poll until the messages hold so many rows."""
        deadline = time.monotonic() + timeout_s
        while sum(len(message["data"] or ()) for message in self.messages()) < count:
            assert time.monotonic() < deadline, self.messages()
            self.poll()
        return self.messages()

    def poll_through(self, timeout_s: float = 30.0) -> list[SourceRecord]:
        """Poll like the runtime: after a `RetriableError`, again."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                return self.poll()
            except RetriableError:
                continue
        raise AssertionError("still failing")

    def messages(self) -> list[dict[str, Any]]:
        return [orjson.loads(record.value) for record in self.records]

    def stop(self) -> None:
        self.task.stop()


@contextmanager
def running(props: dict[str, str], name: str, stored: dict[str, Any] | None = None) -> Iterator[Source]:
    source = Source(props, Context(name, stored))
    try:
        yield source.start()
    finally:
        source.stop()
