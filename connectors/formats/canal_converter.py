"""Converter `canal-json`: Canal flat messages, and plain JSON objects as upserts."""

from __future__ import annotations

from typing import Any

from connectors.api.converter import Converter
from connectors.api.record import Headers
from connectors.formats.canal import RowChange, changes_of, decode_object, encode_object

__all__ = ["CanalJsonConverter"]


class CanalJsonConverter(Converter):
    """Decodes a message to a list of `RowChange`; encodes a flat message given as a dict."""

    passes_bytes = True

    def from_connect(self, topic: str, headers: Headers, value: Any) -> bytes | None:
        """Encode a flat message; bytes pass unchanged, as a source may have encoded them already."""
        if value is None or isinstance(value, bytes):
            return value
        return encode_object(value)

    def to_connect(self, topic: str, headers: Headers, data: bytes | None) -> list[RowChange] | None:
        """Decode a message to its row changes: an empty list for DDL, None for a tombstone."""
        if data is None:
            return None
        return changes_of(decode_object(data), headers)
