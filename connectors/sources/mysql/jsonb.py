"""MySQL's binary JSON as the text that the server prints.

Source: `json_binary.h` of MySQL for the storage format; MySQL's `CAST(j AS CHAR)` and Canal 1.1.7 for the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from struct import unpack_from
from typing import Final

from connectors.sources.mysql.values import decimal_size, decimal_text, double_text

__all__ = ["json_text"]

_ESCAPED: Final = re.compile('["\\\\\\x00-\\x1f\\x7f-\\xa0]')
_SHORT: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_LITERALS: Final = {0: "null", 1: "true", 2: "false"}
_MAX_DEPTH: Final = 100


def json_text(data: bytes) -> str:
    """Return the text of a JSON value.

    A value without bytes, which the server writes for NULL in NOT NULL columns of old tables, is an empty text.

    Raises:
        ValueError: The bytes are malformed.
    """
    if not data:
        return ""
    try:
        return _value(data[0], data, 1, 0)
    except (IndexError, KeyError) as error:
        raise ValueError(f"malformed JSON value: {error}") from None


def _quote(text: str) -> str:
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    return _SHORT.get(char) or f"\\u{ord(char):04x}"


def _value(kind: int, data: bytes, at: int, depth: int) -> str:
    if depth > _MAX_DEPTH:
        raise ValueError("JSON value is nested too deep")
    if kind <= 3:
        return _container(data, at, large=bool(kind & 1), is_array=kind >= 2, depth=depth)
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
        return _opaque(data, at)
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


def _container(data: bytes, at: int, *, large: bool, is_array: bool, depth: int) -> str:
    word, width = ("<I", 4) if large else ("<H", 2)
    count = unpack_from(word, data, at)[0]
    entry = at + 2 * width + (0 if is_array else count * (width + 2))
    inline = (0x04, 0x05, 0x06, 0x07, 0x08) if large else (0x04, 0x05, 0x06)
    values = []
    for _ in range(count):
        kind = data[entry]
        where = entry + 1 if kind in inline else at + unpack_from(word, data, entry + 1)[0]
        values.append(_value(kind, data, where, depth + 1))
        entry += 1 + width
    if is_array:
        return f"[{', '.join(values)}]"
    keys = []
    entry = at + 2 * width
    for _ in range(count):
        offset = at + unpack_from(word, data, entry)[0]
        length = unpack_from("<H", data, entry + width)[0]
        keys.append(_quote(data[offset : offset + length].decode("utf-8", "replace")))
        entry += width + 2
    return f"{{{', '.join(f'{key}: {value}' for key, value in zip(keys, values, strict=True))}}}"


def _opaque(data: bytes, at: int) -> str:
    kind = data[at]
    length, at = _length(data, at + 1)
    raw = data[at : at + length]
    render = _OPAQUE.get(kind)
    # Bit strings, binary strings and the like: their bytes as characters, escaped.
    return render(raw) if render is not None else _quote(raw.decode("latin-1"))


def _decimal(raw: bytes) -> str:
    precision, scale = raw[0], raw[1]
    if len(raw) != 2 + decimal_size(precision, scale):
        raise ValueError("decimal of the wrong size in a JSON value")
    return decimal_text(precision, scale)(raw[2:])


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


_OPAQUE: Final[dict[int, Callable[[bytes], str]]] = {
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
