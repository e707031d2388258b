from __future__ import annotations

from typing import Any

import pytest

from connectors.api.errors import ConfigError, DataError
from connectors.api.record import SinkRecord, SourceRecord
from connectors.api.transform import Transform
from connectors.formats.canal import RowChange
from connectors.transforms.extract_field import ExtractField, ExtractFieldKey
from connectors.transforms.filter import Filter
from connectors.transforms.flatten import Flatten
from connectors.transforms.hoist_field import HoistField, HoistFieldKey
from connectors.transforms.insert_field import InsertField, InsertFieldKey
from connectors.transforms.mask_field import MaskField
from connectors.transforms.replace_field import ReplaceField
from connectors.transforms.set_schema_metadata import SetSchemaMetadata, SetSchemaMetadataKey
from connectors.transforms.value_to_key import ValueToKey


def apply(transform: Transform, value: Any, key: Any = None, **options: str) -> SinkRecord:
    transform.configure({name.replace("_", "."): text for name, text in options.items()})
    result = transform.apply(SinkRecord("test", 3, 42, key, value, [], 1000))
    assert result is not None
    return result


def change(row: dict[str, Any], **facts: Any) -> RowChange:
    return RowChange("UPDATE", "m", "p", row, **facts)


def test_a_field_is_extracted() -> None:
    assert apply(ExtractField(), {"magic": 42}, field="magic").value == 42
    assert apply(ExtractField(), {"magic": 42}, field="nothing").value is None
    assert apply(ExtractField(), None, field="magic").value is None
    assert apply(ExtractField(), {"a": {"b": 1}}, field="a.b", field_syntax_version="V2").value == 1
    assert apply(ExtractField(), b'{"a": "x"}', field="a").value == b'"x"'


def test_a_key_is_extracted_from_json_text_without_quotes() -> None:
    assert apply(ExtractFieldKey(), None, '{"id": "A1"}', field="id").key == "A1"
    assert apply(ExtractFieldKey(), None, '{"id": 7}', field="id").key == "7"
    assert apply(ExtractFieldKey(), None, {"id": 7}, field="id").key == 7


def test_an_object_in_a_row_becomes_the_row() -> None:
    given = change({"after": {"id": 1}, "op": "u"}, key=("op",))
    value = apply(ExtractField(), [given], field="after").value
    assert value == [change({"id": 1})]


def test_filter_drops_all_but_heartbeats() -> None:
    transform = Filter()
    transform.configure({})
    assert transform.apply(SourceRecord("t", 1)) is None
    heartbeat = SourceRecord.heartbeat({}, {})
    assert transform.apply(heartbeat) is heartbeat


def test_nested_objects_are_flattened_and_arrays_stay() -> None:
    value = {"a": {"b": 1, "c": {"d": [{"e": 2}]}}, "f": None}
    assert apply(Flatten(), value).value == {"a.b": 1, "a.c.d": [{"e": 2}], "f": None}
    assert apply(Flatten(), value, delimiter="#").value == {"a#b": 1, "a#c#d": [{"e": 2}], "f": None}
    with pytest.raises(DataError, match=r"become a\.b"):
        apply(Flatten(), {"a": {"b": 1}, "a.b": 2})


def test_the_whole_is_hoisted_into_a_field() -> None:
    assert apply(HoistField(), 42, field="magic").value == {"magic": 42}
    assert apply(HoistField(), None, field="magic").value == {"magic": None}
    assert apply(HoistField(), b'{"a":1}', field="m").value == b'{"m":{"a":1}}'
    assert apply(HoistField(), [change({"a": 1}, old={"a": 0}, key=("a",))], field="m").value == [
        change({"m": {"a": 1}}, old={"m": {"a": 0}})
    ]
    key = apply(HoistFieldKey(), 1, "42", field="id").key
    assert key == {"id": "42"}
    assert str(key) == '{"id":"42"}'


def test_facts_about_the_record_are_inserted() -> None:
    options = {
        "topic_field": "t!",
        "partition_field": "p?",
        "offset_field": "o",
        "timestamp_field": "ts",
        "static_field": "s",
        "static_value": "x",
    }
    value = apply(InsertField(), {"magic": 1}, **options).value
    assert value == {"magic": 1, "t": "test", "p": 3, "o": 42, "ts": 1000, "s": "x"}
    assert apply(InsertField(), None, **options).value is None
    key = apply(InsertFieldKey(), None, {"k": 1}, topic_field="t").key
    assert key == {"k": 1, "t": "test"}


def test_inserted_fields_do_not_count_as_former_values() -> None:
    value = apply(InsertField(), [change({"a": 1}, old={"a": 0})], topic_field="t").value
    assert value == [change({"a": 1, "t": "test"}, old={"a": 0})]


def test_a_record_of_a_source_has_no_offset_to_insert() -> None:
    transform = InsertField()
    transform.configure({"offset.field": "o"})
    with pytest.raises(DataError, match="no offset yet"):
        transform.apply(SourceRecord("t", {}))


@pytest.mark.parametrize("options", [{}, {"static.field": "a"}, {"static.value": "a"}, {"topic": "t"}])
def test_insert_field_needs_a_field(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        InsertField().configure(options)


def test_masked_fields_get_an_empty_value_of_their_type() -> None:
    value: dict[str, Any] = {"s": "x", "i": 5, "f": 1.5, "b": True, "l": [1], "d": {"a": 1}, "n": None, "other": "y"}
    masked = apply(MaskField(), value, fields="s,i,f,b,l,d,n,missing").value
    assert masked == {"s": "", "i": 0, "f": 0.0, "b": False, "l": [], "d": {}, "n": None, "other": "y"}


def test_masked_texts_fit_their_mysql_types() -> None:
    types = {"i": "int unsigned", "d": "datetime(3)", "t": "varchar(9)"}
    row = {"i": "5", "d": "2020-01-01 00:00:00.123", "t": "x"}
    value = apply(MaskField(), [change(row, old={"i": "4"}, mysql_type=types)], fields="i,d,t").value
    assert value[0].row == {"i": "0", "d": "1970-01-01 00:00:00", "t": ""}
    assert value[0].old == {"i": "0"}


def test_a_replacement_takes_the_type_of_the_field() -> None:
    assert apply(MaskField(), {"s": "x", "i": 5}, fields="s,i", replacement="123").value == {"s": "123", "i": 123}
    given: Any
    for given in ({"a": True}, {"a": []}):
        with pytest.raises(DataError, match="field a"):
            apply(MaskField(), given, fields="a", replacement="1")
    with pytest.raises(DataError, match="give a number"):
        apply(MaskField(), {"a": 1}, fields="a", replacement="x")


def test_fields_are_excluded_included_and_renamed() -> None:
    value = {"dont": "x", "abc": 42, "foo": True, "etc": "e"}
    options = {"exclude": "dont", "renames": "abc:xyz,foo:bar"}
    assert apply(ReplaceField(), value, **options).value == {"xyz": 42, "bar": True, "etc": "e"}
    options = {"include": "abc,foo", "renames": "abc:xyz,foo:bar"}
    assert apply(ReplaceField(), value, **options).value == {"xyz": 42, "bar": True}
    assert apply(ReplaceField(), {"a": 1, "b": 2}, renames="a:b,b:a").value == {"b": 1, "a": 2}
    with pytest.raises(DataError, match="two fields become b"):
        apply(ReplaceField(), {"a": 1, "b": 2}, renames="a:b")


@pytest.mark.parametrize("renames", ["a", "a:", ":b", "a:b:c", "a:x,b:x", "a:x,a:y"])
def test_renames_that_cannot_be_read_are_refused(renames: str) -> None:
    with pytest.raises(ConfigError):
        ReplaceField().configure({"renames": renames})


@pytest.mark.parametrize("options", [{}, {"schema.name": "n"}, {"schema.version": "1"}])
def test_schema_metadata_are_refused(options: dict[str, str]) -> None:
    for kind in (SetSchemaMetadata, SetSchemaMetadataKey):
        with pytest.raises(ConfigError, match="no schema"):
            kind().configure(options)


def test_the_key_is_made_of_fields_of_the_value() -> None:
    key = apply(ValueToKey(), {"a": 1, "b": 2, "c": 3}, fields="a,b").key
    assert key == {"a": 1, "b": 2}
    assert str(key) == '{"a":1,"b":2}'
    assert apply(ValueToKey(), [change({"a": "1", "b": 2})], fields="a").key == {"a": "1"}
    assert apply(ValueToKey(), [], "former", fields="a").key == "former"
    assert apply(ValueToKey(), b'{"a": 1}', fields="a").key == {"a": 1}


@pytest.mark.parametrize("value", [None, {"b": 1}, 5, [change({"a": 1}), change({"a": 2})]])
def test_a_value_that_gives_no_key_is_an_error(value: Any) -> None:
    with pytest.raises(DataError, match="Transform ValueToKey: "):
        apply(ValueToKey(), value, fields="a")


def test_text_and_bytes_that_hold_no_object_are_hoisted_as_text() -> None:
    assert apply(HoistFieldKey(), None, "{x", field="id").key == {"id": "{x"}
    assert apply(HoistFieldKey(), None, '{"a":1}', field="id").key == '{"id":{"a":1}}'
    assert apply(HoistFieldKey(), None, b"A1", field="id").key == b'{"id":"A1"}'
    assert apply(HoistField(), [], field="id").value == []
    with pytest.raises(DataError, match="UTF-8"):
        apply(HoistFieldKey(), None, b"\xff", field="id")


def test_an_object_without_nested_ones_stays_the_same() -> None:
    value = {"a": 1}
    assert apply(Flatten(), value).value is value
