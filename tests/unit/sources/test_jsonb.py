from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sources.mysql.jsonb import json_text


def encode(value: Any, *, large: bool) -> tuple[int, bytes]:
    """MySQL's storage format, written the plain way: kind and bytes."""
    if value is None or isinstance(value, bool):
        return 4, bytes([0 if value is None else 1 if value else 2])
    if isinstance(value, int):
        return (5, struct.pack("<h", value)) if -(2**15) <= value < 2**15 else (9, struct.pack("<q", value))
    if isinstance(value, float):
        return 0x0B, struct.pack("<d", value)
    if isinstance(value, str):
        data = value.encode()
        return 0x0C, _length(len(data)) + data
    is_array = isinstance(value, list)
    return (2 if is_array else 0) + large, _container(value, is_array, large=large)


def _length(size: int) -> bytes:
    out = bytearray()
    while size >= 128:
        out.append(size & 127 | 128)
        size >>= 7
    return bytes([*out, size])


def _container(value: Any, is_array: bool, *, large: bool) -> bytes:
    word, width = ("<I", 4) if large else ("<H", 2)
    keys = [] if is_array else [key.encode() for key in value]
    items = value if is_array else list(value.values())
    at = 2 * width + len(keys) * (width + 2) + len(items) * (1 + width)
    key_entries, key_data = b"", b""
    for key in keys:
        key_entries += struct.pack(word, at + len(key_data)) + struct.pack("<H", len(key))
        key_data += key
    at += len(key_data)
    entries, data = b"", b""
    for item in items:
        kind, raw = encode(item, large=large)
        if kind in (4, 5):
            entries += bytes([kind]) + raw.ljust(width, b"\0")
        else:
            entries += bytes([kind]) + struct.pack(word, at + len(data))
            data += raw
    size = at + len(data)
    return struct.pack(word, len(items)) + struct.pack(word, size) + key_entries + entries + key_data + data


documents = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=200),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=9), inner, max_size=5),
    max_leaves=20,
)


@given(documents, st.booleans())
def test_a_document_reads_back_as_itself(document: Any, large: bool) -> None:
    kind, data = encode(document, large=large)
    assert json.loads(json_text(bytes([kind]) + data)) == document


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"b": [1, 2.5], "a": None}, '{"b": [1, 2.5], "a": null}'),
        ('q"\\\n\x01\x7f\xa0中/', '"q\\"\\\\\\n\\u0001\\u007f\\u00a0中/"'),
        ([], "[]"),
        ({}, "{}"),
        (1e20, "1.0E20"),
    ],
)
def test_the_text_is_the_servers(document: Any, text: str) -> None:
    kind, data = encode(document, large=False)
    assert json_text(bytes([kind]) + data) == text


def test_a_value_without_bytes_is_empty() -> None:
    assert json_text(b"") == ""


@pytest.mark.parametrize("data", [b"\x63", b"\x00\x05", b"\x04\x09", b"\x0c\xff"])
def test_malformed_values_are_refused(data: bytes) -> None:
    with pytest.raises((ValueError, struct.error)):
        json_text(data)


def test_a_value_nested_too_deep_is_refused() -> None:
    document: list[Any] = []
    for _ in range(150):
        document = [document]
    kind, data = encode(document, large=True)
    with pytest.raises(ValueError, match="too deep"):
        json_text(bytes([kind]) + data)
