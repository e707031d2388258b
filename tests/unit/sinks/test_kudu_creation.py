from __future__ import annotations

from typing import Any

import pytest

from connectors import ConfigError, DataError
from connectors.clients.kudu.port import ColumnSpec, Layout
from connectors.formats.canal import RowChange
from connectors.formats.mapping import parse_mapping
from connectors.sinks.kudu.creation import column_for, columns_for, layout_for
from connectors.sinks.kudu.options import TableOptions

KEY = (ColumnSpec("id", "INT64", key=True), ColumnSpec("at", "UNIXTIME_MICROS", key=True))


@pytest.mark.parametrize(
    ("mysql", "kudu"),
    [
        ("tinyint(1)", "INT8"),
        ("tinyint(3) unsigned", "INT16"),
        ("smallint", "INT16"),
        ("smallint(5) unsigned zerofill", "INT32"),
        ("MEDIUMINT UNSIGNED", "INT32"),
        ("int(11)", "INT32"),
        ("int unsigned", "INT64"),
        ("bigint(20)", "INT64"),
        ("bigint unsigned", "DECIMAL(20,0)"),
        ("bit(1)", "INT64"),
        ("bit(64)", "DECIMAL(20,0)"),
        ("decimal(10,2)", "DECIMAL(10,2)"),
        ("decimal(5, 5) unsigned", "DECIMAL(5,5)"),
        ("decimal", "DECIMAL(10,0)"),
        ("decimal(65,30)", "STRING"),
        ("double(10,2)", "DOUBLE"),
        ("float", "FLOAT"),
        ("datetime(6)", "UNIXTIME_MICROS"),
        ("timestamp", "UNIXTIME_MICROS"),
        ("date", "DATE"),
        ("time(3)", "STRING"),
        ("year", "INT16"),
        ("varchar(64)", "STRING"),
        ("enum('a','b(1)')", "STRING"),
        ("json", "STRING"),
        ("varbinary(20)", "BINARY"),
        ("longblob", "BINARY"),
        ("something new", "STRING"),
        ("", "STRING"),
        (None, "STRING"),
    ],
)
def test_a_column_holds_every_value_of_its_mysql_type(mysql: str | None, kudu: str) -> None:
    column = column_for("c", mysql)
    assert (column.type_text, column.nullable, column.key) == (kudu, True, False)


def test_a_key_cannot_be_a_floating_number() -> None:
    assert column_for("c", "double", key=True) == ColumnSpec("c", "STRING", key=True)


def change(key: tuple[str, ...] = ("no",), **types: str) -> RowChange:
    return RowChange("INSERT", "m", "t", dict.fromkeys(types), key=key, mysql_type=types)


def test_columns_of_a_mapping_take_the_types_of_their_fields() -> None:
    mapping = parse_mapping("o", "a=value.a, id=value.no, at=timestamp, written=now(), source=header.h")
    columns = columns_for(TableOptions("t", "m.t", mapping), change(a="date", no="int", unused="int"))
    assert [(column.name, column.type, column.key, column.nullable) for column in columns] == [
        ("id", "INT32", True, False),
        ("a", "DATE", False, True),
        ("at", "UNIXTIME_MICROS", False, True),
        ("written", "UNIXTIME_MICROS", False, True),
        ("source", "STRING", False, True),
    ]


def test_a_key_of_several_columns_keeps_its_order() -> None:
    columns = columns_for(TableOptions("t", "m.t"), change(("b", "a"), a="int", x="int", b="int"))
    assert [column.name for column in columns] == ["b", "a", "x"]


def test_a_table_without_its_whole_key_is_not_created() -> None:
    options = TableOptions("t", "m.t", parse_mapping("o", "a=value.a"))
    with pytest.raises(DataError, match=r"table m\.t cannot be created: key field no has no column"):
        columns_for(options, change(a="int", no="int"))
    with pytest.raises(DataError, match=r"needs a Canal message with pkNames and mysqlType"):
        columns_for(options, change((), a="int"))


def layout(**options: Any) -> Layout:
    return layout_for(TableOptions("t", "m.t", **options), KEY, 3, lambda column, text: int(text))


def test_rows_are_spread_as_configured_else_by_the_hash_of_the_key() -> None:
    assert layout() == Layout(("id", "at"), 4, replicas=3)
    assert layout(hash_on=("id",), buckets=8) == Layout(("id",), 8, replicas=3)
    assert layout(range_on="at", splits=("5", "7")) == Layout((), 0, "at", (5, 7), 3)


def test_wrong_partitions_are_told() -> None:
    with pytest.raises(ConfigError, match="cannot be partitioned by x: its key columns are id, at"):
        layout(range_on="x", splits=("1",))
    with pytest.raises(ConfigError, match=r"topic\.t\.m\.t\.partition\.range: invalid literal"):
        layout(range_on="at", splits=("x",))
