"""Positions: where the source starts, resumes after a crash, and goes on after a lost connection."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
import pytest

from connectors import ConfigError, FatalError, RetriableError
from connectors.sources.mysql.preflight import Server, inspect
from tests.integration.sources.harness import Context, Database, Source, running
from tests.integration.sources.proxy import CuttingProxy


@pytest.fixture
def table(database: Database, schema: str) -> str:
    database.run(f"CREATE TABLE {schema}.p (id int PRIMARY KEY, filler varchar(500))")
    return f"{schema}.p"


def props(database: Database, schema: str, **options: str) -> dict[str, str]:
    return database.props(**{"start_position": "latest", "table_include_list": rf"{schema}\..*", **options})


def ids(records: list[Any]) -> list[int]:
    return [int(orjson.loads(record.key)["id"]) for record in records]


def times(records: list[Any]) -> dict[str, bytes]:
    return {dict(record.headers)["connect.position"].decode(): record.headers[0][1] for record in records}


def insert_in_one_transaction(database: Database, table: str, first: int, count: int) -> None:
    with database.connect(autocommit=False) as cursor:
        for start in range(first, first + count, 100):
            rows = ",".join(f"({n}, repeat('x', 200))" for n in range(start, min(start + 100, first + count)))
            cursor.execute(f"INSERT INTO {table} VALUES {rows}")
        cursor.execute("COMMIT")


def test_every_row_of_a_transaction_is_a_place_to_crash(database: Database, schema: str, table: str) -> None:
    """Whatever offset was stored last, nothing is lost after it, and the clock gives each row the same time again."""
    with running(props(database, schema), schema) as source:
        insert_in_one_transaction(database, table, 0, 2000)
        database.run(f"INSERT INTO {table} VALUES (9999, 'after')")
        source.wait(2001)
    first = source.records
    stored = [(n, record.source_offset) for n, record in enumerate(first) if record.source_offset is not None]
    assert len(stored) > 20
    assert any(offset["events"] for _, offset in stored)
    for number, offset in stored[:: len(stored) // 5]:
        with running(props(database, schema), schema, dict(offset)) as again:
            again.wait(2001 - number - 1)
        assert ids(again.records) == ids(first)[number + 1 :]
        assert times(again.records).items() <= times(first).items()


def test_a_crash_in_the_middle_loses_nothing(database: Database, schema: str, table: str) -> None:
    source = Source(props(database, schema, max_batch_size="50"), Context(schema)).start()
    try:
        insert_in_one_transaction(database, table, 0, 3000)
        source.wait(500)
        stored = dict(source.context.stored or {})
        before = set(ids(source.records))
    finally:
        source.stop()
    with running(props(database, schema), schema, stored) as again:
        again.wait(1)
        while before | set(ids(again.records)) != set(range(3000)):
            again.poll()
    assert stored["events"] > 0
    assert len(again.records) + len(before) < 3000 + 500


def test_a_lost_connection_goes_on_where_it_was(database: Database, schema: str, table: str) -> None:
    """Cut three times in the middle of one transaction: each row comes once, in order."""
    with CuttingProxy(database.host, database.port, [100_000, 250_000, 500_000]) as proxy:
        options = props(database, schema) | {"database.port": str(proxy.port)}
        with running(options, schema) as source:
            insert_in_one_transaction(database, table, 0, 5000)
            database.run(f"INSERT INTO {table} VALUES (9999, 'after')")
            messages = []
            while len(source.records) < 5001:
                try:
                    source.poll()
                except RetriableError as error:
                    messages.append(str(error))
    assert proxy.cut == 3
    assert len(messages) >= 3
    assert all(f"127.0.0.1:{proxy.port} is out of reach" in message for message in messages)
    assert ids(source.records) == [*range(5000), 9999]
    clock = [int(record.headers[0][1]) for record in source.records]
    assert clock == sorted(set(clock))


@pytest.mark.parametrize("kind", ["file", "gtid"])
def test_it_starts_at_a_given_position(database: Database, schema: str, table: str, kind: str) -> None:
    database.run(f"INSERT INTO {table} VALUES (1, 'before')")
    with database.connect() as cursor:
        if kind == "file":
            cursor.execute("SHOW BINARY LOG STATUS" if database.flavor == "mysql" else "SHOW MASTER STATUS")
            row = cursor.fetchone()
            start = f"{row[0]}:{row[1]}"
        else:
            variable = "gtid_executed" if database.flavor == "mysql" else "gtid_binlog_pos"
            cursor.execute(f"SELECT @@GLOBAL.{variable}")
            start = f"gtid:{cursor.fetchone()[0]}"
    database.run(f"INSERT INTO {table} VALUES (2, 'after')")
    with running(props(database, schema, start_position=start), schema) as source:
        source.wait(1)
        source.poll()
    assert ids(source.records) == [2]
    offset = dict(source.records[0].source_offset or {})
    database.run(f"INSERT INTO {table} VALUES (3, 'later')")
    with running(props(database, schema), schema, offset) as again:
        again.wait(1)
    assert ids(again.records) == [3]


def test_it_starts_at_a_time(database: Database, schema: str, table: str) -> None:
    """Also across files; MySQL tells microseconds of a commit, MariaDB whole seconds."""
    moments = []
    for number in range(3):
        database.run(f"INSERT INTO {table} VALUES ({number}, 'a')", "FLUSH BINARY LOGS", "DO SLEEP(1.1)")
        with database.connect() as cursor:
            cursor.execute("SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)")
            moments.append(cursor.fetchone()[0])
    database.run(f"INSERT INTO {table} VALUES (3, 'a')")
    for moment, expected in zip(moments, ([1, 2, 3], [2, 3], [3]), strict=True):
        time_ms = moment if database.flavor == "mysql" else moment // 1000 * 1000
        with running(props(database, schema, start_position=f"timestamp:{time_ms}"), schema) as source:
            source.wait(len(expected))
        assert ids(source.records) == expected
    with running(props(database, schema, start_position=f"timestamp:{moments[-1] + 3_600_000}"), schema) as source:
        source.poll()
        database.run(f"INSERT INTO {table} VALUES (4, 'a')")
        source.wait(1)
    assert ids(source.records) == [4]
    if database.flavor == "mysql":
        with database.connect() as cursor:
            cursor.execute("SELECT @@GLOBAL.gtid_executed")
            assert orjson.loads(source.records[0].value)["gtid"]


def test_earliest_reads_what_the_server_still_has(database: Database, schema: str, table: str) -> None:
    database.run(
        f"INSERT INTO {table} VALUES (1, 'before')", "FLUSH BINARY LOGS", f"INSERT INTO {table} VALUES (2, 'x')"
    )
    with running(props(database, schema, start_position="earliest"), schema) as source:
        source.wait(3)
    assert [message["type"] for message in source.messages()] == ["CREATE", "INSERT", "INSERT"]


def test_a_position_the_server_does_not_have_is_fatal(database: Database, schema: str) -> None:
    options = props(database, schema, start_position="binlog.999999:4")
    with running(options, schema) as source, pytest.raises(FatalError, match="no longer has the binlog") as caught:
        source.wait(1)
    assert "snapshot.mode=initial" in str(caught.value)


def test_another_server_goes_on_by_gtid(database: Database, schema: str, table: str) -> None:
    """Fail-over: the stored file is of a server that is gone; what its set of GTIDs lacks comes, and nothing else."""
    with running(props(database, schema), schema) as source:
        database.run(f"INSERT INTO {table} VALUES (1, 'a')", f"INSERT INTO {table} VALUES (2, 'a')")
        source.wait(2)
    stored = dict(source.records[0].source_offset or {}) | {"server": "gone", "file": "gone.000001", "pos": 77}
    database.run("FLUSH BINARY LOGS", f"INSERT INTO {table} VALUES (3, 'a')")
    with running(props(database, schema), schema, stored) as again:
        again.wait(2)
        again.poll()
    # The transaction that was running is read from its start: servers cut transactions into events differently.
    assert ids(again.records)[-2:] == [2, 3]
    assert len(again.records) <= 3


@pytest.mark.parametrize("mode", ["disabled", "required", "verify_ca"])
def test_a_user_who_must_use_tls(database: Database, schema: str, table: str, mode: str) -> None:
    """The user is new, so MySQL's caching_sha2_password has nothing cached."""
    with database.connect() as cursor:
        cursor.execute("SHOW GLOBAL VARIABLES LIKE 'have_ssl'")
        offered = database.flavor == "mysql" or cursor.fetchone()[1] == "YES"
    user = f"u{schema}"
    database.run(
        f"CREATE USER '{user}'@'%' IDENTIFIED BY 'pw' REQUIRE SSL",
        f"GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO '{user}'@'%'",
    )
    options = props(database, schema, database_ssl_mode=mode)
    options |= {"database.user": user, "database.password": "pw"}
    expected = {"disabled": ConfigError, "required": None if offered else RetriableError, "verify_ca": RetriableError}
    error = expected[mode]
    try:
        if error is not None:
            with pytest.raises(error), running(options, schema) as source:
                source.poll()
            return
        with running(options, schema) as source:
            database.run(f"INSERT INTO {table} VALUES (1, 'a')")
            source.wait(1)
    finally:
        database.run(f"DROP USER '{user}'@'%'")


def test_another_servers_files_are_not_taken_for_this_ones(database: Database, schema: str) -> None:
    offset = {"file": "binlog.000001", "pos": 4, "server": "another"}
    with pytest.raises(FatalError, match="binlog files differ"), running(props(database, schema), schema, offset):
        pass


def test_wrong_credentials_are_one_sentence_without_the_secret(database: Database, schema: str) -> None:
    options = props(database, schema) | {"database.password": "wrong-secret"}
    with pytest.raises(ConfigError) as caught, running(options, schema):
        pass
    assert "refuses user 'connect'" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_that_is_down_is_named(database: Database, schema: str) -> None:
    options = props(database, schema) | {"database.port": "1"}
    with pytest.raises(RetriableError, match=r"127\.0\.0\.1:1 is out of reach"), running(options, schema):
        pass


def test_missing_privileges_are_named_with_their_statements(database: Database, schema: str) -> None:
    user = f"u{schema}"
    database.run(f"CREATE USER '{user}'@'%' IDENTIFIED BY 'pw'", f"GRANT SELECT ON {schema}.* TO '{user}'@'%'")
    try:
        options = props(database, schema) | {"database.user": user, "database.password": "pw"}
        with pytest.raises(ConfigError) as caught, running(options, schema):
            pass
    finally:
        database.run(f"DROP USER '{user}'@'%'")
    assert f"GRANT REPLICATION SLAVE ON *.* TO '{user}'@'%';" in str(caught.value)
    assert f"GRANT REPLICATION CLIENT ON *.* TO '{user}'@'%';" in str(caught.value)
    assert "GRANT SELECT" not in str(caught.value)


def test_stop_does_not_wait_for_events(database: Database, schema: str) -> None:
    with running(props(database, schema), schema) as source:
        source.poll()
        began = time.monotonic()
        source.stop()
        assert time.monotonic() - began < 2


def test_stop_works_while_the_queue_is_full(database: Database, schema: str, table: str) -> None:
    with running(props(database, schema, max_queue_bytes="1000", max_batch_size="10"), schema) as source:
        insert_in_one_transaction(database, table, 0, 1000)
        source.wait(1)
        began = time.monotonic()
        source.stop()
        assert time.monotonic() - began < 2


def while_writing(database: Database, table: str, act: Callable[[], None]) -> set[int]:
    """Insert, update and delete rows all the while `act` runs; returns the ids that are there in the end."""
    done = threading.Event()

    def write() -> None:
        with database.connect() as cursor:
            number = 100_000
            while not done.is_set() or number < 100_050:
                cursor.execute(f"INSERT INTO {table} VALUES ({number}, 'w')")
                cursor.execute(f"UPDATE {table} SET filler = 'u' WHERE id = {number - 1}")
                cursor.execute(f"DELETE FROM {table} WHERE id = {number - 3}")
                number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        act()
    finally:
        done.set()
        writer.join()
    with database.connect() as cursor:
        cursor.execute(f"SELECT id, filler FROM {table}")
        return set(cursor.fetchall())


def test_a_snapshot_and_the_stream_after_it_make_the_table(database: Database, schema: str, table: str) -> None:
    insert_in_one_transaction(database, table, 0, 5000)
    source = Source(database.props(table_include_list=rf"{schema}\..*"), Context(schema))

    def read() -> None:
        source.start()
        source.wait(5100)

    try:
        expected = while_writing(database, table, read)
        database.run(f"INSERT INTO {table} VALUES (-1, 'last')")
        while not source.records or source.records[-1].key != b'{"id":"-1"}':
            source.poll()
    finally:
        source.stop()
    rows: dict[int, str] = {}
    for message in source.messages():
        row = message["data"][0]
        if message["type"] == "DELETE":
            rows.pop(int(row["id"]), None)
        else:
            rows[int(row["id"])] = row["filler"]
    assert set(rows.items()) == expected | {(-1, "last")}
    clock = [int(record.headers[0][1]) for record in source.records]
    assert clock == sorted(set(clock))
    offsets = [n for n, record in enumerate(source.records) if record.source_offset is not None]
    assert offsets[0] >= 4999


def test_a_snapshot_can_be_stopped(database: Database, schema: str, table: str) -> None:
    insert_in_one_transaction(database, table, 0, 5000)
    options = database.props(table_include_list=rf"{schema}\..*", max_queue_bytes="1000", max_batch_size="10")
    with running(options, schema) as source:
        source.wait(10)
        began = time.monotonic()
        source.stop()
        assert time.monotonic() - began < 2
    assert "snapshot" in (source.context.stored or {"snapshot": None})


def test_a_snapshot_without_gtids_locks_for_a_moment(
    database: Database, schema: str, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_gtids(*arguments: Any, **options: Any) -> Server:
        server = inspect(*arguments, **options)
        return replace(server, variables=server.variables | {"gtid_mode": "OFF"})

    monkeypatch.setattr("connectors.sources.mysql.task.inspect", without_gtids)
    database.run(f"INSERT INTO {table} VALUES (1, 'a')")
    with running(database.props(table_include_list=rf"{schema}\..*"), schema) as source:
        source.wait(1)
        database.run(f"INSERT INTO {table} VALUES (2, 'b')")
        source.wait(2)
    assert ids(source.records) == [1, 2]
    assert (source.context.stored or {})["file"].startswith("binlog.")


def test_a_snapshot_of_empty_tables_goes_on_with_the_stream(database: Database, schema: str, table: str) -> None:
    with running(database.props(table_include_list=rf"{schema}\..*"), schema) as source:
        source.poll()
        database.run(f"INSERT INTO {table} VALUES (2, 'b')")
        source.wait(1)
        source.poll()
    assert ids(source.records) == [2]


def test_a_silent_connection_is_noticed(
    database: Database, schema: str, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.sources.mysql.connection.SILENCE_S", 1.5)
    with CuttingProxy(database.host, database.port, []) as proxy:
        options = props(database, schema) | {"database.port": str(proxy.port)}
        with running(options, schema) as source:
            database.run(f"INSERT INTO {table} VALUES (1, 'a')")
            source.wait(1)
            for _ in range(6):  # twice the limit: the server's heartbeats keep an idle connection alive
                source.poll()
            proxy.silent = True
            database.run(f"INSERT INTO {table} VALUES (2, 'b')")
            with pytest.raises(RetriableError, match="out of reach"):
                source.wait(2, timeout_s=5)
            proxy.silent = False
            source.wait(2)
    assert ids(source.records) == [1, 2]


def test_the_place_where_reading_starts_is_stored_before_the_first_change(
    database: Database, schema: str, table: str
) -> None:
    """A crash before the first change must neither skip what was written meanwhile nor take the snapshot again."""
    with running(props(database, schema), "c") as source:
        assert source.poll() == []
        stored = source.context.stored
    assert stored is not None
    database.run(f"INSERT INTO {table} VALUES (1,'a')")
    with running(props(database, schema), "c", stored) as again:
        assert ids(again.wait(1)) == [1]


def test_the_place_after_an_empty_snapshot_is_stored(database: Database, schema: str, table: str) -> None:
    fresh = database.props(snapshot_mode="initial", table_include_list=rf"{schema}\..*")
    with running(fresh, "c") as source:
        while source.context.stored is None:
            assert source.poll() == []
        stored = source.context.stored
    database.run(f"INSERT INTO {table} VALUES (1,'a')")
    with running(fresh, "c", stored) as again:
        message = again.wait(1) and again.messages()[0]
        assert message["type"] == "INSERT"
        assert len(again.records) == 1
