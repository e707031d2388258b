"""MySQL's binary JSON as the text that the server prints.

Source: `json_binary.h` of MySQL for the storage format; MySQL's `CAST(j AS CHAR)` and Canal 1.1.7 for the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from struct import unpack_from
from typing import Final

from connectors.sources.mysql.values import canal_decimal_text, decimal_size, decimal_text, double_text

__all__ = ["REBUILT", "canal_json_text", "json_text", "json_tree", "tree_text"]

REBUILT: Final = b"\xff"
"""First byte of a document that was put together from differences; its text follows. No kind of the server's."""

_ESCAPED: Final = re.compile('["\\\\\\x00-\\x1f\\x7f-\\xa0]')
_SHORT: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_LITERALS: Final = {0: "null", 1: "true", 2: "false"}
_MAX_DEPTH: Final = 100

Opaque = Mapping[int, Callable[[bytes], str]]
"""What makes the text of a value that is no JSON of its own, by column type."""


def json_text(data: bytes) -> str:
    """Return the text of a JSON value.

    A value without bytes, which the server writes for NULL in NOT NULL columns of old tables, is an empty text.

    Raises:
        ValueError: The bytes are malformed.
    """
    return _text(data, _OPAQUE)


def canal_json_text(data: bytes) -> str:
    """Return the text as Canal 1.1.7 prints it: decimals without their last group of zeros.

    Raises:
        ValueError: The bytes are malformed.
    """
    return _text(data, _CANAL_OPAQUE)


def _text(data: bytes, opaque: Opaque) -> str:
    if not data:
        return ""
    try:
        return _value(data[0], data, 1, 0, opaque)
    except (IndexError, KeyError) as error:
        raise ValueError(f"malformed JSON value: {error}") from None


def _quote(text: str) -> str:
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    return _SHORT.get(char) or f"\\u{ord(char):04x}"


def _value(kind: int, data: bytes, at: int, depth: int, opaque: Opaque) -> str:
    if depth > _MAX_DEPTH:
        raise ValueError("JSON value is nested too deep")
    if kind <= 3:
        return _container(data, at, large=bool(kind & 1), is_array=kind >= 2, depth=depth, opaque=opaque)
    if kind == 0x04:
        return _LITERALS[data[at]]
    if kind in _NUMBERS:
        return str(unpack_from(_NUMBERS[kind], data, at)[0])
    if kind == 0x0B:
        return double_text(unpack_from("<d", data, at)[0])
    if kind == 0x0C:
        length, at = _length(data, at)
        return _quote(data[at : at + length].decode("utf-8", "replace"))
    if kind == 0x0F:
        return _opaque(data, at, opaque)
    if kind == REBUILT[0] and not depth:
        return data[at:].decode()
    raise ValueError(f"unknown kind {kind} of JSON value")


_NUMBERS: Final = {0x05: "<h", 0x06: "<H", 0x07: "<i", 0x08: "<I", 0x09: "<q", 0x0A: "<Q"}


def _length(data: bytes, at: int) -> tuple[int, int]:
    length = shift = 0
    while True:
        byte = data[at]
        at += 1
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            return length, at
        shift += 7


def _container(data: bytes, at: int, *, large: bool, is_array: bool, depth: int, opaque: Opaque) -> str:
    keys, entries = _entries(data, at, large=large, is_array=is_array)
    values = [_value(kind, data, where, depth + 1, opaque) for kind, where in entries]
    if is_array:
        return f"[{', '.join(values)}]"
    return f"{{{', '.join(f'{_quote(key)}: {value}' for key, value in zip(keys, values, strict=True))}}}"


def _entries(data: bytes, at: int, *, large: bool, is_array: bool) -> tuple[list[str], list[tuple[int, int]]]:
    """Return the keys of an object, and kind and place of each value of an object or array."""
    word, width = ("<I", 4) if large else ("<H", 2)
    count = unpack_from(word, data, at)[0]
    entry = at + 2 * width + (0 if is_array else count * (width + 2))
    inline = (0x04, 0x05, 0x06, 0x07, 0x08) if large else (0x04, 0x05, 0x06)
    values = []
    for _ in range(count):
        kind = data[entry]
        values.append((kind, entry + 1 if kind in inline else at + unpack_from(word, data, entry + 1)[0]))
        entry += 1 + width
    keys = []
    entry = at + 2 * width
    for _ in range(0 if is_array else count):
        offset = at + unpack_from(word, data, entry)[0]
        length = unpack_from("<H", data, entry + width)[0]
        keys.append(data[offset : offset + length].decode("utf-8", "replace"))
        entry += width + 2
    return keys, values


Tree = dict[str, "Tree"] | list["Tree"] | str
"""A document: objects, arrays, and anything else as its text."""


def json_tree(data: bytes) -> Tree:
    """Return a document as a tree that can be changed.

    Raises:
        ValueError: The bytes are malformed.
    """
    try:
        return _tree(data[0], data, 1, 0)
    except (IndexError, KeyError) as error:
        raise ValueError(f"malformed JSON value: {error}") from None


def _tree(kind: int, data: bytes, at: int, depth: int) -> Tree:
    if kind > 3 or depth > _MAX_DEPTH:
        return _value(kind, data, at, depth, _OPAQUE)
    keys, entries = _entries(data, at, large=bool(kind & 1), is_array=kind >= 2)
    values = [_tree(inner, data, where, depth + 1) for inner, where in entries]
    return values if kind >= 2 else dict(zip(keys, values, strict=True))


def tree_text(tree: Tree) -> str:
    """Return the text of a document; the keys of an object in the server's order, short ones first."""
    if isinstance(tree, str):
        return tree
    if isinstance(tree, list):
        return f"[{', '.join(map(tree_text, tree))}]"
    keys = sorted(tree, key=lambda key: (len(key.encode()), key.encode()))
    return f"{{{', '.join(f'{_quote(key)}: {tree_text(tree[key])}' for key in keys)}}}"


def _opaque(data: bytes, at: int, opaque: Opaque) -> str:
    kind = data[at]
    length, at = _length(data, at + 1)
    raw = data[at : at + length]
    render = opaque.get(kind)
    # Bit strings, binary strings and the like: their bytes as characters, escaped.
    return render(raw) if render is not None else _quote(raw.decode("latin-1"))


def _decimal(raw: bytes) -> str:
    return _decimal_of(raw, decimal_text)


def _canal_decimal(raw: bytes) -> str:
    return _decimal_of(raw, canal_decimal_text)


def _decimal_of(raw: bytes, make: Callable[[int, int], Callable[[bytes], str]]) -> str:
    precision, scale = raw[0], raw[1]
    if len(raw) != 2 + decimal_size(precision, scale):
        raise ValueError("decimal of the wrong size in a JSON value")
    return make(precision, scale)(raw[2:])


def _packed(raw: bytes) -> tuple[str, int, int]:
    number = int.from_bytes(raw, "little", signed=True)
    sign, number = ("-", -number) if number < 0 else ("", number)
    return sign, number >> 24, number & 0xFFFFFF


def _datetime(raw: bytes) -> str:
    _, whole, micros = _packed(raw)
    year, month = divmod(whole >> 22, 13)
    day, clock = whole >> 17 & 31, whole & 0x1FFFF
    time = f"{clock >> 12:02d}:{clock >> 6 & 63:02d}:{clock & 63:02d}.{micros:06d}"
    return f'"{year:04d}-{month:02d}-{day:02d} {time}"'


def _time(raw: bytes) -> str:
    sign, whole, micros = _packed(raw)
    return f'"{sign}{whole >> 12 & 1023:02d}:{whole >> 6 & 63:02d}:{whole & 63:02d}.{micros:06d}"'


_OPAQUE: Final[Opaque] = {
    0: _decimal,
    246: _decimal,
    7: _datetime,
    10: _datetime,
    12: _datetime,
    17: _datetime,
    18: _datetime,
    11: _time,
    19: _time,
}
_CANAL_OPAQUE: Final[Opaque] = {**_OPAQUE, 0: _canal_decimal, 246: _canal_decimal}
