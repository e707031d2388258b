from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.api.errors import DataError
from connectors.api.record import SinkRecord, SourceRecord
from connectors.api.transform import Transform
from connectors.formats.canal import RowChange
from connectors.transforms.cast import Cast, CastKey
from connectors.transforms.extract_field import ExtractField
from connectors.transforms.replace_field import ReplaceField, ReplaceFieldKey
from connectors.transforms.timestamp_converter import TimestampConverter
from connectors.transforms.values import Struct


def apply(transform: Transform, value: Any, key: Any = None, **options: str) -> Any:
    transform.configure({name.replace("_", "."): text for name, text in options.items()})
    result = transform.apply(SinkRecord("t", 0, 7, key, value, [], 1000))
    assert result is not None
    return result


def flat(**changes: Any) -> dict[str, Any]:
    message = {
        "data": [{"id": "1", "name": "z"}, {"id": "2", "name": None}],
        "old": [{"name": "y"}, {"id": "9"}],
        "database": "m",
        "table": "p",
        "type": "UPDATE",
        "isDdl": False,
        "pkNames": ["id"],
        "mysqlType": {"id": "int", "name": "varchar(20)"},
        "sqlType": {"id": 4, "name": 12},
    }
    return message | changes


def test_a_rename_in_a_flat_message_reaches_rows_former_values_key_names_and_types() -> None:
    message = flat()
    value = apply(ReplaceField(), message, renames="id:no").value
    assert value == flat(
        data=[{"no": "1", "name": "z"}, {"no": "2", "name": None}],
        old=[{"name": "y"}, {"no": "9"}],
        pkNames=["no"],
        mysqlType={"no": "int", "name": "varchar(20)"},
        sqlType={"no": 4, "name": 12},
    )
    assert message == flat()


def test_a_dropped_column_leaves_no_trace_in_a_flat_message() -> None:
    value = apply(ReplaceField(), flat(), exclude="name").value
    assert value["data"] == [{"id": "1"}, {"id": "2"}]
    assert value["old"] == [{}, {"id": "9"}]
    assert value["mysqlType"] == {"id": "int"}
    assert value["sqlType"] == {"id": 4}


def test_encoded_messages_are_decoded_and_encoded_again() -> None:
    value = apply(ReplaceField(), json.dumps(flat()).encode(), exclude="name").value
    assert isinstance(value, bytes)
    assert json.loads(value)["data"] == [{"id": "1"}, {"id": "2"}]


def test_encoded_messages_that_do_not_change_stay_the_same_bytes() -> None:
    data = b'{ "a" : 1.10 }'
    assert apply(ReplaceField(), data, exclude="b").value is data


def test_numbers_of_encoded_objects_keep_their_digits() -> None:
    assert apply(ReplaceField(), b'{"a": 1.10, "b": 1}', exclude="b").value == b'{"a":1.10}'


def test_row_changes_are_replaced_and_the_former_ones_stay_as_they_were() -> None:
    change = RowChange(
        "UPDATE", "m", "p", {"id": "1", "n": "z"}, {"n": "y"}, ("id",), 5, "b:1", {"id": "int", "n": "x"}
    )
    value = apply(ReplaceField(), [change], renames="id:no,n:m").value
    wanted = RowChange(
        "UPDATE", "m", "p", {"no": "1", "m": "z"}, {"m": "y"}, ("no",), 5, "b:1", {"no": "int", "m": "x"}
    )
    assert value == [wanted]
    assert change.row == {"id": "1", "n": "z"}
    assert change.key == ("id",)


def test_the_values_of_a_flat_message_stay_text() -> None:
    message = flat(data=[{"a": "1", "b": "0.10", "c": "true"}], old=[None])
    value = apply(Cast(), message, spec="a:int32,b:float64,c:boolean").value
    assert value["data"] == [{"a": "1", "b": "0.1", "c": "1"}]
    assert value["old"] == [None]


def test_row_changes_hold_times_as_text_that_sinks_read() -> None:
    change = RowChange("UPSERT", "", "", {"at": 0})
    value = apply(TimestampConverter(), [change], field="at", target_type="Timestamp").value
    assert value[0].row == {"at": "1970-01-01 00:00:00+00:00"}
    plain = apply(TimestampConverter(), {"at": 0}, field="at", target_type="Timestamp").value
    assert plain == {"at": datetime(1970, 1, 1, tzinfo=UTC)}


@pytest.mark.parametrize("value", [[], flat(isDdl=True, data=None, old=None, type="ALTER"), flat(data=None)])
def test_messages_without_rows_pass_unchanged(value: Any) -> None:
    assert apply(ReplaceField(), value, exclude="id").value is value


def test_a_tombstone_passes() -> None:
    assert apply(ReplaceField(), None, exclude="id").value is None


@pytest.mark.parametrize("value", [5, ["x"], b"5", "text"])
def test_a_value_without_fields_is_an_error_that_names_the_transform(value: Any) -> None:
    with pytest.raises(DataError, match=r"Transform ReplaceField\$Value: value: "):
        apply(ReplaceField(), value, exclude="id")


def test_a_row_change_cannot_become_a_single_value() -> None:
    with pytest.raises(DataError, match="must stay a row"):
        apply(ExtractField(), [RowChange("UPSERT", "", "", {"a": 1})], field="a")


def test_a_json_text_as_key_is_changed_as_an_object() -> None:
    assert apply(ReplaceFieldKey(), None, '{"a": 1, "b": 2}', exclude="a").key == '{"b":2}'
    assert apply(ReplaceFieldKey(), None, {"a": 1, "b": 2}, exclude="a").key == {"b": 2}


def test_the_given_record_is_never_changed() -> None:
    record = SourceRecord("t", {"a": "1"}, key="5", source_offset={"pos": 4})
    transform = Cast()
    transform.configure({"spec": "a:int8"})
    result = transform.apply(record)
    assert record.value == {"a": "1"}
    assert result == SourceRecord("t", {"a": 1}, key="5", source_offset={"pos": 4})


def test_heartbeats_pass_every_transform_of_keys_and_values() -> None:
    record = SourceRecord.heartbeat({"s": 1}, {"pos": 4})
    transform = CastKey()
    transform.configure({"spec": "int8"})
    assert transform.apply(record) is record


def test_the_text_of_a_struct_is_json() -> None:
    assert str(Struct(a=Decimal("1.10"), b="x")) == '{"a":1.10,"b":"x"}'
