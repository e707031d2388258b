from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from connectors import DataError
from connectors.formats.canal import RowChange, changes_of, decode_object, encode_object
from connectors.formats.canal_converter import CanalJsonConverter


def flat(**changes: Any) -> dict[str, Any]:
    message = {
        "data": [{"id": "1", "name": "z"}, {"id": "2", "name": None}],
        "old": None,
        "database": "m",
        "table": "p",
        "type": "INSERT",
        "isDdl": False,
        "pkNames": ["id"],
        "mysqlType": {"id": "int", "name": "varchar(20)"},
    }
    return message | changes


def test_each_row_of_a_message_is_a_change_with_rising_time() -> None:
    changes = changes_of(flat(), [("connect.ts_us", b"100"), ("connect.position", b"b.1:4:0")])
    assert [(c.op, c.row["id"], c.ts_us, c.position) for c in changes] == [
        ("INSERT", "1", 100, "b.1:4:0"),
        ("INSERT", "2", 101, "b.1:4:0"),
    ]
    assert changes[0].key == ("id",)


def test_an_update_carries_the_former_values() -> None:
    change = changes_of(flat(type="UPDATE", data=[{"id": "2", "name": "z"}], old=[{"id": "1"}]))[0]
    assert change.old == {"id": "1"}
    assert change.key_before() == {"id": "1", "name": "z"}


def test_a_plain_object_is_one_upsert() -> None:
    assert changes_of({"aid": "x", "type": "t"}) == [RowChange("UPSERT", "", "", {"aid": "x", "type": "t"})]


@pytest.mark.parametrize("kind", ["ALTER", "QUERY", "XACOMMIT"])
def test_messages_without_rows_have_no_changes(kind: str) -> None:
    assert changes_of(flat(type=kind, isDdl=kind == "ALTER", data=None)) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": None}, "data must be an array of objects"),
        ({"data": [1]}, "data must be an array of objects"),
        ({"type": "UPDATE", "old": [{}]}, "data has 2 rows, old has 1"),
    ],
)
def test_a_message_of_the_wrong_shape_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        changes_of(flat(**changes))


def test_a_header_that_is_no_number_is_refused() -> None:
    with pytest.raises(DataError, match=r"connect\.ts_us"):
        changes_of(flat(), [("connect.ts_us", b"now")])


@pytest.mark.parametrize("data", [b"{", b"", b"[1]", b"null", b"1", b'{"a":NaN}', b"\xff"])
def test_anything_but_a_json_object_is_refused(data: bytes) -> None:
    with pytest.raises(DataError, match="JSON"):
        decode_object(data)


def test_the_converter_round_trips_a_flat_message() -> None:
    converter = CanalJsonConverter()
    data = converter.from_connect("t", [], flat())
    assert data is not None
    assert orjson.loads(data) == flat()
    assert converter.to_connect("t", [], data) == changes_of(flat())
    assert converter.to_connect("t", [], None) is None
    assert converter.from_connect("t", [], b"{}") == b"{}"


@pytest.mark.parametrize("text", ["12.30", "0.1", "123456789012345678901234567890.12", "1E-9", "-0.00"])
def test_numbers_with_a_fraction_keep_their_digits(text: str) -> None:
    data = f'{{"energy":{text},"deep":[{{"n":{text}}}],"aid":"x","n":7}}'.encode()
    value = decode_object(data)
    assert value["energy"] == Decimal(text)
    assert str(value["energy"]) == str(Decimal(text))
    assert value["n"] == 7
    assert decode_object(encode_object(value)) == value
    assert text.encode() in encode_object(value)


@pytest.mark.parametrize("bad", [object(), Decimal("NaN"), {1, 2}])
def test_what_json_cannot_say_is_refused(bad: object) -> None:
    with pytest.raises(DataError, match="cannot be written as JSON"):
        encode_object({"a": bad})
