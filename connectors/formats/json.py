"""Converter `json`: any JSON value, without schemas."""

from __future__ import annotations

from typing import Any

import orjson

from connectors.api.converter import Converter
from connectors.api.errors import DataError
from connectors.api.record import Headers

__all__ = ["JsonConverter"]


class JsonConverter(Converter):
    """Plain JSON."""

    def from_connect(self, topic: str, headers: Headers, value: Any) -> bytes | None:
        """Encode a value."""
        if value is None:
            return None
        try:
            return orjson.dumps(value)
        except TypeError as error:
            raise DataError(f"topic {topic}: cannot be written as JSON: {error}") from None

    def to_connect(self, topic: str, headers: Headers, data: bytes | None) -> Any:
        """Decode a value."""
        if data is None:
            return None
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise DataError(f"malformed JSON: {error}") from None
