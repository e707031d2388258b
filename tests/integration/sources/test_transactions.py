"""What only a real server writes: XA, tags, compression, differences of JSON documents, mixed statements."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.sources.harness import Database, running


def start(database: Database, schema: str) -> Any:
    options = {"start_position": "latest", "table_include_list": rf"{schema}\..*"}
    return running(database.props(**options), schema)


@pytest.fixture
def table(database: Database, schema: str) -> str:
    database.run(f"CREATE TABLE {schema}.p (id int PRIMARY KEY, name text, u int unsigned)")
    return f"{schema}.p"


def only(database: Database, flavor: str) -> bool:
    """Tell whether the test is of the other server's features: then there is nothing to check on this one."""
    return database.flavor != flavor


def test_a_tagged_gtid_enters_the_set(database: Database, schema: str, table: str) -> None:
    if only(database, "mysql"):
        return
    with start(database, schema) as source:
        tag = f"tag_{schema}"
        database.run(f"SET SESSION gtid_next = 'AUTOMATIC:{tag}'", f"INSERT INTO {table} VALUES (1, 'a', 1)")
        database.run(f"INSERT INTO {table} VALUES (2, 'b', 2)")
        source.wait(2)
        with database.connect() as cursor:
            cursor.execute("SELECT @@GLOBAL.gtid_executed")
            executed = cursor.fetchone()[0].replace("\n", "")
            ours = source.messages()[1]["gtid"]
            cursor.execute(
                "SELECT GTID_SUBSET(%s, %s), LENGTH(GTID_SUBTRACT(%s, %s))", (ours, executed, executed, ours)
            )
            assert cursor.fetchone() == (1, 0)
    assert f":{tag}:1" in ours
    offset = dict(source.records[0].source_offset or {}) | {"server": "another", "file": "nosuch", "pos": 4}
    with running(source.props, schema, offset) as again:
        again.wait(1)
    assert again.messages()[-1]["data"][0]["id"] == "2"


def test_commit_times_are_of_microseconds_where_the_server_has_them(
    database: Database, schema: str, table: str
) -> None:
    with start(database, schema) as source:
        for number in range(5):
            database.run(f"INSERT INTO {table} VALUES ({number}, 'a', 1)")
        source.wait(5)
    micros = [int(record.headers[0][1]) % 1_000_000 for record in source.records]
    whole_seconds = database.flavor == "mariadb"
    assert all(value < 10 for value in micros) == whole_seconds


def test_xa_rows_come_when_they_are_prepared(database: Database, schema: str, table: str) -> None:
    with start(database, schema) as source:
        xid = f"'{schema}'"
        database.run(f"XA START {xid}", f"INSERT INTO {table} VALUES (1,'x',1)", f"XA END {xid}", f"XA PREPARE {xid}",
                     f"XA COMMIT {xid}", f"INSERT INTO {table} VALUES (2,'y',1)")  # fmt: skip
        source.wait(2)
    assert [message["data"][0]["id"] for message in source.messages()] == ["1", "2"]
    with running(source.props, schema, dict(source.records[0].source_offset or {"file": "x"})) as again:
        again.wait(1)
    assert [message["data"][0]["id"] for message in again.messages()] == ["2"]


def test_the_end_of_an_xa_transaction_is_told_in_the_topic_of_schema_changes(
    database: Database, schema: str, table: str
) -> None:
    options = {"start_position": "latest", "table_include_list": rf"{schema}\..*", "topic_ddl": f"{schema}-ddl"}
    with running(database.props(**options), schema) as source:
        xid = f"'{schema}'"
        database.run(f"XA START {xid}", f"INSERT INTO {table} VALUES (1,'x',1)", f"XA END {xid}", f"XA PREPARE {xid}",
                     f"XA COMMIT {xid}")  # fmt: skip
        while not any(message["type"] == "XACOMMIT" for message in source.messages()):
            source.poll()
    last = source.messages()[-1]
    assert (last["isDdl"], last["database"], last["table"], last["data"]) == (False, "", "", None)
    assert last["sql"].startswith("XA COMMIT X'")


def test_create_table_select_is_a_ddl_and_rows(database: Database, schema: str, table: str) -> None:
    database.run(f"INSERT INTO {table} VALUES (1,'x',1),(2,'y',2)")
    with start(database, schema) as source:
        database.run(f"CREATE TABLE {schema}.q (PRIMARY KEY (id)) AS SELECT * FROM {table}")
        database.run(f"INSERT INTO {table} VALUES (3,'z',3)")
        source.wait(4)
    assert [message["type"] for message in source.messages()] == ["CREATE", "INSERT", "INSERT", "INSERT"]
    for number, record in enumerate(source.records[:3]):
        if record.source_offset is not None:
            with running(source.props, schema, dict(record.source_offset)) as again:
                again.wait(3 - number)
            assert [m["data"] for m in again.messages()] == [m["data"] for m in source.messages()[number + 1 :]]


def test_a_compressed_transaction_is_read(database: Database, schema: str, table: str) -> None:
    if only(database, "mysql"):
        return
    with start(database, schema) as source:
        database.run(
            "SET SESSION binlog_transaction_compression = ON",
            "BEGIN",
            *[f"INSERT INTO {table} VALUES ({n}, REPEAT('{n}', 9000), {n})" for n in range(9)],
            f"UPDATE {table} SET u = 4294967295",
            "COMMIT",
            f"INSERT INTO {table} VALUES (99, 'x', 1)",
        )
        source.wait(19)
    assert [message["data"][0]["id"] for message in source.messages()] == [*"012345678", *"012345678", "99"]
    assert source.messages()[3]["data"][0]["name"] == "3" * 9000
    assert source.messages()[12]["old"] == [{"u": "3"}]
    for number, record in enumerate(source.records):
        if record.source_offset is not None:
            with running(source.props, schema, dict(record.source_offset)) as again:
                again.wait(18 - number)
            assert [r.headers[0] for r in again.records] == [r.headers[0] for r in source.records[number + 1 :]]


def test_a_difference_of_json_documents_is_put_together(database: Database, schema: str) -> None:
    if only(database, "mysql"):
        return
    database.run(f"CREATE TABLE {schema}.j (id int PRIMARY KEY, j json, v int, k json)")
    document = "JSON_OBJECT('a', 1, 'b', REPEAT('x', 99), 'c', JSON_ARRAY(1, 2, 3), 'd \"e', JSON_OBJECT('f', 1.50))"
    with start(database, schema) as source:
        database.run(
            f"INSERT INTO {schema}.j VALUES (1, {document}, 1, {document}), (2, NULL, 2, {document})",
            "SET SESSION binlog_row_value_options = PARTIAL_JSON",
            f"UPDATE {schema}.j SET j = JSON_SET(j, '$.a', 2, '$.c[1]', 'two'), v = v + 1",
            f"UPDATE {schema}.j SET j = JSON_REMOVE(j, '$.c[0]', '$.a'),"
            ' k = JSON_REPLACE(k, \'$."d \\\\"e".f\', NULL)',
            f"UPDATE {schema}.j SET k = JSON_SET(k, '$.c[2]', CAST('true' AS JSON))",
        )
        source.wait(8)
        with database.connect() as cursor:
            cursor.execute(f"SELECT id, j, v, k FROM {schema}.j ORDER BY id")
            table = [[None if value is None else str(value) for value in row] for row in cursor.fetchall()]
    assert [list(message["data"][0].values()) for message in source.messages()[6:]] == table
    first = source.messages()[2]
    assert list(first["old"][0]) == ["j", "v"]
    assert '"a": 1' in first["old"][0]["j"]


def test_a_difference_without_the_document_before_it_is_refused(database: Database, schema: str) -> None:
    if only(database, "mysql"):
        return
    database.run(f"CREATE TABLE {schema}.j (id int PRIMARY KEY, j json)")
    with start(database, schema) as source:
        source.tolerant = True
        database.run(
            f"INSERT INTO {schema}.j VALUES (1, JSON_OBJECT('a', 1, 'b', REPEAT('x', 99)))",
            "SET SESSION binlog_row_value_options = PARTIAL_JSON, binlog_row_image = MINIMAL",
            f"UPDATE {schema}.j SET j = JSON_SET(j, '$.a', 2)",
            "SET SESSION binlog_row_value_options = '', binlog_row_image = FULL",
            f"UPDATE {schema}.j SET id = 2",
        )
        source.wait(3)
    assert f"{schema}.j is logged as a difference of JSON documents" in str(source.errors[0].error)
    assert [message["type"] for message in source.messages()] == ["INSERT", "DELETE", "INSERT"]


def test_compressed_events_of_mariadb_are_read(database: Database, schema: str, table: str) -> None:
    if only(database, "mariadb"):
        return
    with start(database, schema) as source:
        database.run("SET GLOBAL log_bin_compress = ON")
        try:
            database.run(
                f"INSERT INTO {table} VALUES (1, REPEAT('x', 3000), 1), (2, REPEAT('y', 3000), 4294967295)",
                f"UPDATE {table} SET name = REPEAT('z', 3000)",
                f"ALTER TABLE {table} COMMENT '{'c' * 400}'",
                f"DELETE FROM {table}",
            )
        finally:
            database.run("SET GLOBAL log_bin_compress = OFF")
        source.wait(7)
    types = [message["type"] for message in source.messages()]
    assert types == ["INSERT", "INSERT", "UPDATE", "UPDATE", "ALTER", "DELETE", "DELETE"]
    assert source.messages()[1]["data"] == [{"id": "2", "name": "y" * 3000, "u": "4294967295"}]
    assert source.messages()[2]["old"] == [{"name": "x" * 3000}]
    assert source.messages()[4]["sql"].endswith("c'")


def test_a_table_without_transactions_ends_by_commit(database: Database, schema: str) -> None:
    database.run(f"CREATE TABLE {schema}.i (id int PRIMARY KEY) ENGINE=MyISAM")
    with start(database, schema) as source:
        database.run(f"INSERT INTO {schema}.i VALUES (1)", f"INSERT INTO {schema}.i VALUES (2)")
        source.wait(2)
        stored = dict(source.records[0].source_offset or {})
    with running(source.props, schema, stored) as again:
        again.wait(1)
    assert again.messages()[0]["data"] == [{"id": "2"}]


def test_a_rolled_back_statement_leaves_no_rows(database: Database, schema: str, table: str) -> None:
    with start(database, schema) as source:
        database.run(
            "BEGIN",
            f"INSERT INTO {table} VALUES (1,'x',1)",
            "SAVEPOINT s",
            f"INSERT INTO {table} VALUES (2,'x',1)",
            "ROLLBACK TO s",
            f"INSERT INTO {table} VALUES (3,'x',1)",
            "COMMIT",
            f"INSERT INTO {table} VALUES (4,'x',1)",
        )
        source.wait(3)
    assert [message["data"][0]["id"] for message in source.messages()] == ["1", "3", "4"]
