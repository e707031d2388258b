"""Where the values of columns come from in a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from agents.message import Message
from connectors.api.errors import ConfigError, DataError
from connectors.api.record import header_value
from connectors.clients.cassandra import UNSET
from connectors.formats.mapping import ColumnSource

__all__ = ["Getter", "getter"]

Getter = Callable[[Message, Mapping[str, Any]], Any]
"""Takes a message and one of its rows; returns a value, None for null or `UNSET` where there is nothing."""


def getter(option: str, column: str, source: ColumnSource) -> Getter:
    """Return the function that fetches a source's value.

    Raises:
        ConfigError: The source is of no use here.
    """
    name = source.name
    if source.kind == "value":
        return lambda message, row: row.get(name, UNSET)
    if source.kind == "header":
        return lambda message, row: _text(header_value(message.headers, name), f"header {name}")
    if source.kind == "timestamp":
        return lambda message, row: message.timestamp_ms
    if source.kind == "key" and not name:
        return lambda message, row: _text(message.key, "the key")
    if source.kind == "now":
        hint = f"use generate: {{{column}: change_time}}, which a replay repeats"
        raise ConfigError(f"Option {option}: column {column} cannot be now(); {hint}", key=option)
    raise ConfigError(f"Option {option}: column {column} cannot take a field of the key", key=option)


def _text(data: bytes | None, what: str) -> Any:
    if data is None:
        return UNSET
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise DataError(f"{what} is not UTF-8") from None
