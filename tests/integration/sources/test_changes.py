"""Row and schema changes as Canal messages, on both servers."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest

from tests.integration.sources.harness import Database, Source, running


def start(database: Database, schema: str, **options: str) -> Any:
    options = {"start_position": "latest", "table_include_list": rf"{schema}\..*", **options}
    return running(database.props(**options), schema)


def rows(source: Source) -> list[tuple[str, Any, Any]]:
    return [(m["type"], m["data"], m["old"]) for m in source.messages() if not m["isDdl"]]


@pytest.fixture
def table(database: Database, schema: str) -> str:
    database.run(f"CREATE TABLE {schema}.p (id int PRIMARY KEY, name varchar(20))")
    return f"{schema}.p"


def test_with_key_none_a_statement_is_one_message_as_in_canal(database: Database, schema: str, table: str) -> None:
    with start(database, schema, message_key="none") as source:
        database.run(f"INSERT INTO {table} VALUES (1,'a'),(2,'b'),(3,NULL)")
        database.run(f"UPDATE {table} SET name = 'z' WHERE id = 1")
        database.run(f"UPDATE {table} SET name = NULL WHERE id = 1")
        database.run(f"UPDATE {table} SET name = 'q' WHERE id < 3")
        database.run(f"DELETE FROM {table} WHERE id IN (2,3)")
        database.run(f"UPDATE {table} SET id = 9 WHERE id = 1")
        source.wait(6)
    first = source.messages()[0]
    assert first["es"] % 1000 == 0
    assert isinstance(first["id"], int)
    varying = ("es", "ts", "id", "gtid")
    assert {name: value for name, value in first.items() if name not in varying} == {
        "data": [{"id": "1", "name": "a"}, {"id": "2", "name": "b"}, {"id": "3", "name": None}],
        "old": None,
        "database": schema,
        "table": "p",
        "type": "INSERT",
        "isDdl": False,
        "sql": "",
        "pkNames": ["id"],
        "sqlType": {"id": 4, "name": 12},
        "mysqlType": {"id": "int" if database.flavor == "mysql" else "int(11)", "name": "varchar(20)"},
    }
    assert list(first) == sorted(first)
    assert rows(source)[1:] == [
        ("UPDATE", [{"id": "1", "name": "z"}], [{"name": "a"}]),
        ("UPDATE", [{"id": "1", "name": None}], [{"name": "z"}]),
        ("UPDATE", [{"id": "1", "name": "q"}, {"id": "2", "name": "q"}], [{"name": None}, {"name": "b"}]),
        ("DELETE", [{"id": "2", "name": "q"}, {"id": "3", "name": None}], None),
        ("UPDATE", [{"id": "9", "name": "q"}], [{"id": "1"}]),
    ]
    assert all(record.key is None and record.partition == 0 for record in source.records)
    assert [int(record.headers[0][1]) for record in source.records][1] >= int(source.records[0].headers[0][1]) + 3


def test_with_a_key_each_row_is_a_message_with_rising_time(database: Database, schema: str, table: str) -> None:
    with start(database, schema) as source:
        database.run(f"INSERT INTO {table} VALUES (1,'a'),(2,'b'),(3,NULL)", f"DELETE FROM {table}")
        source.wait(6)
    assert [record.key for record in source.records] == [b'{"id":"%d"}' % n for n in (1, 2, 3, 1, 2, 3)]
    assert {record.topic for record in source.records} == {table}
    assert {record.partition for record in source.records} == {None}
    times = [int(dict(record.headers)["connect.ts_us"]) for record in source.records]
    assert times == sorted(set(times))
    positions = [dict(record.headers)["connect.position"].decode() for record in source.records]
    assert len(set(positions)) == 6
    assert [position.rsplit(":", 1)[1] for position in positions] == ["0", "1", "2", "0", "1", "2"]


def test_a_changed_key_is_a_delete_and_an_insert(database: Database, schema: str) -> None:
    database.run(f"CREATE TABLE {schema}.k (a int, v int, b varchar(9), PRIMARY KEY (b, a))")
    database.run(f"INSERT INTO {schema}.k VALUES (1, 10, 'x')")
    with start(database, schema) as source:
        database.run(f"UPDATE {schema}.k SET a = 2, v = 11")
        source.wait(2)
    assert rows(source) == [
        ("DELETE", [{"a": "1", "v": "10", "b": "x"}], None),
        ("INSERT", [{"a": "2", "v": "11", "b": "x"}], None),
    ]
    assert [record.key for record in source.records] == [b'{"a":"1","b":"x"}', b'{"a":"2","b":"x"}']
    assert source.messages()[0]["pkNames"] == ["a", "b"]


def test_replace_and_upsert_come_as_logged(database: Database, schema: str, table: str) -> None:
    database.run(f"INSERT INTO {table} VALUES (9,'old')")
    with start(database, schema) as source:
        database.run(f"REPLACE INTO {table} VALUES (9,'r')")
        database.run(f"INSERT INTO {table} VALUES (9,'x') ON DUPLICATE KEY UPDATE name = 'u'")
        source.wait(2)
        last = source.messages()[-1]
        while last["data"][0]["name"] != "u":
            source.poll()
            last = source.messages()[-1]
    assert last["type"] == "UPDATE"
    assert last["old"] == [{"name": "r"}]


def test_rows_that_a_foreign_key_deletes_come_where_the_server_logs_them(database: Database, schema: str) -> None:
    database.run(
        f"CREATE TABLE {schema}.parent (id int PRIMARY KEY)",
        f"CREATE TABLE {schema}.child (id int PRIMARY KEY, pid int,"
        f" FOREIGN KEY (pid) REFERENCES {schema}.parent (id) ON DELETE CASCADE)",
        f"INSERT INTO {schema}.parent VALUES (1),(2)",
        f"INSERT INTO {schema}.child VALUES (7,1),(8,1)",
    )
    with start(database, schema) as source:
        database.run(f"DELETE FROM {schema}.parent WHERE id = 1", f"INSERT INTO {schema}.parent VALUES (3)")
        logged = [] if database.flavor == "mariadb" else [("DELETE", "child", "7"), ("DELETE", "child", "8")]
        source.wait(len(logged) + 2)
    told = [(message["type"], message["table"], message["data"][0]["id"]) for message in source.messages()]
    assert told == [*logged, ("DELETE", "parent", "1"), ("INSERT", "parent", "3")]


def test_a_table_without_key_goes_to_one_partition(database: Database, schema: str) -> None:
    database.run(f"CREATE TABLE {schema}.n (a int)", f"CREATE TABLE {schema}.x (a varchar(50), PRIMARY KEY (a(10)))")
    with start(database, schema) as source:
        database.run(f"INSERT INTO {schema}.n VALUES (1),(2)", f"INSERT INTO {schema}.x VALUES ('long enough text')")
        source.wait(3)
    first, _, prefixed = source.records
    assert (first.key, first.partition) == (None, 0)
    assert source.messages()[0]["pkNames"] is None
    assert prefixed.key == b'{"a":"long enough text"}'


def test_schema_changes_are_canals_ddl_messages(database: Database, schema: str) -> None:
    statements = {
        f"CREATE TABLE {schema}.d (id int PRIMARY KEY, v int)": "CREATE",
        f"ALTER TABLE {schema}.d ADD COLUMN w int": "ALTER",
        f"CREATE INDEX i ON {schema}.d (v)": "CINDEX",
        f"DROP INDEX i ON {schema}.d": "DINDEX",
        f"TRUNCATE TABLE {schema}.d": "TRUNCATE",
        f"RENAME TABLE {schema}.d TO {schema}.e": "RENAME",
        f"DROP TABLE {schema}.e": "ERASE",
    }
    with start(database, schema) as source:
        database.run(*statements)
        database.run(f"CREATE VIEW {schema}.w AS SELECT 1", f"CREATE TABLE {schema}.last (id int)")
        source.wait(8)
    messages = source.messages()
    assert [message["type"] for message in messages] == [*statements.values(), "CREATE"]
    assert [message["table"] for message in messages] == ["d", "d", "d", "d", "d", "e", "e", "last"]
    assert [message["sql"].split("/*")[0].strip().replace("`", "") for message in messages[:7]] == list(statements)
    first = messages[0]
    assert first["isDdl"] is True
    assert [first[name] for name in ("data", "old", "mysqlType", "sqlType", "pkNames")] == [None] * 5
    assert [(r.key, r.partition) for r in source.records] == [(None, 0)] * 8


def test_schema_changes_may_have_their_own_topic(database: Database, schema: str, unique: str) -> None:
    with start(
        database, schema, topic_ddl="ddl", topic="x-${table}", table_include_list=rf"{schema}[ab]?\..*"
    ) as source:
        database.run(f"CREATE DATABASE {schema}a", f"CREATE TABLE {schema}a.t (id int PRIMARY KEY)")
        database.run(f"INSERT INTO {schema}a.t VALUES (1)", f"DROP DATABASE {schema}a")
        while not source.records or source.messages()[-1]["sql"].upper() != f"DROP DATABASE {schema}A".upper():
            source.poll()
    mine = [(r.topic, m["type"], m["table"]) for r, m in zip(source.records, source.messages(), strict=True)]
    assert ("ddl", "CREATE", "t") in mine
    assert ("x-t", "INSERT", "t") in mine
    assert mine[-1] == ("ddl", "QUERY", "")


def test_only_chosen_tables_are_read(database: Database, schema: str) -> None:
    names = ["a", "b", "ab", "skip"]
    database.run(*[f"CREATE TABLE {schema}.{name} (id int PRIMARY KEY)" for name in names])
    options = {"table_include_list": rf"{schema}\.[abskip]+", "table_exclude_list": rf"{schema}\.skip,nosuch\..*"}
    with start(database, schema, database_include_list=schema, **options) as source:
        order = enumerate(("skip", "a", "skip", "b", "ab", "skip"))
        database.run(*[f"INSERT INTO {schema}.{name} VALUES ({n})" for n, name in order])
        source.wait(3)
        source.poll()
    assert [message["table"] for message in source.messages()] == ["a", "b", "ab"]


def test_an_alter_in_the_middle_changes_the_columns(database: Database, schema: str, table: str) -> None:
    with start(database, schema) as source:
        database.run(
            f"INSERT INTO {table} VALUES (1,'a')",
            f"ALTER TABLE {table} ADD COLUMN n int FIRST, RENAME COLUMN name TO label",
            f"INSERT INTO {table} VALUES (5, 2,'b')",
            f"DROP TABLE {table}",
        )
        source.wait(4)
    assert [data for _, data, _ in rows(source)] == [[{"id": "1", "name": "a"}], [{"n": "5", "id": "2", "label": "b"}]]


def test_odd_names_survive(database: Database, schema: str) -> None:
    name = "we`ird {n} \"q\" 'x' %s 中\\"
    quoted = "`" + name.replace("`", "``") + "`"
    database.run(f"CREATE TABLE {schema}.{quoted.replace('中', 'z')} ({quoted.replace('%s', '%%s')} int PRIMARY KEY)")
    with start(database, schema) as source:
        database.run(f"INSERT INTO {schema}.{quoted.replace('中', 'z')} VALUES (7)")
        source.wait(1)
    assert source.messages()[0]["data"] == [{name.replace("%s", "%%s"): "7"}]
    assert orjson.loads(source.records[0].key) == {name.replace("%s", "%%s"): "7"}


@pytest.mark.parametrize("image", ["MINIMAL", "NOBLOB"])
def test_a_session_with_a_smaller_row_image_is_understood(database: Database, schema: str, image: str) -> None:
    database.run(f"CREATE TABLE {schema}.m (id int PRIMARY KEY, v int, b text)")
    with start(database, schema) as source:
        database.run(
            f"SET SESSION binlog_row_image = {image}",
            f"INSERT INTO {schema}.m VALUES (1, 10, 'x')",
            f"UPDATE {schema}.m SET v = 11",
            f"DELETE FROM {schema}.m",
        )
        source.wait(3)
    assert [record.key for record in source.records] == [b'{"id":"1"}'] * 3
    insert, update, delete = source.messages()
    assert insert["data"] == [{"id": "1", "v": "10", "b": "x"}]
    assert {"id": "1", "v": "11"}.items() <= update["data"][0].items()
    assert "b" not in update["data"][0]
    assert update["old"] == [{} if image == "MINIMAL" else {"v": "10"}]
    assert delete["data"][0]["id"] == "1"


def test_enum_and_binary_modes(database: Database, schema: str) -> None:
    database.run(f"CREATE TABLE {schema}.e (id int PRIMARY KEY, e enum('x','ü'), s set('a','b','c'), b varbinary(9))")
    for number, (mode, expected) in enumerate((("hex", "00ff"), ("base64", "AP8="))):
        with start(database, schema, enum_mode="label", binary_mode=mode) as source:
            database.run(f"INSERT INTO {schema}.e VALUES ({number}, 'ü', 'a,c', x'00ff')")
            source.wait(1)
        assert source.messages()[0]["data"] == [{"id": str(number), "e": "ü", "s": "a,c", "b": expected}]


def test_rows_written_by_a_statement_are_refused(database: Database, schema: str, table: str) -> None:
    with start(database, schema) as source:
        database.run("SET SESSION binlog_format = STATEMENT", f"INSERT INTO {table} VALUES (1,'a')")
        with pytest.raises(Exception, match=rf"{schema}\.p were changed by a statement") as caught:
            source.wait(1)
    assert type(caught.value).__name__ == "FatalError"


def test_other_tables_go_on_behind_statements_that_wrote_rows(database: Database, schema: str, table: str) -> None:
    database.run(f"CREATE TABLE {schema}.other (id int PRIMARY KEY)", f"INSERT INTO {schema}.other VALUES (1)")
    with start(database, schema, table_exclude_list=rf"{schema}\.other") as source:
        source.tolerant = True
        database.run(
            "SET SESSION binlog_format = STATEMENT",
            f"INSERT INTO {schema}.other VALUES (2)",
            f"UPDATE {schema}.other, {table} SET {table}.name = 'b' WHERE other.id = p.id",
            f"CREATE TABLE {schema}.filled AS SELECT * FROM {schema}.other",
            "SET SESSION binlog_format = ROW",
            f"INSERT INTO {table} VALUES (3,'c')",
        )
        source.wait(2)
    assert [(message["type"], message["table"]) for message in source.messages()] == [
        ("CREATE", "filled"),
        ("INSERT", "p"),
    ]
    refused = [dict(record.headers)["connect.table"] for record in source.errors]
    assert refused == [b"p", b"filled"]


def test_texts_of_statements_come_before_their_rows_where_they_are_asked_for(
    database: Database, schema: str, table: str
) -> None:
    mysql = database.flavor == "mysql"
    texts = f"SET SESSION {'binlog_rows_query_log_events' if mysql else 'binlog_annotate_row_events'} = ON"
    first, second = f"INSERT INTO {table} VALUES (1,'ü'),(2,'b')", f"DELETE FROM {table} WHERE id = 2"
    with start(database, schema, topic_statements="sql-${database}") as source:
        database.run(texts, first)
        source.wait(3)
    with running(source.props, schema, source.context.stored) as again:
        database.run(texts, second)
        again.wait(2)
    name = "p" if mysql else ""
    told = [(message["type"], message["sql"], message["table"]) for message in source.messages() + again.messages()]
    assert told == [("QUERY", first, name), ("INSERT", "", "p"), ("INSERT", "", "p"), ("QUERY", second, name),
                    ("DELETE", "", "p")]  # fmt: skip
    assert {record.topic for record in source.records} == {f"sql-{schema}", table}
    assert [record.source_offset is None for record in source.records] == [True, True, False]


def test_the_source_shows_how_far_it_is(database: Database, schema: str, table: str) -> None:
    with start(database, schema) as source:
        database.run(f"INSERT INTO {table} VALUES (1,'a'),(2,'b')")
        source.wait(2)
        gauges = source.context.gauges
        while "lag_bytes" not in gauges or gauges["rows_total"] < 2:
            source.poll()
        with database.connect() as cursor:
            cursor.execute("SHOW BINARY LOG STATUS" if database.flavor == "mysql" else "SHOW MASTER STATUS")
            file, pos = cursor.fetchone()[:2]
    assert gauges["transactions_total"] >= 1
    assert gauges["events_total"] > gauges["rows_total"] == 2
    assert (gauges["binlog_file_number"], gauges["binlog_position_bytes"]) <= (int(file.rpartition(".")[2]), pos)
    assert 0 <= gauges["lag_seconds"] < 60
    assert time.time() - gauges["last_event_timestamp_seconds"] < 60
    assert gauges["queue_records"] == gauges["queue_bytes"] == gauges["snapshot_running"] == 0
