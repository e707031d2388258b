"""Compares every row of the sinks with MySQL, by value.

Both sides are streamed: what is expected goes into a temporary SQLite file, the rows of each sink are looked up in it
a few hundred at a time, and what no row of a sink asked for is missing there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, Final

import orjson
from pymysql.cursors import SSCursor

from examples.pojo.pojo import SHANGHAI
from examples.pojo.servers import Servers

__all__ = [
    "COLUMNS",
    "Comparison",
    "Difference",
    "Row",
    "cassandra_rows",
    "compare",
    "compare_rows",
    "kudu_rows",
    "mysql_rows",
]

SOURCE_COLUMNS: Final = (
    "aid", "astyle", "aname", "log_time", "energy", "age", "astatus", "create_time", "update_time",
)  # fmt: skip
COLUMNS: Final = (*SOURCE_COLUMNS, "ts_create_time", "ts_update_time", "sys_create_time", "sys_update_time")
"""The columns of the sinks' tables, in the order of a `Row`."""

_FROM_SOURCE: Final = 11
_TS_CREATE: Final = COLUMNS.index("ts_create_time")
_TS_UPDATE: Final = COLUMNS.index("ts_update_time")
# Some servers log the time of a commit in whole seconds: two changes nearer than that may share a millisecond.
_GRAIN_MS: Final = 1000
_CHUNK: Final = 500

Row = tuple[Any, ...]
"""Values by `COLUMNS`: decimals as text, times as milliseconds since 1970. Expected rows end before `sys_*`."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One value that is not as it should be.

    Attributes:
        sink: Where.
        aid: Key of the row.
        what: The column, or `row` for a row that is missing or too many.
        expected: What should be there.
        found: What is.
    """

    sink: str
    aid: str
    what: str
    expected: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.sink}: {self.aid}: {self.what} is {self.found!r}, should be {self.expected!r}"


@dataclass(slots=True)
class Comparison:
    """What came out.

    Attributes:
        rows: Number of rows compared by sink, and of those expected.
        total: Number of differences.
        differences: The first of them.
    """

    rows: dict[str, int] = field(default_factory=dict)
    total: int = 0
    differences: list[Difference] = field(default_factory=list)


def compare(servers: Servers, *, keyspace: str = "m", table: str = "m_pojo", limit: int = 20) -> list[Difference]:
    """Compare `m.pojo` of MySQL with the tables of both sinks and return the first differences."""
    return compare_sinks(servers, keyspace=keyspace, table=table, limit=limit).differences


def compare_sinks(servers: Servers, *, keyspace: str = "m", table: str = "m_pojo", limit: int = 20) -> Comparison:
    """Compare `m.pojo` of MySQL with the tables of both sinks."""
    with servers.cassandra() as session:
        sinks = {
            "Cassandra": cassandra_rows(session, keyspace, table),
            "Kudu": kudu_rows(servers, f"{keyspace}.{table}"),
        }
        return compare_rows(mysql_rows(servers), sinks, limit=limit)


def compare_rows(
    expected: Iterable[Row], sinks: Mapping[str, Iterable[Row]], *, sys_times: bool = True, limit: int = 20
) -> Comparison:
    """Compare the rows of sinks with those expected.

    Args:
        expected: Rows without the `sys_*` columns; of several with one aid the last counts.
        sinks: Rows by the name of the sink.
        sys_times: Whether to check the `sys_*` columns: creation before update, both equal for a row that was only
            inserted, and the same in every sink.
        limit: Most differences to keep.
    """
    with closing(sqlite3.connect("")) as store:
        checker = _Checker(store, sys_times, limit)
        checker.expect(expected)
        for name, rows in sinks.items():
            checker.check(name, rows)
        return checker.result


class _Checker:
    def __init__(self, store: sqlite3.Connection, sys_times: bool, limit: int) -> None:
        self._store = store
        self._sys_times = sys_times
        self._limit = limit
        self.result = Comparison()
        store.execute("PRAGMA journal_mode = OFF")
        store.execute("CREATE TABLE expected (aid TEXT PRIMARY KEY, row BLOB, sys BLOB, seen TEXT) WITHOUT ROWID")

    def expect(self, rows: Iterable[Row]) -> None:
        items = ((row[0], orjson.dumps(row)) for row in rows)
        self._store.executemany("INSERT OR REPLACE INTO expected (aid, row) VALUES (?, ?)", items)
        (self.result.rows["expected"],) = self._store.execute("SELECT COUNT(*) FROM expected").fetchone()

    def check(self, sink: str, rows: Iterable[Row]) -> None:
        self.result.rows[sink] = 0
        stream = iter(rows)
        while chunk := list(islice(stream, _CHUNK)):
            self.result.rows[sink] += len(chunk)
            self._check_chunk(sink, chunk)
        for (aid,) in self._store.execute("SELECT aid FROM expected WHERE seen IS NOT ?", (sink,)):
            self._differs(sink, aid, "row", "there", "missing")

    def _check_chunk(self, sink: str, chunk: list[Row]) -> None:
        marks = ",".join("?" * len(chunk))
        query = f"SELECT aid, row, sys, seen FROM expected WHERE aid IN ({marks})"
        known = {aid: tuple(rest) for aid, *rest in self._store.execute(query, [row[0] for row in chunk])}
        done: dict[str, bytes] = {}
        for row in chunk:
            aid = row[0]
            if aid not in known:
                self._differs(sink, aid, "row", "absent", "there")
                continue
            expected, sys, seen = known[aid]
            if seen == sink or aid in done:
                self._differs(sink, aid, "row", "there once", "there again")
                continue
            self._check_row(sink, orjson.loads(expected), row)
            if self._sys_times:
                self._check_sys_times(sink, row, None if sys is None else orjson.loads(sys))
            done[aid] = orjson.dumps(row[_FROM_SOURCE:])
        self._store.executemany(
            "UPDATE expected SET seen = ?, sys = ? WHERE aid = ?", ((sink, sys, aid) for aid, sys in done.items())
        )

    def _check_row(self, sink: str, expected: Row, row: Row) -> None:
        for name, want, found in zip(COLUMNS, expected, row, strict=False):
            if want != found:
                self._differs(sink, row[0], name, want, found)

    def _check_sys_times(self, sink: str, row: Row, other: Row | None) -> None:
        created, changed = row[_FROM_SOURCE:]
        if created is None or changed is None:
            self._differs(sink, row[0], "sys_*", "two times", (created, changed))
            return
        apart = (row[_TS_UPDATE] or 0) - (row[_TS_CREATE] or 0)
        if created > changed or (created == changed and apart > _GRAIN_MS):
            self._differs(sink, row[0], "sys_create_time", f"before the update at {changed}", created)
        if not apart and created != changed:
            self._differs(sink, row[0], "sys_update_time", f"that of the insert, {created}", changed)
        if other is not None and (created, changed) != tuple(other):
            self._differs(sink, row[0], "sys_*", f"as in the other sink, {tuple(other)}", (created, changed))

    def _differs(self, sink: str, aid: str, what: str, expected: Any, found: Any) -> None:
        self.result.total += 1
        if len(self.result.differences) < self._limit:
            self.result.differences.append(Difference(sink, aid, what, expected, found))


def mysql_rows(servers: Servers) -> Iterator[Row]:
    """Stream `m.pojo`, with the `ts_*` columns made from the texts."""
    query = f"SELECT {', '.join(SOURCE_COLUMNS)} FROM m.pojo"
    with servers.mysql(SSCursor) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        for values in cursor:
            yield expected_row(dict(zip(SOURCE_COLUMNS, values, strict=True)))


def expected_row(source: Mapping[str, Any]) -> Row:
    """Return the row that a sink should hold, but for the `sys_*` columns."""
    texts = (_millis_of_text(source["create_time"]), _millis_of_text(source["update_time"]))
    return (*(_plain(source[name]) for name in SOURCE_COLUMNS), *texts)


def cassandra_rows(session: Any, keyspace: str = "m", table: str = "m_pojo") -> Iterator[Row]:
    """Stream a table of Cassandra."""
    for values in session.execute(f"SELECT {', '.join(COLUMNS)} FROM {keyspace}.{table}"):
        yield tuple(map(_plain, values))


def kudu_rows(servers: Servers, table: str = "m.m_pojo") -> Iterator[Row]:
    """Stream a table of Kudu."""
    with servers.kudu() as client:
        for row in client.scan(table):
            yield tuple(_plain(row[name]) for name in COLUMNS)


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, datetime):
        # Cassandra's driver gives naive times in UTC; Kudu keeps microseconds, Cassandra milliseconds.
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1_000_000) // 1000
    return value


def _millis_of_text(text: str | None) -> int | None:
    return None if text is None else _plain(datetime.fromisoformat(text).replace(tzinfo=SHANGHAI))
