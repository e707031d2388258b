"""How the generated row decoder reads each column type."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, tzinfo
from ipaddress import IPv4Address, IPv6Address
from json.encoder import encode_basestring
from typing import Any, Final, Literal
from uuid import UUID

from connectors.api.errors import FatalError
from connectors.sources.mysql import columns as c
from connectors.sources.mysql import values
from connectors.sources.mysql.column_types import mysql_type
from connectors.sources.mysql.columns import Column
from connectors.sources.mysql.jsonb import canal_json_text, json_text

__all__ = ["Field", "Rendering", "field_of"]


@dataclass(frozen=True, slots=True)
class Rendering:
    """How values become text, where there is a choice.

    Attributes:
        zone: Zone of TIMESTAMP.
        enum_mode: ENUM and SET as numbers, as Canal does, or as labels.
        binary_mode: Bytes as ISO-8859-1 characters, as Canal does, or as base64 or hexadecimal digits.
        exact: Whether Canal's quirks are kept: every text read as UTF-8, DECIMAL without its last group of zeros,
            BINARY without its trailing zero bytes.
        bit_codes: Whether TINYINT(1) has the type code of BIT, as in Canal 1.1.3 and 1.1.4.
    """

    zone: tzinfo = UTC
    enum_mode: Literal["index", "label"] = "index"
    binary_mode: Literal["latin1", "base64", "hex"] = "latin1"
    exact: bool = False
    bit_codes: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """How to read one column.

    Attributes:
        format: `struct` format of a value of fixed size; empty where a length stands before the value.
        length: Bytes of that length.
        expression: Python expression from the raw value `{v}` to its text; `{f}` is `function`.
        function: What `{f}` stands for.
        quoted: Whether the text is JSON already, quotes included.
    """

    format: str = ""
    length: int = 0
    expression: str = "{v}"
    function: Callable[[Any], str] | None = None
    quoted: bool = False


_CALL: Final = "{f}({v})"
_LITTLE: Final = "number({v}, 'little')"
_SIGNED: Final = "number({v}, 'little', signed=True)"
_INTEGERS: Final = {c.TINY: "bB", c.SHORT: "hH", c.LONG: "iI", c.LONGLONG: "qQ"}
_YEARS: Final = ["0000", *(str(1900 + n) for n in range(1, 256))]


def field_of(column: Column, rendering: Rendering, where: str) -> Field:
    """Return how to read a column.

    Args:
        column: The column.
        rendering: The choices.
        where: Table and place, for messages.

    Raises:
        FatalError: Its type or character set is not known; the message names both.
    """
    if column.type in _INTEGERS:
        return Field(_INTEGERS[column.type][column.unsigned])
    maker = _MAKERS.get(column.type)
    if maker is None:
        raise FatalError(f"{where}: column {column.name} has the type {column.type}, which cannot be decoded")
    if column.charset is not None and column.charset.codec is None and not rendering.exact:
        raise FatalError(
            f"{where}: column {column.name} {mysql_type(column)} has the character set {column.charset.name},"
            " which cannot be decoded; exclude the table with table.exclude.list",
        )
    return maker(column, rendering)


def _int24(column: Column, _: Rendering) -> Field:
    return Field("3s", expression=_LITTLE if column.unsigned else _SIGNED)


def _year(_: Column, __: Rendering) -> Field:
    return Field("B", expression=_CALL, function=_YEARS.__getitem__)


def _decimal(column: Column, rendering: Rendering) -> Field:
    precision, scale = column.meta
    make = values.canal_decimal_text if rendering.exact else values.decimal_text
    return Field(f"{values.decimal_size(precision, scale)}s", expression=_CALL, function=make(precision, scale))


def _fixed(format_: str, function: Callable[[Any], str]) -> Callable[[Column, Rendering], Field]:
    return lambda column, rendering: Field(format_, expression=_CALL, function=function)


def _fractional(size: int, make: Callable[[int, tzinfo], values.Text]) -> Callable[[Column, Rendering], Field]:
    def field(column: Column, rendering: Rendering) -> Field:
        digits = column.meta[0]
        total = size + values.fraction_size(digits)
        return Field(f"{total}s", expression=_CALL, function=make(digits, rendering.zone))

    return field


def _bit(column: Column, _: Rendering) -> Field:
    size = column.meta[1] + (column.meta[0] > 0)
    return Field(f"{size}s", expression="number({v}, 'big')")


def _enum(column: Column, rendering: Rendering) -> Field:
    if rendering.enum_mode == "index":
        return Field("BH"[column.meta[0] - 1])
    labels = [encode_basestring(label) for label in ("", *column.labels)]
    return Field("BH"[column.meta[0] - 1], expression=_CALL, function=labels.__getitem__, quoted=True)


def _set(column: Column, rendering: Rendering) -> Field:
    format_ = f"{column.meta[0]}s"
    if rendering.enum_mode == "index":
        return Field(format_, expression=_LITTLE)

    def text(raw: bytes) -> str:
        mask = int.from_bytes(raw, "little")
        return encode_basestring(",".join(label for n, label in enumerate(column.labels) if mask >> n & 1))

    return Field(format_, expression=_CALL, function=text, quoted=True)


def _json(column: Column, rendering: Rendering) -> Field:
    function = canal_json_text if rendering.exact else json_text
    return Field(length=column.meta[0], expression="quote({f}({v}))", function=function, quoted=True)


def _string(column: Column, rendering: Rendering) -> Field:
    return _text(column, rendering, 1 if column.meta[0] <= 255 else 2)


def _blob(column: Column, rendering: Rendering) -> Field:
    return _text(column, rendering, column.meta[0])


def _text(column: Column, rendering: Rendering, length: int) -> Field:
    if rendering.exact and (column.special or column.charset is not None):
        inner = "inflate({v})" if column.type in (c.BLOB_COMPRESSED, c.VARCHAR_COMPRESSED) else "{v}"
        return Field(length=length, expression=f"quote({inner}.decode('utf-8', 'replace'))", quoted=True)
    if column.special:
        return Field(length=length, expression=_CALL, function=_SPECIALS[column.special])
    # The server strips the padding of BINARY(n) from the row; SELECT shows it, so it is put back.
    padded = column.type == c.STRING and column.charset is None and not rendering.exact
    value = f"{{v}}.ljust({column.meta[0]}, zero)" if padded else "{v}"
    if column.type in (c.BLOB_COMPRESSED, c.VARCHAR_COMPRESSED):
        value = "inflate({v})"
    if column.charset is not None:
        return Field(
            length=length, expression=f"quote({value}.decode('{column.charset.codec}', 'replace'))", quoted=True
        )
    if rendering.binary_mode == "latin1":
        return Field(length=length, expression=f"quote({value}.decode('latin-1'))", quoted=True)
    if rendering.binary_mode == "hex":
        return Field(length=length, expression=f"{value}.hex()")
    return Field(length=length, expression=_CALL.replace("{v}", value), function=_base64)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def inflate(data: bytes) -> bytes:
    """Undo MariaDB's column compression.

    Source: MariaDB `field_comp.h`: a byte with method and size of the length, the length, the deflated bytes.
    """
    if not data:
        return data
    head = data[0]
    if head == 0:
        return data[1:]
    if head >> 4 != 8:
        raise ValueError(f"unknown method {head >> 4} of a compressed column")
    return zlib.decompress(data[1 + (head & 7) :], zlib.MAX_WBITS if head & 8 == 0 else -zlib.MAX_WBITS)


def _uuid(raw: bytes) -> str:
    raw = raw.ljust(16, b"\0")
    # Tables of MariaDB before 10.11.5 keep the time part last. The bits of variant and version tell the two orders.
    if raw[6] >> 6 == 2 and 1 <= raw[8] >> 4 <= 5:
        raw = raw[12:16] + raw[10:12] + raw[8:10] + raw[6:8] + raw[0:6]
    return str(UUID(bytes=raw))


_SPECIALS: Final[dict[str, Callable[[bytes], str]]] = {
    "uuid": _uuid,
    "inet4": lambda raw: str(IPv4Address(raw.ljust(4, b"\0"))),
    "inet6": lambda raw: str(IPv6Address(raw.ljust(16, b"\0"))),
}

_MAKERS: Final[dict[int, Callable[[Column, Rendering], Field]]] = {
    c.INT24: _int24,
    c.YEAR: _year,
    c.FLOAT: _fixed("f", values.float_text),
    c.DOUBLE: _fixed("d", values.double_text),
    c.NEWDECIMAL: _decimal,
    c.DATE: _fixed("3s", values.date_text),
    c.NEWDATE: _fixed("3s", values.date_text),
    c.TIME: _fixed("3s", values.old_time_text),
    c.DATETIME: _fixed("8s", values.old_datetime_text),
    c.TIMESTAMP: lambda column, rendering: Field("4s", 0, _CALL, values.old_timestamp_text(rendering.zone)),
    c.TIMESTAMP2: _fractional(4, values.timestamp_text),
    c.DATETIME2: _fractional(5, lambda digits, zone: values.datetime_text(digits)),
    c.TIME2: _fractional(3, lambda digits, zone: values.time_text(digits)),
    c.BIT: _bit,
    c.ENUM: _enum,
    c.SET: _set,
    c.JSON: _json,
    c.STRING: _string,
    c.VARCHAR: _string,
    c.VAR_STRING: _string,
    c.VARCHAR_COMPRESSED: _string,
    c.BLOB: _blob,
    c.BLOB_COMPRESSED: _blob,
    c.GEOMETRY: _blob,
    c.VECTOR: _blob,
}
