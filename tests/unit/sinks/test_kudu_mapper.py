from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import DataError, SinkRecord
from connectors.clients.kudu.port import UNSET, ColumnSpec, OpKind, Table, to_python
from connectors.formats.canal import RowChange
from connectors.formats.mapping import parse_mapping
from connectors.formats.temporal import TimestampParser
from connectors.sinks.kudu.mapper import RowMapper, mapping_errors
from connectors.sinks.kudu.options import TableOptions
from connectors.sinks.kudu.values import cached_micros, converter_for
from connectors.sinks.kudu.writes import Write

PARSER = TimestampParser(ZoneInfo("Asia/Shanghai"))
KEY = ColumnSpec("id", "STRING", key=True)
TABLE = Table(
    "m.t",
    (
        KEY,
        ColumnSpec("no", "INT32", key=True),
        ColumnSpec("s", "STRING", nullable=True),
        ColumnSpec("must", "INT8"),
        ColumnSpec("has", "INT8", has_default=True),
    ),
)
ROW = {"ID": "a", "no": "1", "S": "x", "must": "2", "has": "3"}


def convert(type_: str, value: Any, **attributes: Any) -> Any:
    return converter_for(ColumnSpec("c", type_, **attributes), cached_micros(PARSER))(value)


def record(**changes: Any) -> SinkRecord:
    given = {"key": None, "value": None, "headers": [("h", b"5")], "timestamp_ms": 1_700_000_000_000} | changes
    return SinkRecord("t", 0, 0, **given)


def mapper(table: Table = TABLE, mapping: str | None = None, **options: Any) -> RowMapper:
    parsed = parse_mapping("o", mapping) if mapping is not None else None
    return RowMapper(table, TableOptions("t", table.name, parsed, **options), PARSER)


def change(row: dict[str, Any], op: Any = "INSERT", old: dict[str, Any] | None = None) -> RowChange:
    return RowChange(op, "m", "t", row, old, ts_us=9)


def only(writes: list[Write]) -> Write:
    (write,) = writes
    return write


@given(st.decimals(-(10**8) + 1, 10**8 - 1, places=2, allow_nan=False))
def test_a_decimal_of_the_columns_scale_is_exact_in_every_form(number: Decimal) -> None:
    for value in (number, str(number), f"{number:E}", f"{number}"):
        unscaled = convert("DECIMAL", value, precision=10, scale=2)
        assert to_python(ColumnSpec("c", "DECIMAL", precision=10, scale=2), unscaled) == number


@given(st.integers(-(10**38) + 1, 10**38 - 1), st.integers(0, 38))
def test_38_digits_are_exact(unscaled: int, scale: int) -> None:
    column = ColumnSpec("c", "DECIMAL", precision=38, scale=scale)
    assert convert("DECIMAL", str(to_python(column, unscaled)), precision=38, scale=scale) == unscaled


@given(st.sampled_from([8, 16, 32, 64]), st.integers(-(2**70), 2**70))
def test_integers_pass_in_their_range_alone(bits: int, number: int) -> None:
    for value in (number, str(number)):
        if -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
            assert convert(f"INT{bits}", value) == number
        else:
            with pytest.raises(ValueError, match="out of range"):
                convert(f"INT{bits}", value)


@given(st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001
def test_times_are_exact_to_the_microsecond(moment: datetime) -> None:
    local = moment.astimezone(ZoneInfo("Asia/Shanghai"))
    column = ColumnSpec("c", "UNIXTIME_MICROS")
    texts = [moment.isoformat(), str(moment)]
    if local.fold == 0 and local.replace(tzinfo=None).replace(tzinfo=ZoneInfo("Asia/Shanghai")) == local:
        texts.append(local.replace(tzinfo=None).isoformat(" "))
    for text in texts:
        assert to_python(column, convert("UNIXTIME_MICROS", text)) == moment


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_texts_come_back(text: str) -> None:
    assert to_python(KEY, convert("STRING", text)) == text


@pytest.mark.parametrize(
    ("type_", "value", "stored"),
    [
        ("INT32", 7.0, 7),
        ("INT32", "007", 7),
        ("INT32", "7.0", 7),
        ("INT64", "1e3", 1_000),
        ("DECIMAL", 1.1, 110),
        ("DECIMAL", 7, 700),
        ("DECIMAL", "-.5", -50),
        ("DECIMAL", "1E+2", 10_000),
        ("DECIMAL", "1.200", 120),
        ("FLOAT", "1.5", 1.5),
        ("DOUBLE", 7, 7.0),
        ("BOOL", "1", True),
        ("BOOL", 0, False),
        ("BOOL", "TRUE", True),
        ("STRING", 7, b"7"),
        ("STRING", {"a": [1]}, b'{"a":[1]}'),
        ("STRING", Decimal("1.20"), b"1.20"),
        ("STRING", b"\xc3\xa9", "é".encode()),
        ("STRING", date(2024, 2, 29), b"2024-02-29"),
        ("BINARY", "\x00\xff", b"\x00\xff"),
        ("BINARY", b"\x00", b"\x00"),
        ("DATE", date(1970, 1, 2), 1),
        ("DATE", datetime(1970, 1, 2, tzinfo=UTC), 1),
        ("UNIXTIME_MICROS", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), 1_000_000),
        ("DATE", "1970-01-02 03:04:05", 1),
        ("UNIXTIME_MICROS", "1970-01-01 08:00:00.001", 1_000),
        ("UNIXTIME_MICROS", 5, 5_000),
    ],
)
def test_values_go_to_the_columns_type(type_: str, value: Any, stored: Any) -> None:
    assert convert(type_, value, precision=10, scale=2) == stored


@pytest.mark.parametrize(
    ("type_", "value", "reason"),
    [
        ("INT8", "128", "out of range -128 to 127"),
        ("INT32", "1.5", "not a whole number"),
        ("INT32", "1_000", "not a number"),
        ("INT32", "1٣", "not a number"),
        ("INT32", True, "not a number"),
        ("INT32", "", "not a number"),
        ("INT64", "9" * 5_000, "out of range"),
        ("INT64", 1e300, "out of range"),
        ("DECIMAL", "1.234", "more than 2 digits after the point"),
        ("DECIMAL", "123456789", "more than 10 digits"),
        ("DECIMAL", "NaN", "not a number"),
        ("DECIMAL", float("nan"), "out of range"),
        ("DECIMAL", "1e9999", "out of range"),
        ("DECIMAL", "0." + "1" * 300, "too many digits"),
        ("DECIMAL", "1-2", "not a number"),
        ("DECIMAL", [1], "not a number"),
        ("FLOAT", "1e39", "out of range"),
        ("DOUBLE", "x", "could not convert"),
        ("DOUBLE", True, "not a number"),
        ("DOUBLE", 10**400, "out of range"),
        ("DOUBLE", "1_0", "not a number"),
        ("BOOL", "maybe", "neither true nor false"),
        ("BOOL", 1.0, "neither true nor false"),
        ("STRING", "\ud800", "surrogates not allowed"),
        ("STRING", "x" * 65_537, "65,537 bytes, at most 65,536"),
        ("VARCHAR", "1234567", "7 characters"),
        ("BINARY", "é東", "latin-1"),
        ("BINARY", 1, "a text is needed"),
        ("STRING", b"\xff", "utf-8"),
        ("BINARY", "x" * 65_537, "65,537 bytes"),
        ("DATE", "0000-00-00", "is no day"),
        ("DATE", 5, "is no day"),
        ("UNIXTIME_MICROS", "0000-00-00 00:00:00", "is no time"),
        ("UNIXTIME_MICROS", "9" * 30, "out of range"),
        ("UNIXTIME_MICROS", True, "is no time"),
        ("UNIXTIME_MICROS", [], "is no time"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(type_: str, value: Any, reason: str) -> None:
    with pytest.raises((ValueError, TypeError, DataError), match=reason):
        convert(type_, value, precision=10, scale=2, length=6)


@pytest.mark.parametrize(
    ("mode", "text", "data"), [("base64", "AP8=", b"\0\xff"), ("hex", "00fF", b"\0\xff"), ("latin1", "\0ÿ", b"\0\xff")]
)
def test_bytes_are_read_as_the_source_wrote_them(mode: str, text: str, data: bytes) -> None:
    convert = converter_for(ColumnSpec("c", "BINARY"), cached_micros(PARSER), mode)
    assert convert(text) == data
    assert convert(b"\0") == b"\0"


@pytest.mark.parametrize(("mode", "text"), [("base64", "A"), ("base64", "é==="), ("hex", "0"), ("hex", "xx")])
def test_texts_of_another_mode_are_refused(mode: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"option binary\.mode"):
        converter_for(ColumnSpec("c", "BINARY"), cached_micros(PARSER), mode)(text)


def test_a_varchar_is_counted_in_characters() -> None:
    assert convert("VARCHAR", "東京東京東京", length=6) == "東京東京東京".encode()


def test_days_come_back() -> None:
    assert to_python(ColumnSpec("c", "DATE"), convert("DATE", "2024-02-29")) == date(2024, 2, 29)


def test_fields_go_to_columns_of_their_name_whatever_the_case() -> None:
    write = only(mapper().writes(record(), change(ROW | {"other": "1"})))
    assert (write.kind, write.values, write.key, write.ts_us) == (OpKind.UPSERT, [b"a", 1, b"x", 2, 3], (b"a", 1), 9)


def test_the_exact_name_wins_over_one_of_other_case() -> None:
    assert only(mapper().writes(record(), change(ROW | {"s": "exact"}))).values[2] == b"exact"


def test_unknown_fields_are_told_once() -> None:
    by_name = mapper()
    row = ROW | {"other": "1"}
    assert by_name.unknown_fields(row) == {"other"}
    assert by_name.unknown_fields(row) == set()
    assert mapper(mapping="id=value.a").unknown_fields(row) == set()


def test_null_and_absent_are_not_the_same() -> None:
    row = ROW | {"S": None}
    assert only(mapper().writes(record(), change(row))).values[2] is None
    del row["S"]
    assert only(mapper().writes(record(), change(row))).values[2] is UNSET


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ID": None}, r"table m\.t, column id STRING: key column is null"),
        ({"must": None}, r"table m\.t, column must INT8: NOT NULL column without default is null"),
        ({"has": None}, r"table m\.t, column has INT8: NOT NULL column is null"),
        ({"must": "x" * 99}, r"table m\.t, column must INT8: 'x{56}\.\.\.: not a number"),
        ({"ID": "x" * 16_379}, r"column id STRING: the encoded key has 16,385 bytes"),
        ({"ID": "\0" * 8_190}, r"column id STRING: the encoded key has 16,386 bytes"),
    ],
)
def test_rows_that_kudu_would_refuse_are_refused_here(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        mapper().writes(record(), change(ROW | changes))


@pytest.mark.parametrize(("absent", "fits"), [("ID", False), ("must", False), ("has", True), ("S", True)])
def test_absent_columns_pass_where_they_have_a_default_or_may_be_null(absent: str, fits: bool) -> None:
    row = {name: value for name, value in ROW.items() if name != absent}
    if fits:
        assert only(mapper().writes(record(), change(row))).values.count(UNSET) == 1
    else:
        with pytest.raises(DataError, match=f"column {absent.lower()} .*is missing in the row"):
            mapper().writes(record(), change(row))


def test_a_delete_needs_the_key_alone() -> None:
    write = only(mapper().writes(record(), change({"id": "a", "no": 1, "must": "not a number"}, "DELETE")))
    assert (write.kind, write.key, write.values[2:]) == (OpKind.DELETE_IGNORE, (b"a", 1), [UNSET] * 3)
    assert mapper(deletes=False).writes(record(), change({}, "DELETE")) == []


def test_a_key_change_is_a_delete_and_an_upsert() -> None:
    delete, upsert = mapper().writes(record(), change(ROW, "UPDATE", old={"no": "0"}))
    assert (delete.kind, delete.key, upsert.kind, upsert.key) == (
        OpKind.DELETE_IGNORE,
        (b"a", 0),
        OpKind.UPSERT,
        (b"a", 1),
    )
    assert len(mapper().writes(record(), change(ROW, "UPDATE", old={"S": "y"}))) == 1
    assert len(mapper(deletes=False).writes(record(), change(ROW, "UPDATE", old={"no": "0"}))) == 1
    never_stored = change(ROW, "UPDATE", old={"no": None})
    assert [write.kind for write in mapper().writes(record(), never_stored)] == [OpKind.UPSERT]


def test_a_mapping_takes_from_everywhere_in_the_record() -> None:
    table = Table("t", (KEY, *(ColumnSpec(name, "INT64", nullable=True) for name in "abcde")))
    mapping = "id=key.id, a=value.x, b=header.h, c=timestamp, d=now(), e=header.none"
    write = only(mapper(table, mapping).writes(record(key='{"id":"k"}'), change({"x": "1"})))
    assert write.values[:4] == [b"k", 1, 5, 1_700_000_000_000]
    assert write.values[4] > 1_700_000_000_000
    assert write.values[5] is UNSET
    deep = Table("t", (KEY, ColumnSpec("a", "INT32", nullable=True), ColumnSpec("b", "INT32", nullable=True)))
    nested = mapper(deep, "id=key.k.id, a=value.x.y, b=value.x.z")
    assert only(nested.writes(record(key='{"k":{"id":"k"}}'), change({"x": {"y": 1}}))).values == [b"k", 1, UNSET]
    assert only(nested.writes(record(key={"k.id": "k"}), change({"x.y": 2}))).values == [b"k", 2, UNSET]
    whole = Table("t", (KEY,))
    assert only(mapper(whole, "id=key").writes(record(key=b"k"), change({}))).values == [b"k"]
    assert only(mapper(whole, "id=key.id").writes(record(key={"id": "k"}), change({}))).values == [b"k"]
    with pytest.raises(DataError, match="column id STRING"):
        mapper(whole, "id=key.id").writes(record(key="{"), change({}))


def test_insert_ignore_is_a_mode() -> None:
    assert only(mapper(mode="insert-ignore").writes(record(), change(ROW, "UPDATE"))).kind is OpKind.INSERT_IGNORE


def test_every_fault_of_a_mapping_is_told() -> None:
    table = Table("m.t", (*TABLE.columns, ColumnSpec("odd", "NESTED", nullable=True)))
    options = TableOptions("t", "m.t", parse_mapping("o", "id=value.a, mist=value.b, S=value.c"))
    assert mapping_errors(table, options) == [
        "Table m.t: column odd has the type NESTED, which the sink cannot write",
        "Option topic.t.m.t.mapping: table m.t has no column mist; did you mean must?",
        "Option topic.t.m.t.mapping: table m.t has no column S",
        "Option topic.t.m.t.mapping: table m.t: key column no is not mapped",
        "Option topic.t.m.t.mapping: table m.t: NOT NULL column without default must is not mapped",
    ]
    assert mapping_errors(TABLE, TableOptions("t", "m.t")) == []
