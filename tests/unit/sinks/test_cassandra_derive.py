"""Which columns a new table or field gets."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from connectors.api.errors import DataError
from connectors.formats.canal import RowChange
from connectors.sinks.cassandra.derive import added_columns, column_type, table_definition


@pytest.mark.parametrize(
    ("mysql_type", "expected"),
    [
        ("tinyint(1)", "tinyint"),
        ("tinyint(3) unsigned", "smallint"),
        ("smallint unsigned", "int"),
        ("mediumint unsigned", "int"),
        ("int(10) unsigned zerofill", "bigint"),
        ("bigint unsigned", "varint"),
        ("DECIMAL(20,2)", "decimal"),
        ("datetime(6)", "timestamp"),
        ("time", "text"),
        ("bit(8)", "bigint"),
        ("longblob", "blob"),
        ("enum('a','unsigned')", "text"),
        ("geometry", "text"),
        ("(", "text"),
    ],
)
def test_types_of_mysql(mysql_type: str, expected: str) -> None:
    assert column_type(mysql_type, "1") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "boolean"),
        (1, "bigint"),
        (1 << 63, "varint"),
        (Decimal("1.5"), "decimal"),
        ("x", "text"),
        (None, "text"),
        ({}, "text"),
    ],
)
def test_types_of_json(value: Any, expected: str) -> None:
    assert column_type(None, value) == expected


def change(key: tuple[str, ...], **row: Any) -> RowChange:
    return RowChange("INSERT", "m", "t", row, None, key, mysql_type={"Id": "bigint"})


def test_a_table_has_the_keys_of_the_source() -> None:
    made = table_definition("k", "T", change(("Id", "b"), Id="1", b="x", c=None), ("Id", "b"))
    columns = '("id" bigint, "b" text, "c" text, PRIMARY KEY (("id", "b")))'
    assert made == f'CREATE TABLE IF NOT EXISTS "k"."t" {columns}'


def test_a_table_without_a_key_is_refused() -> None:
    with pytest.raises(DataError, match="the message names no primary key"):
        table_definition("k", "t", change((), a=1), ())
    with pytest.raises(DataError, match="the row lacks its key fields b"):
        table_definition("k", "t", change((), a=1), ("a", "b"))


def test_fields_become_columns() -> None:
    assert added_columns('"k"."t"', {"A": 1, "B": "x"}, {"B": "date"}) == [
        'ALTER TABLE "k"."t" ADD "a" bigint',
        'ALTER TABLE "k"."t" ADD "b" date',
    ]
