"""Converter `canal-json`: Canal flat messages, and plain JSON objects as upserts."""

from __future__ import annotations

from typing import Any

import orjson

from connectors.api.converter import Converter
from connectors.api.errors import DataError
from connectors.api.record import Headers
from connectors.formats.canal import RowChange, changes_of, decode_object

__all__ = ["CanalJsonConverter"]


class CanalJsonConverter(Converter):
    """Decodes a message to a list of `RowChange`; encodes a flat message given as a dict."""

    def from_connect(self, topic: str, headers: Headers, value: Any) -> bytes | None:
        """Encode a flat message; bytes pass unchanged, as a source may have encoded them already."""
        if value is None or isinstance(value, bytes):
            return value
        try:
            return orjson.dumps(value)
        except TypeError as error:
            raise DataError(f"topic {topic}: cannot be written as JSON: {error}") from None

    def to_connect(self, topic: str, headers: Headers, data: bytes | None) -> list[RowChange] | None:
        """Decode a message to its row changes: an empty list for DDL, None for a tombstone."""
        if data is None:
            return None
        return changes_of(decode_object(data), headers)
