"""Rows per second from the binlog's bytes to Canal's, against mysql-replication's own path, in the same run."""

from __future__ import annotations

import time

import orjson
import pytest
from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.row_event import WriteRowsEvent

from connectors.sources.mysql.changes import ChangeStream
from tests.integration.sources.harness import Database, running

ROWS = 30_000
COLUMNS = (
    "aid varchar(64) PRIMARY KEY, aname varchar(64), astyle varchar(32), energy decimal(10,2), age int, tt timestamp,"
    " log_time bigint, create_time varchar(32), update_time varchar(32), astatus varchar(8)"
)


@pytest.mark.slow
def test_decoding_is_several_times_as_fast_as_the_librarys(
    database: Database, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.run(f"CREATE TABLE {schema}.s ({COLUMNS}) CHARSET utf8mb4")
    with database.connect() as cursor:
        cursor.execute("SHOW BINARY LOG STATUS" if database.flavor == "mysql" else "SHOW MASTER STATUS")
        file, pos = cursor.fetchone()[:2]
        for start in range(0, ROWS, 5000):
            rows = ",".join(
                f"('ID000-{n}','NAME-{n}','STYLE000-{n % 5}',{n % 1000}.25,{n % 5 * 13},'2024-01-02 03:04:05',{n},"
                f"'2024-01-02 03:04:05.006','2024-01-02 03:04:05.006','0{n % 5}')"
                for n in range(start, start + 5000)
            )
            cursor.execute(f"INSERT INTO {schema}.s VALUES {rows}")
    library = library_seconds(database, schema, file, pos)
    spent = handled_seconds(monkeypatch)
    began = time.perf_counter()
    options = {"start_position": f"{file}:{pos}", "table_include_list": rf"{schema}\.s"}
    with running(database.props(**options), schema) as source:
        source.wait(ROWS)
    whole = time.perf_counter() - began
    decode = ROWS / spent[0]
    rates = f"decode {decode:,.0f} rows/s, read and poll {ROWS / whole:,.0f}, library {ROWS / library:,.0f}"
    print(f"\n{database.flavor}: {rates}")
    assert decode > 3 * ROWS / library


def handled_seconds(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Have the CPU seconds of `ChangeStream.handle` added up in the thread that calls it."""
    spent = [0.0]
    handle = ChangeStream.handle

    def timed(self: ChangeStream, event: bytes) -> None:
        began = time.thread_time()
        handle(self, event)
        spent[0] += time.thread_time() - began

    monkeypatch.setattr(ChangeStream, "handle", timed)
    return spent


def library_seconds(database: Database, schema: str, file: str, pos: int) -> float:
    """CPU seconds of the library's own way to JSON bytes."""
    stream = BinLogStreamReader(
        connection_settings={
            "host": database.host,
            "port": database.port,
            "user": database.user,
            "password": database.password,
        },
        server_id=4_000_000_001,
        log_file=file,
        log_pos=pos,
        resume_stream=True,
        only_events=[WriteRowsEvent],
        only_schemas=[schema],
        enable_logging=False,
    )
    began = time.thread_time()
    size = 0
    for event in stream:
        for row in event.rows:
            size += len(orjson.dumps({name: str(value) for name, value in row["values"].items()}))
    stream.close()
    assert size > ROWS * 100
    return time.thread_time() - began
