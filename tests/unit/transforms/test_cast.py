from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.api.errors import ConfigError, DataError
from connectors.api.record import SourceRecord
from connectors.transforms.cast import Cast, CastKey, CastValue


def cast(spec: str, value: Any, version: str = "V1") -> Any:
    transform = CastValue()
    transform.configure({"spec": spec, "field.syntax.version": version})
    result = transform.apply(SourceRecord("t", value))
    assert result is not None
    return result.value


@pytest.mark.parametrize(
    ("type_", "value", "wanted"),
    [
        ("int8", "-128", -128),
        ("int16", 3.9, 3),
        ("int32", -3.9, -3),
        ("int64", True, 1),
        ("int64", Decimal("12.5"), 12),
        ("int64", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), 1000),
        ("int32", date(1970, 1, 3), 2),
        ("float64", "1.5", 1.5),
        ("float32", 0.1, 0.10000000149011612),
        ("boolean", "TRUE", True),
        ("boolean", "false", False),
        ("boolean", 2, True),
        ("boolean", "0", False),
        ("string", True, "true"),
        ("string", 12, "12"),
        ("string", b"\x01\x02", "AQI="),
        ("string", None, None),
        ("INT8", "7", 7),
    ],
)
def test_a_whole_value_is_cast(type_: str, value: Any, wanted: Any) -> None:
    result = cast(type_, value)
    assert result == wanted
    assert type(result) is type(wanted)


def test_only_the_named_fields_are_cast() -> None:
    assert cast("a:int32, b:string", {"a": "1", "b": 2, "c": "3", "d": None}) == {"a": 1, "b": "2", "c": "3", "d": None}


def test_a_field_that_is_missing_stays_missing() -> None:
    assert cast("x:int32", {"a": "1"}) == {"a": "1"}


def test_a_nested_field_is_cast_with_v2_syntax() -> None:
    assert cast("a.`b.c`:int8", {"a": {"b.c": "1"}}, "V2") == {"a": {"b.c": 1}}
    assert cast("a.b:int8", {"a.b": "1", "a": {"b": "2"}}) == {"a.b": 1, "a": {"b": "2"}}


@pytest.mark.parametrize(("type_", "value"), [("int8", 128), ("int32", "1.5"), ("int64", "x"), ("float64", "x")])
def test_a_value_that_cannot_be_cast_names_field_and_type_but_not_the_data(type_: str, value: Any) -> None:
    with pytest.raises(DataError, match=rf"Transform Cast\$Value: field a: .* {type_}"):
        cast(f"a:{type_}", {"a": value})


def test_infinity_is_no_integer() -> None:
    with pytest.raises(DataError):
        cast("int64", float("inf"))


def test_the_key_is_cast_as_a_whole() -> None:
    transform = CastKey()
    transform.configure({"spec": "int64"})
    result = transform.apply(SourceRecord("t", "5", key="42"))
    assert result is not None
    assert (result.key, result.value) == (42, "5")


@pytest.mark.parametrize("spec", ["", "a:int31", "int8,a:int8", "int8,int16", ":int8"])
def test_a_specification_that_cannot_be_read_is_refused(spec: str) -> None:
    with pytest.raises(ConfigError):
        Cast().configure({"spec": spec})
