from __future__ import annotations

from typing import Any

import pytest

from connectors.api.errors import ConfigError, DataError
from connectors.api.record import SourceRecord
from connectors.api.transform import Transform
from connectors.formats.canal import RowChange
from connectors.transforms.headers import DropHeaders, HeaderFrom, HeaderFromKey, InsertHeader


def apply(transform: Transform, record: SourceRecord, **options: str) -> SourceRecord:
    transform.configure({name.replace("_", "."): text for name, text in options.items()})
    result = transform.apply(record)
    assert result is not None
    return result


def test_all_headers_of_the_names_are_dropped() -> None:
    record = SourceRecord("t", 1, headers=[("a", b"1"), ("b", b"2"), ("a", b"3"), ("c", b"4")])
    assert apply(DropHeaders(), record, headers="a,c").headers == [("b", b"2")]
    assert len(record.headers) == 4


def test_a_header_is_added_behind_those_of_the_same_name() -> None:
    record = SourceRecord("t", 1, headers=[("a", b"1")])
    assert apply(InsertHeader(), record, header="a", value_literal="x").headers == [("a", b"1"), ("a", b"x")]
    assert record.headers == [("a", b"1")]


def test_fields_are_copied_to_headers() -> None:
    record = SourceRecord("t", {"a": "x", "b": 2, "c": None, "d": {"e": 1}})
    result = apply(HeaderFrom(), record, fields="a,b,c,d,z", headers="ha,hb,hc,hd,hz", operation="copy")
    assert result.headers == [("ha", b"x"), ("hb", b"2"), ("hd", b'{"e":1}')]
    assert result.value == record.value


def test_fields_are_moved_to_headers() -> None:
    record = SourceRecord("t", {"a": "x"}, key={"k": 1, "l": 2})
    result = apply(HeaderFromKey(), record, fields="k", headers="h", operation="move")
    assert (result.headers, result.key, result.value) == ([("h", b"1")], {"l": 2}, {"a": "x"})


def test_a_nested_field_is_moved_with_v2_syntax() -> None:
    options = {"fields": "a.b", "headers": "h", "operation": "move", "field_syntax_version": "V2"}
    result = apply(HeaderFrom(), SourceRecord("t", {"a": {"b": True, "c": 1}}), **options)
    assert (result.headers, result.value) == ([("h", b"true")], {"a": {"c": 1}})


def changes(*values: Any) -> SourceRecord:
    return SourceRecord("t", [RowChange("INSERT", "m", "p", {"a": value}, key=("a",)) for value in values])


def test_the_rows_of_a_message_must_agree_on_a_header() -> None:
    options = {"fields": "a", "headers": "h", "operation": "move"}
    result = apply(HeaderFrom(), changes("1", "1"), **options)
    assert result.headers == [("h", b"1")]
    assert [(change.row, change.key) for change in result.value] == [({}, ()), ({}, ())]
    with pytest.raises(DataError, match="field a differs"):
        apply(HeaderFrom(), changes("1", "2"), **options)


def test_a_tombstone_gets_no_headers() -> None:
    record = SourceRecord("t", None)
    assert apply(HeaderFrom(), record, fields="a", headers="h", operation="copy") is record


@pytest.mark.parametrize(
    "options",
    [
        {"fields": "a,b", "headers": "h", "operation": "copy"},
        {"fields": "a", "headers": "h", "operation": "cut"},
        {"fields": "", "headers": "", "operation": "copy"},
        {"fields": "a", "headers": "h"},
    ],
)
def test_wrong_options_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        HeaderFrom().configure(options)
