"""Kafka Connect's schemas in JSON: a decoder of the payload, compiled once for each schema.

Source: org.apache.kafka.connect.json.JsonConverter and org.apache.kafka.connect.data (Decimal, Date, Time, Timestamp).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from connectors.api.errors import DataError

__all__ = ["Decode", "decoder"]

Decode = Callable[[Any], Any]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY: Final = date(1970, 1, 1)
_WHOLE: Final = {"int8": 7, "int16": 15, "int32": 31, "int64": 63}


def decoder(schema: Any, *, defaults: bool, where: str = "payload") -> Decode:
    """Compile a schema.

    Args:
        schema: The schema as decoded JSON.
        defaults: Whether a missing value becomes its field's default.
        where: Name of the value in messages.

    Returns:
        A function from the payload as decoded JSON to values: structs as dicts, `bytes` as bytes, logical types as
        `Decimal`, `date`, `time` and `datetime`. It raises `DataError` where the payload does not fit.

    Raises:
        DataError: The schema is malformed.
    """
    if not isinstance(schema, dict):
        raise DataError(f"{where}: a schema is an object, not {type(schema).__name__}")
    decode = _LOGICAL.get(schema.get("name", ""), _plain)(schema, defaults, where)
    optional, has_default, default = schema.get("optional", False), "default" in schema, schema.get("default")

    def checked(value: Any) -> Any:
        if value is None and defaults and has_default:
            value = default
        if value is None:
            if optional or has_default:
                return None
            raise DataError(f"{where} is null, its schema is not optional")
        return decode(value)

    return checked


def _plain(schema: dict[str, Any], defaults: bool, where: str) -> Decode:
    kind = schema.get("type")
    if kind == "struct":
        return _struct(schema, defaults, where)
    if kind == "array":
        item = decoder(schema.get("items"), defaults=defaults, where=f"{where}[]")
        return lambda value: [item(each) for each in _typed(value, list, where)]
    if kind == "map":
        return _map(schema, defaults, where)
    if kind == "bytes":
        return lambda value: _bytes(value, where)
    if kind in _WHOLE:
        return _whole(_WHOLE[kind], where)
    single = {"boolean": bool, "string": str, "float": (int, float, Decimal), "double": (int, float, Decimal)}.get(
        str(kind)
    )
    if single is None:
        raise DataError(f"{where}: there is no schema type {kind!r}")
    return lambda value: _typed(value, single, where)


def _struct(schema: dict[str, Any], defaults: bool, where: str) -> Decode:
    fields = schema.get("fields")
    if not isinstance(fields, list) or not all(isinstance(field, dict) and "field" in field for field in fields):
        raise DataError(f"{where}: a struct's schema needs a list of fields")
    parts = [(field["field"], decoder(field, defaults=defaults, where=f"{where}.{field['field']}")) for field in fields]

    def decode(value: Any) -> dict[str, Any]:
        given = _typed(value, dict, where)
        return {name: part(given.get(name)) for name, part in parts}

    return decode


def _map(schema: dict[str, Any], defaults: bool, where: str) -> Decode:
    key = decoder(schema.get("keys"), defaults=defaults, where=f"{where} key")
    item = decoder(schema.get("values"), defaults=defaults, where=f"{where} value")

    def decode(value: Any) -> dict[Any, Any]:
        # An object where keys are text, else a list of pairs.
        pairs = value.items() if isinstance(value, dict) else _typed(value, list, where)
        try:
            return {key(name): item(each) for name, each in pairs}
        except (TypeError, ValueError):
            raise DataError(f"{where}: a map is an object or a list of pairs") from None

    return decode


def _whole(bits: int, where: str) -> Decode:
    def decode(value: Any) -> int:
        number: int = _typed(value, int, where)
        if not -(1 << bits) <= number < 1 << bits:
            raise DataError(f"{where}: {number} is out of range")
        return number

    return decode


def _decimal(schema: dict[str, Any], _defaults: bool, where: str) -> Decode:
    try:
        scale = int((schema.get("parameters") or {})["scale"])
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{where}: a decimal's schema needs parameters.scale") from None

    def decode(value: Any) -> Decimal:
        if isinstance(value, int | Decimal) and not isinstance(value, bool):
            return Decimal(value)
        unscaled = int.from_bytes(_bytes(value, where), "big", signed=True)
        # Not by arithmetic, which rounds to the context's precision.
        return Decimal((int(unscaled < 0), tuple(map(int, str(abs(unscaled)))), -scale))

    return decode


def _temporal(make: Callable[[int], Any]) -> Callable[[dict[str, Any], bool, str], Decode]:
    def compiled(_schema: dict[str, Any], _defaults: bool, where: str) -> Decode:
        def decode(value: Any) -> Any:
            try:
                return make(_typed(value, int, where))
            except OverflowError:
                raise DataError(f"{where}: {value} is out of range") from None

        return decode

    return compiled


def _time(milliseconds: int) -> time:
    return (_EPOCH + timedelta(milliseconds=milliseconds)).time()


_LOGICAL: Final[dict[str, Callable[[dict[str, Any], bool, str], Decode]]] = {
    "org.apache.kafka.connect.data.Decimal": _decimal,
    "org.apache.kafka.connect.data.Date": _temporal(lambda days: _EPOCH_DAY + timedelta(days=days)),
    "org.apache.kafka.connect.data.Time": _temporal(_time),
    "org.apache.kafka.connect.data.Timestamp": _temporal(lambda ms: _EPOCH + timedelta(milliseconds=ms)),
}


def _bytes(value: Any, where: str) -> bytes:
    try:
        return base64.b64decode(_typed(value, str, where), validate=True)
    except binascii.Error:
        raise DataError(f"{where}: no base64") from None


def _typed(value: Any, kind: Any, where: str) -> Any:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise DataError(f"{where}: {value!r} does not fit its schema")
    return value
