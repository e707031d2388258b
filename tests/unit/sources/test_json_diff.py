from __future__ import annotations

import struct
from typing import Any

import pytest

from connectors.sources.mysql.json_diff import _apply


def text(value: str) -> bytes:
    raw = value.encode()
    return bytes([0x0C, len(raw)]) + raw


def number(value: int) -> bytes:
    return b"\x05" + struct.pack("<h", value)


def array(*items: int) -> bytes:
    body = struct.pack("<HH", len(items), 4 + 3 * len(items))
    return b"\x02" + body + b"".join(b"\x05" + struct.pack("<h", item) for item in items)


def keyed(entries: dict[str, int]) -> bytes:
    """An object of numbers, its keys in the server's order."""
    keys = [key.encode() for key in entries]
    at = 4 + 7 * len(keys)
    places = []
    for key in keys:
        places.append(struct.pack("<HH", at, len(key)))
        at += len(key)
    values = b"".join(b"\x05" + struct.pack("<h", value) for value in entries.values())
    return b"\x00" + struct.pack("<HH", len(keys), at) + b"".join(places) + values + b"".join(keys)


def difference(operation: int, path: str, value: bytes = b"") -> bytes:
    raw = path.encode()
    head = bytes([operation, len(raw)]) + raw
    return head if operation == 2 else head + bytes([len(value)]) + value


@pytest.mark.parametrize(
    ("document", "differences", "expected"),
    [
        (keyed({"a": 1, "bb": 2}), [(0, "$.a", number(7))], '{"a": 7, "bb": 2}'),
        (keyed({"a": 1, "bb": 2}), [(1, "$.c", text("x"))], '{"a": 1, "c": "x", "bb": 2}'),
        (keyed({"a": 1, "bb": 2}), [(2, "$.a")], '{"bb": 2}'),
        (keyed({"a b": 1}), [(0, '$."a b"', array(1, 2)), (1, '$."a b"[1]', number(9))], '{"a b": [1, 9, 2]}'),
        (array(1, 2, 3), [(2, "$[0]"), (0, "$[1]", text("q"))], '[2, "q"]'),
        (array(), [(1, "$[0]", number(1)), (1, "$[5]", number(2))], "[1, 2]"),
    ],
)
def test_differences_are_applied_in_their_order(document: bytes, differences: list[Any], expected: str) -> None:
    assert _apply(document, b"".join(difference(*each) for each in differences)) == expected


@pytest.mark.parametrize(
    "change", [(0, "$[0]", number(1)), (3, "$.a", number(1)), (0, "a", number(1)), (0, "$.x.y", number(1))]
)
def test_a_difference_that_does_not_fit_is_an_error(change: Any) -> None:
    with pytest.raises((ValueError, KeyError)):
        _apply(keyed({"a": 1}), difference(*change))
