"""Converter `goldengate-json`: topics that GoldenGate's Kafka handler writes, read without a connector between."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.api.config import ConfigDef
from connectors.api.converter import Converter
from connectors.api.errors import DataError
from connectors.api.record import Headers
from connectors.formats.canal import RowChange, ts_us_of
from connectors.formats.goldengate import GoldenGateFormat, decode_objects
from connectors.formats.goldengate_options import format_of, format_options

__all__ = ["GoldenGateJsonConverter"]

_OPTIONS = format_options()


class GoldenGateJsonConverter(Converter):
    """Decodes a message of one operation, or of a whole transaction (`mode=tx`), to a list of `RowChange`.

    An UPDATE of the key becomes a DELETE and an INSERT, so that a sink removes the old row. The order within a key is
    that of the topic; `connect.ts_us` is used where a header has it.
    """

    def __init__(self) -> None:
        self._format = GoldenGateFormat()

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the converter's options."""
        return _OPTIONS

    def configure(self, options: Mapping[str, str], *, is_key: bool) -> None:
        """Take the options, see `Converter.configure`."""
        del is_key
        self._format = format_of(_OPTIONS.parse(options))

    def from_connect(self, topic: str, headers: Headers, value: object) -> bytes | None:
        """Pass bytes and None; GoldenGate's format is read here, not written.

        Raises:
            DataError: It is anything else.
        """
        if value is None or isinstance(value, bytes):
            return value
        raise DataError(f"topic {topic}: goldengate-json reads only; a source writes canal-json")

    def to_connect(self, topic: str, headers: Headers, data: bytes | None) -> list[RowChange] | None:
        """Decode a message to its row changes: none for a TRUNCATE or a table's schema, None for a tombstone."""
        if data is None:
            return None
        changes: list[RowChange] = []
        ts_us = ts_us_of(headers)
        for record in decode_objects(data):
            operation = self._format.operation(record)
            if operation is None:
                continue
            texts = {name: type_.mysql_type for name, type_ in operation.types.items()}
            for change in operation.changes(split_key_updates=True):
                change.position = operation.pos or None
                change.mysql_type = texts
                if ts_us is not None:
                    change.ts_us = ts_us + len(changes)
                changes.append(change)
        return changes
