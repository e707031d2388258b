"""UPDATEs whose JSON documents are logged as differences (`binlog_row_value_options=PARTIAL_JSON`), made whole again.

The documents before the change are in the event, so those after it can be put together: the event becomes an ordinary
one, in which such a document stands as text behind a mark. Source: MySQL `rpl_record.cc`, `json_diff.cc`, and the
format of `PARTIAL_UPDATE_ROWS_EVENT`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import Any, Final

import orjson

from connectors.sources.mysql.columns import JSON, read_length
from connectors.sources.mysql.decoder import Part
from connectors.sources.mysql.fields import Field
from connectors.sources.mysql.jsonb import REBUILT, json_tree, tree_text

__all__ = ["UNREADABLE", "rebuild"]

UNREADABLE: Final = (ValueError, IndexError, KeyError, struct.error)
"""What `rebuild` raises where an event cannot be put together."""

_REPLACE, _INSERT, _REMOVE = 0, 1, 2
_LEG: Final = re.compile(r"""\.(?P<name>"(?:[^"\\]|\\.)*"|[^.\[]+)|\[(?P<index>\d+)\]""", re.DOTALL)


def rebuild(body: bytes, parts: Sequence[Part]) -> bytes:
    """Return the body of an ordinary UPDATE event that does the same.

    Args:
        body: The event after its header, checksum cut off.
        parts: All columns of the table.

    Raises:
        ValueError: The image before the change lacks a document that is needed.
    """
    at = 8 + int.from_bytes(body[8:10], "little")
    count, at = read_length(body, at)
    width = (count + 7) // 8
    before_bits = int.from_bytes(body[at : at + width], "little")
    after_bits = int.from_bytes(body[at + width : at + 2 * width], "little")
    at += 2 * width
    pieces = [body[:at]]
    before_parts = [part for part in parts if before_bits >> part.index & 1]
    after_parts = [part for part in parts if after_bits >> part.index & 1]
    documents = [part.index for part in parts if part.column.type == JSON]
    while at < len(body):
        start = at
        values, at = _image(body, at, before_parts)
        pieces.append(body[start:at])
        options, at = read_length(body, at)
        partial = 0
        if options & 1:
            size = (len(documents) + 7) // 8
            partial, at = int.from_bytes(body[at : at + size], "little"), at + size
        differing = {index for bit, index in enumerate(documents) if partial >> bit & 1}
        piece, at = _after(body, at, after_parts, differing, values)
        pieces.append(piece)
    return b"".join(pieces)


def _image(body: bytes, at: int, parts: Sequence[Part]) -> tuple[dict[int, bytes], int]:
    """Return the raw values of an image that are not NULL, and the position after it."""
    width = (len(parts) + 7) // 8
    nulls, at = int.from_bytes(body[at : at + width], "little"), at + width
    values = {}
    for bit, part in enumerate(parts):
        if not nulls >> bit & 1:
            head, size = _size(part.field, body, at)
            values[part.index] = body[at + head : at + head + size]
            at += head + size
    return values, at


def _after(
    body: bytes,
    at: int,
    parts: Sequence[Part],
    differing: set[int],
    before: dict[int, bytes],
) -> tuple[bytes, int]:
    width = (len(parts) + 7) // 8
    nulls = int.from_bytes(body[at : at + width], "little")
    pieces, at = [body[at : at + width]], at + width
    for bit, part in enumerate(parts):
        if nulls >> bit & 1:
            continue
        head, size = _size(part.field, body, at)
        value = body[at + head : at + head + size]
        if part.index in differing:
            if part.index not in before:
                raise ValueError(f"the image before the change lacks column {part.column.name}")
            text = REBUILT + _apply(before[part.index], value).encode()
            pieces.append(len(text).to_bytes(head, "little") + text)
        else:
            pieces.append(body[at : at + head + size])
        at += head + size
    return b"".join(pieces), at


def _size(field: Field, body: bytes, at: int) -> tuple[int, int]:
    """Return the bytes of the length before a value, and of the value."""
    if field.format:
        return 0, struct.calcsize("<" + field.format)
    return field.length, int.from_bytes(body[at : at + field.length], "little")


def _apply(document: bytes, differences: bytes) -> str:
    """Return the text of a document after a list of differences."""
    root = [json_tree(document)]
    at = 0
    while at < len(differences):
        operation = differences[at]
        length, at = read_length(differences, at + 1)
        path, at = differences[at : at + length].decode(), at + length
        value: Any = None
        if operation != _REMOVE:
            length, at = read_length(differences, at)
            value, at = json_tree(differences[at : at + length]), at + length
        _change(root, operation, path, value)
    return tree_text(root[0])


def _change(root: list[Any], operation: int, path: str, value: Any) -> None:
    legs = _legs(path)
    parent: Any = root
    key: Any = 0
    for leg in legs:
        parent, key = parent[key], leg
        if isinstance(parent, list) != isinstance(leg, int):
            raise ValueError(f"the path {path} does not fit the document")
    if operation == _REMOVE:
        del parent[key]
    elif operation == _INSERT and isinstance(parent, list):
        parent.insert(key, value)
    elif operation in (_REPLACE, _INSERT):
        parent[key] = value
    else:
        raise ValueError(f"unknown operation {operation} of a JSON difference")


def _legs(path: str) -> list[Any]:
    if not path.startswith("$"):
        raise ValueError(f"{path!r} is no JSON path")
    at = 1
    legs: list[Any] = []
    while at < len(path):
        match = _LEG.match(path, at)
        if match is None:
            raise ValueError(f"{path!r} is no JSON path")
        name = match["name"]
        if name is None:
            legs.append(int(match["index"]))
        else:
            legs.append(orjson.loads(name) if name[0] == '"' else name)
        at = match.end()
    return legs
