"""Rows, records and the comparison of the job in examples/pojo."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

from examples.pojo.load import deleted, updated
from examples.pojo.pojo import Pojo, pojos, text_of
from examples.pojo.produce import record
from examples.pojo.verify import Row, compare_rows, expected_row

POJO = Pojo(7, 0, Decimal("12.30"), 1_559_186_400_007)


def test_rows_are_those_of_the_job() -> None:
    rows = list(pojos(1000))
    assert [row.aid for row in rows[:2]] == ["ID000-0", "ID000-1"]
    assert {(row.astyle, row.age, row.astatus) for row in rows} == {
        ("STYLE000-0", 13, "00"), ("STYLE000-1", 13, "01"), ("STYLE000-2", 26, "02"), ("STYLE000-3", 39, "03"),
        ("STYLE000-4", 52, "04"),
    }  # fmt: skip
    assert all(row.energy.as_tuple().exponent == -2 for row in rows)
    assert [(a.style, a.energy) for a in rows] == [(b.style, b.energy) for b in pojos(1000)]


def test_texts_are_of_shanghai_with_milliseconds() -> None:
    assert POJO.text == "2019-05-30 11:20:00.007"
    assert text_of(0) == "1970-01-01 08:00:00.000"


def test_a_record_has_camel_case_names_and_the_scale_of_its_decimal() -> None:
    data = record(POJO)
    assert b'"energy":12.30,' in data
    assert json.loads(data) == {
        "aid": "ID000-7", "aname": "NAME-7", "astyle": "STYLE000-0", "energy": 12.3, "age": 13,
        "tt": "2019-05-30T03:20:00.007Z", "logTime": 1_559_186_400_007, "createTime": "2019-05-30 11:20:00.007",
        "updateTime": "2019-05-30 11:20:00.007", "astatus": "00",
    }  # fmt: skip


def test_a_tenth_is_updated_and_a_hundredth_deleted() -> None:
    changed, gone = set(updated(0, 1000)), set(deleted(0, 1000))
    assert (len(changed), len(gone), len(changed & gone)) == (100, 10, 5)


SOURCE: dict[str, Any] = {
    "aid": "a", "astyle": "s", "aname": "n", "log_time": 1, "energy": Decimal("12.30"), "age": 3, "astatus": "0",
    "create_time": "1970-01-01 08:00:00.000", "update_time": "1970-01-01 08:00:00.000",
}  # fmt: skip
CHANGED = {**SOURCE, "aid": "b", "update_time": "1970-01-01 08:00:01.500"}


def sink_row(source: dict[str, Any], created: int | None = 5, updated: int | None = 5, **other: Any) -> Row:
    return (*expected_row({**source, **other}), created, updated)


def differences(*rows: Row, second: list[Row] | None = None) -> list[str]:
    sinks = {"one": rows} if second is None else {"one": rows, "two": second}
    result = compare_rows(map(expected_row, (SOURCE, CHANGED)), sinks)
    assert result.total == len(result.differences)
    return [re.sub(r" is .*", "", str(difference)) for difference in result.differences]


def test_equal_rows_have_no_difference() -> None:
    good = [sink_row(SOURCE), sink_row(CHANGED, 5, 9)]
    assert expected_row(CHANGED)[-2:] == (0, 1500)
    assert differences(*good, second=good[::-1]) == []


def test_each_kind_of_difference_is_found() -> None:
    a, b = sink_row(SOURCE), sink_row(CHANGED, 5, 9)
    assert differences(a) == ["one: b: row"]
    assert differences(a, b, a) == ["one: a: row"]
    assert differences(a, b, sink_row({**SOURCE, "aid": "c"})) == ["one: c: row"]
    assert differences(sink_row(SOURCE, energy=Decimal("12.3")), b) == ["one: a: energy"]
    assert differences(sink_row(SOURCE, aname=None), b) == ["one: a: aname"]
    assert differences(sink_row(SOURCE, create_time="1970-01-01 08:00:00.001"), b) == [
        "one: a: create_time", "one: a: ts_create_time",
    ]  # fmt: skip
    assert differences(a, sink_row(CHANGED, 9, 9)) == ["one: b: sys_create_time"]
    assert differences(a, sink_row(CHANGED, 9, 8)) == ["one: b: sys_create_time"]
    assert differences(sink_row(SOURCE, 5, 6), b) == ["one: a: sys_update_time"]
    assert differences(sink_row(SOURCE, None, 6), b) == ["one: a: sys_*"]
    assert differences(a, b, second=[a, sink_row(CHANGED, 6, 9)]) == ["two: b: sys_*"]


def test_many_differences_are_counted_and_few_are_kept() -> None:
    rows = (expected_row({**SOURCE, "aid": str(i)}) for i in range(3000))
    result = compare_rows(rows, {"one": []}, limit=5)
    assert (result.rows, result.total, len(result.differences)) == ({"expected": 3000, "one": 0}, 3000, 5)
