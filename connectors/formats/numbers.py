"""Converters of single numbers and booleans, in the bytes that Kafka's own serializers write (big-endian).

Source: org.apache.kafka.connect.converters and org.apache.kafka.common.serialization.
"""

from __future__ import annotations

import struct
from typing import Any, ClassVar

from connectors.api.converter import Converter
from connectors.api.errors import DataError
from connectors.api.record import Headers

__all__ = [
    "BooleanConverter",
    "DoubleConverter",
    "FloatConverter",
    "IntegerConverter",
    "LongConverter",
    "ShortConverter",
]


class _PackedConverter(Converter):
    LAYOUT: ClassVar[struct.Struct]
    TYPES: ClassVar[tuple[type, ...]]

    def from_connect(self, topic: str, headers: Headers, value: Any) -> bytes | None:
        """Encode a value."""
        if value is None:
            return None
        # True is an int in Python, but no number in Kafka.
        if isinstance(value, self.TYPES) and isinstance(value, bool) is (bool in self.TYPES):
            try:
                return self.LAYOUT.pack(value)
            except (struct.error, OverflowError) as error:
                raise DataError(f"topic {topic}: {value!r} is out of range: {error}") from None
        raise DataError(f"topic {topic}: {type(self).__name__} cannot write {value!r}")

    def to_connect(self, topic: str, headers: Headers, data: bytes | None) -> Any:
        """Decode a value."""
        if data is None:
            return None
        if len(data) != self.LAYOUT.size:
            raise DataError(f"{type(self).__name__} needs {self.LAYOUT.size} bytes, not {len(data)}")
        return self.LAYOUT.unpack(data)[0]


class BooleanConverter(_PackedConverter):
    """One byte: 0 or 1."""

    LAYOUT, TYPES = struct.Struct(">?"), (bool,)

    def to_connect(self, topic: str, headers: Headers, data: bytes | None) -> Any:
        """Decode a value."""
        if data is not None and data not in (b"\0", b"\1"):
            raise DataError("BooleanConverter needs one byte, 0 or 1")
        return super().to_connect(topic, headers, data)


class ShortConverter(_PackedConverter):
    """Whole number in 2 bytes."""

    LAYOUT, TYPES = struct.Struct(">h"), (int,)


class IntegerConverter(_PackedConverter):
    """Whole number in 4 bytes."""

    LAYOUT, TYPES = struct.Struct(">i"), (int,)


class LongConverter(_PackedConverter):
    """Whole number in 8 bytes."""

    LAYOUT, TYPES = struct.Struct(">q"), (int,)


class FloatConverter(_PackedConverter):
    """Number in 4 bytes."""

    LAYOUT, TYPES = struct.Struct(">f"), (int, float)


class DoubleConverter(_PackedConverter):
    """Number in 8 bytes."""

    LAYOUT, TYPES = struct.Struct(">d"), (int, float)
