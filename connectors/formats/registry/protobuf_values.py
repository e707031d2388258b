"""Protobuf messages as plain values: whole numbers stay numbers, bytes stay bytes.

`MessageToDict` follows Protobuf's JSON mapping, where 64-bit numbers are text and bytes are base64; a sink that knows
its column's type wants the values themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

__all__ = ["value_of"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def value_of(message: Message) -> Any:
    """Return a message as a dict; well-known types as what they stand for, fields that are absent as None."""
    known = _WELL_KNOWN.get(message.DESCRIPTOR.full_name)
    if known is not None:
        return known(message)
    return {field.name: _field(message, field) for field in message.DESCRIPTOR.fields}


def _field(message: Any, field: Any) -> Any:
    value = getattr(message, field.name)
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        inner = kind.fields_by_name["value"]
        return {key: _one(inner, item) for key, item in value.items()}
    if _is_repeated(field):
        return [_one(field, item) for item in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _one(field, value)


def _is_repeated(field: Any) -> bool:
    # `label` is deprecated in newer releases, `is_repeated` is missing in older ones.
    repeated = getattr(field, "is_repeated", None)
    return bool(repeated) if repeated is not None else field.label == FieldDescriptor.LABEL_REPEATED


def _one(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return value_of(value)
    if field.enum_type is not None:
        named = field.enum_type.values_by_number.get(value)
        return named.name if named is not None else value
    return value


def _timestamp(message: Any) -> datetime:
    return _EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)


def _duration(message: Any) -> timedelta:
    return timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)


def _decimal(message: Any) -> Decimal:
    # Confluent's type: two's complement, big-endian, and a scale.
    unscaled = int.from_bytes(message.value, "big", signed=True)
    # Not by arithmetic, which rounds to the context's precision.
    return Decimal((int(unscaled < 0), tuple(map(int, str(abs(unscaled)))), -message.scale))


def _wrapped(message: Any) -> Any:
    return message.value


_WRAPPED: Final = ("Bool", "Bytes", "Double", "Float", "Int32", "Int64", "String", "UInt32", "UInt64")
_WELL_KNOWN: dict[str, Callable[[Any], Any]] = {
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Duration": _duration,
    "google.type.Decimal": lambda message: Decimal(message.value),
    "confluent.type.Decimal": _decimal,
    **{f"google.protobuf.{name}Value": _wrapped for name in _WRAPPED},
}
