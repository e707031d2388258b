"""Servers whose binlog does not name columns: the layouts are kept beside the offsets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors import ConfigError, FatalError
from tests.integration.sources.harness import Context, Database, Source, running


@pytest.fixture
def minimal(database: Database) -> Iterator[None]:
    database.run("SET GLOBAL binlog_row_metadata = MINIMAL")
    yield
    database.run("SET GLOBAL binlog_row_metadata = FULL")


def props(database: Database, schema: str, **options: str) -> dict[str, str]:
    base = {"start_position": "latest", "table_include_list": rf"{schema}\..*", "schema_history": "true"}
    return database.props(**{**base, **options})


COLUMNS = (
    "id int unsigned PRIMARY KEY, e enum('x','ü'), g varchar(20) charset gbk, b varbinary(9), d decimal(9,2), t text"
)


@pytest.mark.usefixtures("minimal")
def test_rows_are_decoded_by_the_layout_that_was_kept(database: Database, schema: str) -> None:
    database.run(f"CREATE TABLE {schema}.t ({COLUMNS}) CHARSET utf8mb4")
    insert = f"INSERT INTO {schema}.t VALUES (4294967295, 'ü', '中', x'00ff', 1.5, 'text')"
    with running(props(database, schema, enum_mode="label"), schema) as source:
        source.poll()
        database.run(insert, f"ALTER TABLE {schema}.t RENAME COLUMN d TO renamed, ADD COLUMN n json")
        source.wait(2)
        database.run(f"UPDATE {schema}.t SET n = '{{}}', renamed = 2")
        source.wait(3)
    insertion, alteration, update = source.messages()
    row = {"id": "4294967295", "e": "ü", "g": "中", "b": "\0ÿ", "d": "1.50", "t": "text"}
    assert (insertion["data"], insertion["pkNames"], alteration["type"]) == ([row], ["id"], "ALTER")
    assert update["data"][0]["renamed"] == "2.00"
    assert update["old"] == [{"renamed": "1.50", "n": None}]
    assert source.context.layouts[schema, "t"]["columns"][4]["name"] == "renamed"


@pytest.mark.usefixtures("minimal")
def test_what_was_written_while_it_was_down_is_read_by_the_old_layout(database: Database, schema: str) -> None:
    database.run(f"CREATE TABLE {schema}.t (id int PRIMARY KEY, v int)")
    with running(props(database, schema), schema) as source:
        database.run(f"INSERT INTO {schema}.t VALUES (1, 1)")
        source.wait(1)
    database.run(f"INSERT INTO {schema}.t VALUES (2, 2)", f"ALTER TABLE {schema}.t RENAME COLUMN v TO w")
    database.run(f"INSERT INTO {schema}.t VALUES (3, 3)")
    context = Context(schema, source.context.stored, source.context.layouts)
    again = Source(props(database, schema), context)
    try:
        again.start().wait(3)
    finally:
        again.stop()
    assert [m["data"] for m in again.messages() if not m["isDdl"]] == [[{"id": "2", "v": "2"}], [{"id": "3", "w": "3"}]]


@pytest.mark.usefixtures("minimal")
def test_a_layout_that_does_not_fit_is_refused(database: Database, schema: str) -> None:
    database.run(f"CREATE TABLE {schema}.t (id int PRIMARY KEY, v int)")
    with running(props(database, schema), schema) as source:
        database.run(f"INSERT INTO {schema}.t VALUES (1, 1)")
        source.wait(1)
    database.run(f"ALTER TABLE {schema}.t ADD COLUMN w int", f"INSERT INTO {schema}.t VALUES (2, 2, 2)",
                 f"ALTER TABLE {schema}.t DROP COLUMN w")  # fmt: skip
    again = Source(props(database, schema), Context(schema, source.context.stored, source.context.layouts))
    try:
        with pytest.raises(FatalError, match="the schema was changed between"):
            again.start().wait(3)
    finally:
        again.stop()


@pytest.mark.usefixtures("minimal")
def test_without_the_option_such_a_server_is_refused(database: Database, schema: str) -> None:
    with (
        pytest.raises(ConfigError, match="SET GLOBAL binlog_row_metadata = FULL"),
        running(props(database, schema, schema_history="false"), schema),
    ):
        pass
