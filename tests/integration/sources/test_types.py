"""Every column type, through the binlog and through a snapshot, on both servers; expectations after Canal."""

from __future__ import annotations

import random
import re
from contextlib import closing
from typing import NamedTuple

import pytest
from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.row_event import WriteRowsEvent

from tests.integration.sources.harness import Database, running


class Case(NamedTuple):
    """A column, a value, and what the message must hold."""

    column: str
    literal: str
    text: str
    mysql_type: str
    code: int
    only: str = ""


POINT = bytes.fromhex("e61000000101000000000000000000f03f000000000000f03f").decode("latin-1")
PLAIN_POINT = bytes.fromhex("000000000101000000000000000000f03f0000000000000040").decode("latin-1")
ALL_BYTES = "".join(map(chr, range(256)))

UUIDS = (
    "123e4567-e89b-12d3-a456-426655440000",
    "0190a1b2-c3d4-7e5f-8a6b-9c8d7e6f5a4b",
    "c56a4180-65aa-42ec-a945-5fd21dec0538",
)

CASES = [
    Case("tinyint", "-128", "-128", "tinyint", -6),
    Case("tinyint unsigned", "127", "127", "tinyint unsigned", -6),
    Case("tinyint unsigned", "255", "255", "tinyint unsigned", 5),
    Case("tinyint(1)", "1", "1", "tinyint", -6),
    Case("smallint", "-32768", "-32768", "smallint", 5),
    Case("smallint unsigned", "65535", "65535", "smallint unsigned", 4),
    Case("mediumint", "-8388608", "-8388608", "mediumint", 4),
    Case("mediumint unsigned", "16777215", "16777215", "mediumint unsigned", 4),
    Case("int", "-2147483648", "-2147483648", "int", 4),
    Case("int unsigned", "4294967295", "4294967295", "int unsigned", -5),
    Case("bigint", "-9223372036854775808", "-9223372036854775808", "bigint", -5),
    Case("bigint unsigned", "18446744073709551615", "18446744073709551615", "bigint unsigned", 3),
    Case("int(6) unsigned zerofill", "5", "5", "int unsigned", 4),
    Case("year", "2024", "2024", "year", 12),
    Case("year", "0", "0000", "year", 12),
    Case("smallint unsigned", "7", "7", "smallint unsigned", 5),
    Case("decimal(10,2)", "100.1", "100.10", "decimal(10,2)", 3),
    Case("decimal(10,2)", "-0.5", "-0.50", "decimal(10,2)", 3),
    Case("decimal(5,2)", "12", "12.00", "decimal(5,2)", 3),
    Case("decimal(20,8)", "0.00000012", "0.00000012", "decimal(20,8)", 3),
    Case("decimal(20,8)", "0", "0.00000000", "decimal(20,8)", 3),
    Case("decimal(20,10)", "1.1", "1.1000000000", "decimal(20,10)", 3),
    Case("decimal(10,0)", "-9999999999", "-9999999999", "decimal(10,0)", 3),
    Case("decimal(30,20)", "-1234567890.12345678901234567890", "-1234567890.12345678901234567890", "decimal(30,20)", 3),
    Case("decimal(65,30)", "12345678901234567890123456789012345.000000000000000000000000000001",
         "12345678901234567890123456789012345.000000000000000000000000000001", "decimal(65,30)", 3),
    Case("decimal(9,9)", "0.000000001", "0.000000001", "decimal(9,9)", 3),
    Case("decimal(18,0) unsigned", "123456789000000001", "123456789000000001", "decimal(18,0) unsigned", 3),
    Case("float", "3.14", "3.14", "float", 7),
    Case("float", "1e7", "1.0E7", "float", 7),
    Case("float", "0.0009", "9.0E-4", "float", 7),
    Case("float", "123456.789", "123456.79", "float", 7),
    Case("double", "100", "100.0", "double", 8),
    Case("double", "1e10", "1.0E10", "double", 8),
    Case("double", "0.001", "0.001", "double", 8),
    Case("double", "-1.7976931348623157e308", "-1.7976931348623157E308", "double", 8),
    Case("bit(1)", "b'1'", "1", "bit(1)", -7),
    Case("bit(8)", "64", "64", "bit(8)", -7),
    Case("bit(18)", "b'1011'", "11", "bit(18)", -7),
    Case("bit(64)", "18446744073709551615", "18446744073709551615", "bit(64)", -7),
    Case("date", "'2024-02-29'", "2024-02-29", "date", 91),
    Case("date", "'0000-00-00'", "0000-00-00", "date", 91),
    Case("date", "'2024-00-10'", "2024-00-10", "date", 91),
    Case("datetime", "'9999-12-31 23:59:59'", "9999-12-31 23:59:59", "datetime", 93),
    Case("datetime", "'0000-00-00 00:00:00'", "0000-00-00 00:00:00", "datetime", 93),
    Case("datetime(1)", "'2024-01-02 03:04:05.6'", "2024-01-02 03:04:05.6", "datetime(1)", 93),
    Case("datetime(3)", "'2024-01-02 03:04:05.067'", "2024-01-02 03:04:05.067", "datetime(3)", 93),
    Case("datetime(6)", "'2024-01-02 03:04:05.000007'", "2024-01-02 03:04:05.000007", "datetime(6)", 93),
    Case("timestamp null", "'2024-01-01 00:00:00'", "2024-01-01 08:00:00", "timestamp", 93),
    Case("timestamp(3) null", "'2038-01-19 03:14:07.999'", "2038-01-19 11:14:07.999", "timestamp(3)", 93),
    Case("timestamp(6) null", "'1970-01-01 00:00:01.000001'", "1970-01-01 08:00:01.000001", "timestamp(6)", 93),
    Case("timestamp null", "'0000-00-00 00:00:00'", "0000-00-00 00:00:00", "timestamp", 93),
    Case("time", "'838:59:59'", "838:59:59", "time", 92),
    Case("time", "'-00:00:01'", "-00:00:01", "time", 92),
    Case("time(2)", "'-00:00:01.01'", "-00:00:01.01", "time(2)", 92),
    Case("time(3)", "'-733:00:00.001'", "-733:00:00.001", "time(3)", 92),
    Case("time(6)", "'-838:59:58.999999'", "-838:59:58.999999", "time(6)", 92),
    Case("time(5)", "'100:00:00.00001'", "100:00:00.00001", "time(5)", 92),
    Case("enum('a','b','it''s')", "'b'", "2", "enum('a','b','it''s')", 4),
    Case("set('a','b','c')", "'a,c'", "5", "set('a','b','c')", -7),
    Case("set('a','b')", "''", "0", "set('a','b')", -7),
    Case("char(10)", "'ab '", "ab", "char(10)", 1),
    Case("char(255) charset utf8mb4", "'x'", "x", "char(255)", 1),
    Case("varchar(20)", "'q\"\\\\\\n中😀'", 'q"\\\n中😀', "varchar(20)", 12),
    Case("varchar(20)", "''", "", "varchar(20)", 12),
    Case("varchar(300) charset latin1", "_latin1 X'e98081'", "é€\x81", "varchar(300)", 12),
    Case("varchar(20) charset gbk", "'中文'", "中文", "varchar(20)", 12),
    Case("varchar(20) charset utf16", "'A中'", "A中", "varchar(20)", 12),
    Case("varchar(20) charset ucs2", "'A中'", "A中", "varchar(20)", 12),
    Case("varchar(20) charset sjis", "'日本'", "日本", "varchar(20)", 12),
    Case("tinytext", "'t'", "t", "tinytext", 2005),
    Case("text", "'中'", "中", "text", 2005),
    Case("mediumtext", "repeat('x', 70000)", "x" * 70000, "mediumtext", 2005),
    Case("longtext", "''", "", "longtext", 2005),
    Case("text charset latin1", "'é'", "é", "text", 2005),
    Case("tinyblob", "x'00ff'", "\0ÿ", "tinyblob", 2004),
    Case("blob", f"x'{bytes(range(256)).hex()}'", ALL_BYTES, "blob", 2004),
    Case("mediumblob", "x''", "", "mediumblob", 2004),
    Case("longblob", "x'e4b8ad'", "\xe4\xb8\xad", "longblob", 2004),
    Case("binary(4)", "x'0100'", "\1\0\0\0", "binary(4)", 2004),
    Case("varbinary(300)", "x'0100'", "\1\0", "varbinary(300)", 2004),
    Case("point srid 4326", "ST_GeomFromText('POINT(1 1)', 4326)", POINT, "point", 2004, "mysql"),
    Case("point", "ST_GeomFromText('POINT(1 2)')", PLAIN_POINT, "point", 2004),
    Case("geometry", "ST_GeomFromText('POINT(1 2)')", PLAIN_POINT, "geometry", 2004),
    Case("json", """'{"bb": [1, -2, 1.5, 1e20, true, null, "x\\\\ny"], "a": {"k": "中"}}'""",
         '{"a": {"k": "中"}, "bb": [1, -2, 1.5, 1.0E20, true, null, "x\\ny"]}', "json", 12, "mysql"),
    Case("json", "'null'", "null", "json", 12, "mysql"),
    Case("json", "'{\"b\":1, \"a\":2}'", '{"b":1, "a":2}', "longtext", 2005, "mariadb"),
    Case("json", "JSON_OBJECT('d', CAST('2024-01-02' AS DATE), 't', CAST('-25:01:02.5' AS TIME(6)),"
         " 'dt', CAST('2024-01-02 03:04:05.6' AS DATETIME(6)), 'n', CAST(12.50 AS DECIMAL(10,2)))",
         '{"d": "2024-01-02 00:00:00.000000", "n": 12.50, "t": "-25:01:02.500000", "dt": "2024-01-02 03:04:05.600000"}',
         "json", 12, "mysql"),
    Case("json", "JSON_ARRAY(-32768, 65535, 2147483647, 4294967295, 18446744073709551615, REPEAT('a', 200))",
         '[-32768, 65535, 2147483647, 4294967295, 18446744073709551615, "' + "a" * 200 + '"]', "json", 12, "mysql"),
    Case("vector(2)", "STRING_TO_VECTOR('[1,2]')", "\0\0\x80?\0\0\0@", "vector(2)", 2004, "mysql"),
    *(Case("uuid", f"'{uuid}'", uuid, "uuid", 1, "mariadb") for uuid in UUIDS),
    Case("inet4", "'1.2.3.0'", "1.2.3.0", "inet4", 1, "mariadb"),
    Case("inet6", "'2001:db8::1'", "2001:db8::1", "inet6", 1, "mariadb"),
    Case("varchar(500) compressed", "repeat('ab', 200)", "ab" * 200, "varchar(500)", 12, "mariadb"),
    Case("text compressed", "repeat('cd', 2000)", "cd" * 2000, "text", 2005, "mariadb"),
    Case("varchar(50) charset utf8mb4 collate uca1400_ai_ci", "'ü'", "ü", "varchar(50)", 12, "mariadb"),
    Case("int invisible", "9", "9", "int", 4),
]  # fmt: skip


def column_types(database: Database, schema: str) -> dict[str, str]:
    """What the server calls the types, without the comment by which MariaDB tells of compression."""
    with database.connect() as cursor:
        cursor.execute(
            "SELECT COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s", (schema,)
        )
        return {name: re.sub(r" ?/\*.*?\*/", "", text) for name, text in cursor.fetchall()}


@pytest.mark.parametrize("way", ["binlog", "snapshot"])
def test_each_type_has_canals_text_type_and_code(database: Database, schema: str, way: str) -> None:
    cases = {f"c{n}": case for n, case in enumerate(CASES) if case.only in ("", database.flavor)}
    columns = ", ".join(f"{name} {case.column}" for name, case in cases.items())
    names = ", ".join(cases)
    statements = [
        "SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION', time_zone = '+00:00'",
        f"CREATE TABLE {schema}.t (id int PRIMARY KEY, {columns}) CHARSET utf8mb4 ROW_FORMAT=DYNAMIC",
        f"INSERT INTO {schema}.t (id, {names}) VALUES (1, {', '.join(case.literal for case in cases.values())})",
        f"INSERT INTO {schema}.t (id, {names}) VALUES (2, {', '.join('NULL' for _ in cases)})",
    ]
    options = {"table_include_list": rf"{schema}\..*", "time_zone": "Asia/Shanghai"}
    if way == "binlog":
        with running(database.props(start_position="latest", **options), schema) as source:
            database.run(*statements)
            messages = [message for message in source.wait_rows(2) if not message["isDdl"]]
    else:
        database.run(*statements)
        with running(database.props(**options), schema) as source:
            messages = source.wait_rows(2)
    first, second = messages
    declared = column_types(database, schema)
    expected = {name: case.text for name, case in cases.items()}
    if way == "snapshot":
        # In a snapshot the server itself writes JSON documents as text, doubles and dates in its own way.
        odd = {name for name, case in cases.items() if case.mysql_type == "json"}
        expected = {name: text for name, text in expected.items() if name not in odd}
    else:
        odd = set()
    assert {n: v for n, v in first["data"][0].items() if n not in odd} == {"id": "1", **expected}
    assert list(first["data"][0]) == ["id", *cases]
    assert {n: v for n, v in first["mysqlType"].items() if n in declared} == declared
    bare = {
        name: re.sub(r"^((?:tiny|small|medium|big)?int|year)\(\d+\)", r"\1", text) for name, text in declared.items()
    }
    expected_types = {name: case.mysql_type + " zerofill" * ("zerofill" in case.column) for name, case in cases.items()}
    assert bare == {"id": "int", **expected_types}
    assert first["sqlType"] == {"id": 4, **{name: case.code for name, case in cases.items()}}
    assert second["data"] == [{"id": "2", **dict.fromkeys(cases)}]


EXACT = [
    Case("decimal(5,2)", "12", "12.0", "", 3),
    Case("decimal(20,8)", "0", "0.0", "", 3),
    Case("decimal(20,10)", "1.1", "1.100000000", "", 3),
    Case("decimal(20,10)", "0", "0.000000000", "", 3),
    Case("decimal(30,20)", "0", "0." + "0" * 18, "", 3),
    Case("decimal(18,9)", "0", "0.000000000", "", 3),
    Case("decimal(10,0)", "0", "0", "", 3),
    Case("decimal(5,2)", "0.5", "0.50", "", 3),
    Case("varchar(20) charset gbk", "'中'", "\ufffd\ufffd", "", 12),
    Case("varchar(20) charset utf16", "'A'", "\0A", "", 12),
    Case("text charset latin1", "_latin1 X'e9'", "\ufffd", "", 2005),
    Case("binary(4)", "x'0102'", "\1\2", "", 2004),
    Case("tinyint(1)", "1", "1", "", -7),
    Case("json", "JSON_ARRAY(CAST(12 AS DECIMAL(5,2)))", "[12.0]", "", 12, "mysql"),
    Case("set('a','b')", "'b'", "2", "", -7),
]


@pytest.mark.parametrize("way", ["binlog", "snapshot"])
def test_canals_quirks_are_kept_where_asked_for(database: Database, schema: str, way: str) -> None:
    cases = {f"c{n}": case for n, case in enumerate(EXACT) if case.only in ("", database.flavor)}
    columns = ", ".join(f"{name} {case.column}" for name, case in cases.items())
    statements = [
        f"CREATE TABLE {schema}.t (id int PRIMARY KEY, {columns})",
        f"INSERT INTO {schema}.t VALUES (1, {', '.join(case.literal for case in cases.values())})",
        f"INSERT INTO {schema}.t (id) VALUES (2)",
    ]
    options = {"table_include_list": rf"{schema}\..*", "canal_compat": "exact", "tinyint1": "bit"}
    if way == "binlog":
        with running(database.props(start_position="latest", **options), schema) as source:
            database.run(*statements)
            first, second = [message for message in source.wait_rows(2) if not message["isDdl"]]
    else:
        database.run(*statements)
        with running(database.props(**options), schema) as source:
            first, second = source.wait_rows(2)
    json_columns = {name for name, case in cases.items() if case.column == "json"} if way == "snapshot" else set()
    texts = {name: case.text for name, case in cases.items() if name not in json_columns}
    assert {n: v for n, v in first["data"][0].items() if n not in json_columns} == {"id": "1", **texts}
    assert first["sqlType"] == {"id": 4, **{name: case.code for name, case in cases.items()}}
    odd = {name: {"json": 1111, "set('a','b')": 2004}.get(case.column, case.code) for name, case in cases.items()}
    assert second["sqlType"] == {"id": 4, **odd}


def test_a_minimal_image_is_as_bare_as_in_canal(database: Database, schema: str) -> None:
    database.run(f"CREATE TABLE {schema}.m (id int PRIMARY KEY, v int, b text)")
    options = {"table_include_list": rf"{schema}\..*", "canal_compat": "exact", "message_key": "none"}
    with running(database.props(start_position="latest", **options), schema) as source:
        database.run(
            "SET SESSION binlog_row_image = MINIMAL",
            f"INSERT INTO {schema}.m VALUES (1, 10, 'x')",
            f"UPDATE {schema}.m SET v = 11",
        )
        source.wait(2)
    update = source.messages()[1]
    assert (update["data"], update["old"], update["pkNames"]) == ([{"v": "11"}], [{}], None)
    assert list(update["sqlType"]) == list(update["mysqlType"]) == ["v"]


def random_values(draw: random.Random) -> dict[str, tuple[str, str]]:
    """A column and a literal of each kind, drawn anew for each row."""
    text = "".join(draw.choice("aZ0 '\\\"%_é中😀\n\t\x01") for _ in range(draw.randrange(12)))
    raw = draw.randbytes(draw.randrange(12)).hex()
    digits = f"{draw.choice('-+')}{draw.randrange(10 ** draw.randrange(1, 16))}.{draw.randrange(10**9):09d}"
    day = f"{draw.randrange(1, 9999):04d}-{draw.randrange(1, 13):02d}-{draw.randrange(1, 29):02d}"
    clock = f"{draw.randrange(24):02d}:{draw.randrange(60):02d}:{draw.randrange(60):02d}.{draw.randrange(10**6):06d}"
    long_time = f"{draw.choice(['', '-'])}{draw.randrange(838)}:{clock[3:]}"
    encoded = f"_utf8mb4 x'{text.encode().hex()}'"
    latin = "".join(char for char in text if ord(char) < 256).encode("latin-1").hex()
    values = {
        "bigint": str(draw.randrange(-(2**63), 2**63)),
        "bigint unsigned": str(draw.randrange(2**64)),
        "mediumint": str(draw.randrange(-(2**23), 2**23)),
        "int unsigned": str(draw.randrange(2**32)),
        "tinyint unsigned": str(draw.randrange(256)),
        "decimal(25,9)": digits,
        "decimal(38,13)": digits,
        "decimal(9,9)": "0." + digits.partition(".")[2],
        "double": f"{draw.uniform(-1, 1) * 10.0 ** draw.randrange(-300, 300)!r}",
        "float": f"{draw.uniform(-1, 1) * 10.0 ** draw.randrange(-30, 30)!r}",
        "date": f"'{day}'",
        "datetime(6)": f"'{day} {clock}'",
        "datetime(3)": f"'{day} {clock}'",
        "timestamp(6) null": f"FROM_UNIXTIME({draw.randrange(1, 2**31 - 1)}.{draw.randrange(10**6):06d})",
        "timestamp null": f"FROM_UNIXTIME({draw.randrange(1, 2**31 - 1)})",
        "time(6)": f"'{long_time}'",
        "time(1)": f"'{long_time[:-5]}'",
        "year": str(draw.choice([0, *range(1901, 2156)])),
        "bit(37)": str(draw.randrange(2**37)),
        "enum('x','y','z')": str(draw.randrange(1, 4)),
        "set('a','b','c','d','e','f','g','h','i')": str(draw.randrange(512)),
        "varchar(50)": encoded,
        "char(50)": encoded,
        "text charset utf16": encoded,
        "varchar(50) charset latin1": f"_latin1 x'{latin}'",
        "varbinary(20)": f"x'{raw}'",
        "binary(13)": f"x'{raw}'",
        "longblob": f"x'{raw * 40}'",
        "point": f"POINT({draw.randrange(-99, 99)}, {draw.random()})",
    }
    return {f"c{n}": (column, value) for n, (column, value) in enumerate(values.items())}


def test_the_binlog_and_select_agree_on_random_values(database: Database, schema: str) -> None:
    draw = random.Random(7)
    rows = [random_values(draw) for _ in range(120)]
    columns = ", ".join(f"{name} {column}" for name, (column, _) in rows[0].items())
    statements = [
        "SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION', time_zone = '+00:00'",
        f"CREATE TABLE {schema}.t (id int PRIMARY KEY, {columns}) CHARSET utf8mb4",
    ]
    for number, row in enumerate(rows):
        literals = [value if draw.random() > 0.1 else "NULL" for _, value in row.values()]
        statements.append(f"INSERT INTO {schema}.t VALUES ({number}, {', '.join(literals)})")
    options = {"table_include_list": rf"{schema}\..*", "time_zone": "America/New_York", "skipped_operations": "ddl"}
    with running(database.props(start_position="latest", **options), schema) as source:
        database.run(*statements)
        streamed = source.wait_rows(len(rows), timeout_s=60)
    with running(database.props(**options), schema) as source:
        selected = source.wait_rows(len(rows))
    for one, other in zip(streamed, selected, strict=True):
        assert one["data"] == other["data"]
        assert [one[name] for name in ("mysqlType", "sqlType", "pkNames")] == [
            other[name] for name in ("mysqlType", "sqlType", "pkNames")
        ]


SAME = {
    "bigint": str,
    "bigint unsigned": str,
    "mediumint": str,
    "int unsigned": str,
    "tinyint unsigned": str,
    "decimal(25,9)": "{:f}".format,
    "decimal(38,13)": "{:f}".format,
    "date": str,
    "datetime(6)": lambda value: value.isoformat(" ", "microseconds"),
    "varchar(50)": str,
    "char(50)": str,
    "varchar(50) charset latin1": str,
}
"""Types that mysql-replication decodes right, and how its values are written."""


def test_mysql_replication_decodes_the_same(database: Database, schema: str) -> None:
    draw = random.Random(11)
    rows = [{name: cell for name, cell in random_values(draw).items() if cell[0] in SAME} for _ in range(80)]
    columns = {name: column for name, (column, _) in rows[0].items()}
    literals = [[text if draw.random() > 0.1 else "NULL" for _, text in row.values()] for row in rows]
    with database.connect() as cursor:
        cursor.execute("SHOW BINARY LOG STATUS" if database.flavor == "mysql" else "SHOW MASTER STATUS")
        file, pos = cursor.fetchone()[:2]
    definition = ", ".join(f"{name} {column}" for name, column in columns.items())
    database.run(
        "SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION'",
        f"CREATE TABLE {schema}.t (id int PRIMARY KEY, {definition}) CHARSET utf8mb4",
        *(f"INSERT INTO {schema}.t VALUES ({number}, {', '.join(row)})" for number, row in enumerate(literals)),
    )
    options = {"table_include_list": rf"{schema}\..*", "start_position": f"{file}:{pos}", "skipped_operations": "ddl"}
    with running(database.props(**options), schema) as source:
        ours = [message["data"][0] for message in source.wait_rows(len(rows))]
    connection = {"host": database.host, "port": database.port, "user": database.user, "passwd": database.password}
    stream = BinLogStreamReader(
        connection_settings=connection, server_id=4_111_111_111, log_file=file, log_pos=pos, resume_stream=True,
        only_schemas=[schema], only_events=[WriteRowsEvent], enable_logging=False,
    )  # fmt: skip
    with closing(stream):
        theirs = [row["values"] for event in stream for row in event.rows]
    assert len(theirs) == len(ours)
    for one, other in zip(ours, theirs, strict=True):
        shown = {name: None if other[name] is None else SAME[column](other[name]) for name, column in columns.items()}
        assert {name: one[name] for name in columns} == shown


def test_a_character_set_that_cannot_be_read_stops_its_table_alone(database: Database, schema: str) -> None:
    database.run(
        f"CREATE TABLE {schema}.a (id int PRIMARY KEY, x varchar(9) CHARSET armscii8)",
        f"CREATE TABLE {schema}.b (id int PRIMARY KEY)",
    )
    options = {"table_include_list": rf"{schema}\..*", "start_position": "latest"}
    with running(database.props(**options), schema) as source:
        source.tolerant = True
        database.run(f"INSERT INTO {schema}.a VALUES (1, 'x')", f"INSERT INTO {schema}.b VALUES (2)")
        source.wait(1)
    assert "column x varchar(9) has the character set armscii8, which cannot be decoded" in str(source.errors[0].error)
    assert [record.topic for record in source.records] == [f"{schema}.b"]
    with running(database.props(table_include_list=rf"{schema}\..*"), schema) as source:
        source.tolerant = True
        source.wait(1)
        assert "character set armscii8" in str(source.errors[0].error)
        assert [record.topic for record in source.records] == [f"{schema}.b"]
    with running(database.props(**options, column_exclude_list=r".*\.x"), schema) as source:
        database.run(f"INSERT INTO {schema}.a VALUES (2, 'x')")
        source.wait(1)
    assert source.messages()[0]["data"] == [{"id": "2"}]
