"""Snapshots: in chunks, resumed in the middle, and the modes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from connectors import FatalError
from tests.integration.sources.harness import Context, Database, Source, running


def options(database: Database, schema: str, **more: str) -> dict[str, str]:
    return database.props(**{"table_include_list": rf"{schema}\..*", **more})


def rows(source: Source) -> list[dict[str, Any]]:
    return [row for message in source.messages() for row in message["data"]]


def drain(source: Source) -> None:
    """Poll until the snapshot is over and its end is stored."""
    while source.context.stored is None or "snapshot" in source.context.stored:
        source.poll()


KEYS = {
    "a int, b varchar(20), PRIMARY KEY (b, a)": [f"({n % 7}, 'x{n % 5}')" for n in range(35)],
    "a bigint unsigned PRIMARY KEY, b int": [f"({2**63 + n}, {n})" for n in range(20)],
    "a varchar(50) COLLATE utf8mb4_bin PRIMARY KEY, b int": [
        f"(_utf8mb4 x'{c.encode().hex()}', 1)" for c in "aAbB中é😀'\"\\ "
    ],
    "a varchar(50) CHARSET latin1 PRIMARY KEY, b int": [f"('{c}', 1)" for c in "abcdéü"],
    "a varbinary(9) PRIMARY KEY, b int": [f"(x'{n:02x}00ff', 1)" for n in range(0, 256, 9)],
    "a timestamp(3) DEFAULT '2024-01-01 00:00:00', b int, PRIMARY KEY (a, b)":
        [f"('2024-10-27 0{n % 4}:30:00.{n:03d}', {n})" for n in range(20)],
    "a datetime(6) PRIMARY KEY, b int": [f"('2024-01-01 00:00:00.0000{n:02d}', 1)" for n in range(20)],
    "a decimal(20,5) PRIMARY KEY, b int": [f"({n}.5, 1)" for n in range(-9, 9)],
    "a enum('x','y','z') PRIMARY KEY, b int": ["('z', 1)", "('x', 1)", "('y', 1)"],
    "a float, b int": ["(1.5, 1)", "(1.5, 1)", "(NULL, NULL)"],
}  # fmt: skip


def test_every_row_is_read_once_whatever_the_key(database: Database, schema: str) -> None:
    for number, (columns, values) in enumerate(KEYS.items()):
        database.run(
            f"CREATE TABLE {schema}.t{number:02d} ({columns}) CHARSET utf8mb4",
            f"INSERT INTO {schema}.t{number:02d} VALUES {','.join(values).replace('%', '%%')}",
        )
    with running(options(database, schema, snapshot_chunk_rows="3"), schema) as source:
        drain(source)
    for number, (columns, values) in enumerate(KEYS.items()):
        mine = [m["data"][0] for m in source.messages() if m["table"] == f"t{number:02d}"]
        assert len(mine) == len(values), columns
        if "KEY" in columns:
            assert len({tuple(row.items()) for row in mine}) == len(values), columns
    clock = [int(record.headers[0][1]) for record in source.records]
    assert clock == sorted(set(clock))


def test_a_snapshot_goes_on_behind_its_last_chunk(database: Database, schema: str) -> None:
    """Stopped at every chunk while the table changes: in the end the messages make the table."""
    table = f"{schema}.t"
    database.run(f"CREATE TABLE {schema}.a (id int PRIMARY KEY)", f"INSERT INTO {schema}.a VALUES (1)")
    database.run(f"CREATE TABLE {table} (id int PRIMARY KEY, v int)")
    database.run(f"INSERT INTO {table} VALUES {','.join(f'({n * 10}, 0)' for n in range(300))}")
    props = options(database, schema, snapshot_chunk_rows="100", max_batch_size="100")
    stored: dict[str, Any] | None = None
    state: dict[str, str] = {}
    stops = 0
    for turn in range(10):
        source = Source(props, Context(schema, stored)).start()
        try:
            before = stored
            while source.context.stored == before:
                source.poll()
            stored = dict(source.context.stored or {})
        finally:
            source.stop()
        apply(source, state)
        if "snapshot" not in stored:
            break
        stops += 1
        database.run(
            f"UPDATE {table} SET v = {turn + 1} WHERE id = 10",
            f"INSERT INTO {table} VALUES ({turn * 300 + 5}, {turn})",
            f"DELETE FROM {table} WHERE id = {2990 - turn * 10}",
        )
    assert stops >= 2
    database.run(f"INSERT INTO {table} VALUES (-1, -1)")
    with running(props, schema, stored) as again:
        while not again.records or again.records[-1].key != b'{"id":"-1"}':
            again.poll()
    apply(again, state)
    with database.connect() as cursor:
        cursor.execute(f"SELECT id, v FROM {table}")
        assert state == {str(key): str(value) for key, value in cursor.fetchall()}


def apply(source: Source, state: dict[str, str]) -> None:
    for message in source.messages():
        if message["table"] == "t":
            for row in message["data"]:
                if message["type"] == "DELETE":
                    state.pop(row["id"], None)
                else:
                    state[row["id"]] = row["v"]


def test_long_values_and_nulls(database: Database, schema: str) -> None:
    database.run(f"CREATE TABLE {schema}.l (id int PRIMARY KEY, a longtext, b int, c longtext)")
    sizes = [0, 250, 251, 252, 65535, 65536, 300_000, 8_388_593, 8_388_596, 10_000_000]
    for number, size in enumerate(sizes):
        value = f"REPEAT(0x61, {size})" if size else "NULL"
        database.run(f"INSERT INTO {schema}.l VALUES ({number}, {value}, NULL, {value})")
    with running(options(database, schema), schema) as source:
        drain(source)
    assert [None if row["a"] is None else len(row["a"]) for row in rows(source)] == [None, *sizes[1:]]
    assert all(row["a"] == row["c"] and row["b"] is None for row in rows(source))


def test_snapshot_rows_may_have_a_type_of_their_own(database: Database, schema: str) -> None:
    database.run(f"CREATE TABLE {schema}.t (id int PRIMARY KEY)", f"INSERT INTO {schema}.t VALUES (1)")
    with running(options(database, schema, snapshot_type="INIT"), schema) as source:
        drain(source)
        database.run(f"INSERT INTO {schema}.t VALUES (2)")
        source.wait(2)
    assert [message["type"] for message in source.messages()] == ["INIT", "INSERT"]


def test_initial_only_ends_with_the_rows_and_stays_so(database: Database, schema: str) -> None:
    database.run(f"CREATE TABLE {schema}.t (id int PRIMARY KEY)", f"INSERT INTO {schema}.t VALUES (1)")
    props = options(database, schema, snapshot_mode="initial_only")
    with running(props, schema) as source:
        drain(source)
        database.run(f"INSERT INTO {schema}.t VALUES (2)")
        assert source.poll() == []
    with running(props, schema, source.context.stored) as again:
        assert again.poll() == []
    assert len(source.records) == 1


@pytest.mark.parametrize("mode", ["when_needed", "initial"])
def test_a_purged_position_means_a_new_snapshot_where_that_is_wanted(
    database: Database, schema: str, mode: str
) -> None:
    database.run(f"CREATE TABLE {schema}.t (id int PRIMARY KEY)", f"INSERT INTO {schema}.t VALUES (1)")
    with running(options(database, schema), schema) as source:
        drain(source)
    stored = dict(source.context.stored or {}) | {"file": "binlog.999999", "ts_us": 2**52}
    with running(options(database, schema, snapshot_mode=mode), schema, stored) as again:
        if mode == "initial":
            with pytest.raises(FatalError, match=r"snapshot\.mode=when_needed"):
                again.wait(1)
            return
        again.wait(1)
        database.run(f"INSERT INTO {schema}.t VALUES (2)")
        again.wait(2)
    assert [orjson.loads(record.key)["id"] for record in again.records] == ["1", "2"]
    assert int(again.records[0].headers[0][1]) > 2**52


def test_filters_and_rules_hold_for_snapshots_too(database: Database, schema: str) -> None:
    database.run(f"CREATE TABLE {schema}.t (id int PRIMARY KEY, a varchar(9), b int, c text)")
    database.run(f"INSERT INTO {schema}.t VALUES (1,'x',1,'secret'),(2,'y',2,NULL),(3,NULL,3,'z')")
    props = options(database, schema, column_exclude_list=r".*\.b", partition_hash=r".*\.t:id", partition_count="3",
                    column_mask_with_2_chars=r".*\.c") | {f"row.filter.{schema}.t": "b < 3 AND a <> 'q'"}  # fmt: skip
    with running(props, schema) as source:
        drain(source)
        database.run(f"INSERT INTO {schema}.t VALUES (4,'x',1,'new')", f"INSERT INTO {schema}.t VALUES (5,'x',9,'new')")
        database.run(f"UPDATE {schema}.t SET a = 'w' WHERE id = 1")
        source.wait(4)
    assert rows(source) == [
        {"id": "1", "a": "x", "c": "**"},
        {"id": "2", "a": "y", "c": None},
        {"id": "4", "a": "x", "c": "**"},
        {"id": "1", "a": "w", "c": "**"},
    ]
    assert source.records[0].partition == source.records[3].partition is not None


def test_tables_with_system_versions_are_read_as_they_are_now(database: Database, schema: str) -> None:
    if database.flavor == "mysql":
        return
    database.run(f"CREATE TABLE {schema}.v (id int PRIMARY KEY, x int) WITH SYSTEM VERSIONING")
    database.run(f"INSERT INTO {schema}.v VALUES (1, 1)", f"UPDATE {schema}.v SET x = 2")
    with running(options(database, schema), schema) as source:
        drain(source)
        database.run(f"UPDATE {schema}.v SET x = 3")
        source.wait(2)
    assert [row["x"] for row in rows(source)][:2] == ["2", "3"]
