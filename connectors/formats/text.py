"""Converters `string` and `bytes`."""

from __future__ import annotations

from typing import Any

from connectors.api.converter import Converter
from connectors.api.errors import DataError
from connectors.api.record import Headers

__all__ = ["BytesConverter", "StringConverter"]


class StringConverter(Converter):
    """UTF-8 text."""

    def from_connect(self, topic: str, headers: Headers, value: Any) -> bytes | None:
        """Encode a value as its text."""
        if value is None:
            return None
        try:
            return str(value).encode()
        except UnicodeEncodeError as error:
            raise DataError(f"topic {topic}: cannot be written as UTF-8: {error}") from None

    def to_connect(self, topic: str, headers: Headers, data: bytes | None) -> str | None:
        """Decode text."""
        if data is None:
            return None
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise DataError(f"not UTF-8: {error}") from None


class BytesConverter(Converter):
    """Bytes as they are."""

    passes_bytes = True

    def from_connect(self, topic: str, headers: Headers, value: Any) -> bytes | None:
        """Pass bytes."""
        if value is None or isinstance(value, bytes):
            return value
        raise DataError(f"topic {topic}: bytes are needed, not {type(value).__name__}")

    def to_connect(self, topic: str, headers: Headers, data: bytes | None) -> bytes | None:
        """Pass bytes."""
        return data
