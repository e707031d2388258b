"""Snapshots by signal while streaming goes on."""

from __future__ import annotations

import threading
from typing import Any

import orjson
import pytest

from tests.integration.sources.harness import Context, Database, Source, running


@pytest.fixture
def tables(database: Database, schema: str) -> str:
    database.run(
        f"CREATE TABLE {schema}.signals (id varchar(50) PRIMARY KEY, type varchar(50), data varchar(2000))",
        f"CREATE TABLE {schema}.t (id int PRIMARY KEY, v int)",
        f"CREATE TABLE {schema}.nokey (id int)",
        f"INSERT INTO {schema}.t VALUES {','.join(f'({n * 10}, 0)' for n in range(2000))}",
    )
    return schema


def props(database: Database, schema: str, **more: str) -> dict[str, str]:
    options = {"start_position": "latest", "table_include_list": rf"{schema}\.t", "snapshot_chunk_rows": "100"}
    return database.props(**{**options, "signal_table": f"{schema}.signals", **more})


def signal(database: Database, schema: str, kind: str, number: int = 1) -> None:
    data = orjson.dumps({"data-collections": [rf"{schema}\.(t|nokey)"]}).decode().replace("\\", "\\\\")
    database.run(f"INSERT INTO {schema}.signals VALUES ('{number}', '{kind}', '{data}')")


def apply(messages: list[dict[str, Any]], state: dict[str, str]) -> None:
    for message in messages:
        for row, old in zip(message["data"], message["old"] or [None] * len(message["data"]), strict=True):
            if old is not None and "id" in old:
                state.pop(old["id"], None)
            if message["type"] == "DELETE":
                state.pop(row["id"], None)
            else:
                state[row["id"]] = row["v"]


def table(database: Database, schema: str) -> dict[str, str]:
    with database.connect() as cursor:
        cursor.execute(f"SELECT id, v FROM {schema}.t")
        return {str(key): str(value) for key, value in cursor.fetchall()}


@pytest.mark.parametrize("key", ["primary-key", "none"])
def test_a_table_is_read_again_while_it_changes(database: Database, tables: str, key: str) -> None:
    done = threading.Event()

    def write() -> None:
        with database.connect() as cursor:
            number = 0
            while not done.is_set():
                number += 1
                cursor.execute(f"UPDATE {tables}.t SET v = v + 1 WHERE id = {number * 30 % 20000}")
                cursor.execute(f"INSERT INTO {tables}.t VALUES ({number * 10 + 5}, -1)")
                cursor.execute(f"DELETE FROM {tables}.t WHERE id = {(1999 - number) * 10}")
                cursor.execute(f"UPDATE {tables}.t SET id = {number * 10 + 3} WHERE id = {number * 10 + 5}")

    writer = threading.Thread(target=write)
    with running(props(database, tables, message_key=key), tables) as source:
        writer.start()
        try:
            source.wait(5)
            signal(database, tables, "execute-snapshot")
            while not any("incremental" in position(record) for record in source.records):
                source.poll()
            while source.context.stored is None or "incremental" in source.context.stored:
                source.poll()
        finally:
            done.set()
            writer.join()
        database.run(f"INSERT INTO {tables}.t VALUES (-1, -1)")
        while source.messages()[-1]["data"][0]["id"] != "-1":
            source.poll()
    state: dict[str, str] = {}
    apply(source.messages(), state)
    assert state == table(database, tables)
    clock = [int(record.headers[0][1]) for record in source.records]
    assert clock == sorted(set(clock))
    assert {message["table"] for message in source.messages()} == {"t"}


def position(record: Any) -> str:
    return str(dict(record.headers)["connect.position"].decode())


def test_it_goes_on_after_a_restart(database: Database, tables: str) -> None:
    state: dict[str, str] = {}
    stored: dict[str, Any] | None = None
    stops = 0
    with running(props(database, tables), tables) as source:
        source.poll()
        signal(database, tables, "execute-snapshot")
        while source.context.stored is None or "incremental" not in source.context.stored:
            source.poll()
        stored = source.context.stored
        apply(source.messages(), state)
    while stored is not None and "incremental" in stored:
        again = Source(props(database, tables, snapshot_chunk_rows="500"), Context(tables, dict(stored))).start()
        try:
            before, stops = stored["incremental"], stops + 1
            while stored is not None and stored.get("incremental") == before:
                again.poll()
                stored = again.context.stored
        finally:
            again.stop()
        apply(again.messages(), state)
        database.run(f"UPDATE {tables}.t SET v = v + 1 WHERE id < {stops * 1000}")
    assert stops > 1
    with running(props(database, tables), tables, stored) as last:
        database.run(f"INSERT INTO {tables}.t VALUES (-1, -1)")
        while not last.records or last.records[-1].key != b'{"id":"-1"}':
            last.poll()
    apply(last.messages(), state)
    assert state == table(database, tables)


def test_it_can_be_stopped_and_nonsense_does_no_harm(
    database: Database, tables: str, caplog: pytest.LogCaptureFixture
) -> None:
    with running(props(database, tables), tables) as source:
        source.poll()
        signal(database, tables, "pause-snapshot", 1)
        signal(database, tables, "execute-snapshot", 2)
        signal(database, tables, "stop-snapshot", 3)
        signal(database, tables, "resume-snapshot", 4)
        database.run(f"INSERT INTO {tables}.signals VALUES ('5', 'execute-snapshot', 'no json')")
        signal(database, tables, "make-coffee", 6)
        database.run(f"INSERT INTO {tables}.t VALUES (-1, -1)")
        source.wait(1)
    assert len(source.records) == 1
    assert [record.message for record in caplog.records if "is not carried out" in record.message][1:]


def test_a_signal_to_the_task_needs_no_table_for_signals_and_outlives_a_restart(
    database: Database, tables: str
) -> None:
    own = database.props(start_position="latest", table_include_list=rf"{tables}\.t", snapshot_chunk_rows="1500")
    with running(own, tables) as source:
        source.poll()
        source.task.signal("make-coffee", {})
        source.task.signal("execute-snapshot", {"data-collections": [rf"{tables}\.t"]})
        while source.context.stored is None or "incremental" not in source.context.stored:
            source.poll()
        stored = dict(source.context.stored)
        state: dict[str, str] = {}
        apply(source.messages(), state)
    with running(own, tables, stored) as again:
        while again.context.stored is None or "incremental" in again.context.stored:
            again.poll()
        apply(again.messages(), state)
    assert state == table(database, tables)
