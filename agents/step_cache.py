"""The cache of a step: the columns that a function set in the rows of a message, set in other messages again."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from agents.async_io.cache import Cache, CachedFunction
from agents.async_io.function import AsyncFunction
from agents.config_options import CacheConfig
from agents.message import Message
from connectors.api.errors import DataError

__all__ = ["cached_step"]

Columns = tuple[dict[str, Any], ...]


class _Key:
    """The key fields of all rows, with the kind of the change; None where a row lacks one."""

    def __init__(self, fields: list[str]) -> None:
        self._fields = fields

    def __call__(self, message: Message) -> Hashable:
        if message.raw is None or not all(field in row for row in message.rows for field in self._fields):
            return None
        key = message.op, *(tuple(row[field] for field in self._fields) for row in message.rows)
        try:
            hash(key)
        except TypeError:
            return None  # an array or object as key
        return key


class _RowColumns:
    """What is kept of an answer: the columns of each row, or None for a message that was dropped."""

    def __init__(self, columns: list[str]) -> None:
        self._columns = columns

    def keep(self, value: Message, results: list[Any]) -> tuple[Columns | None, bool]:
        if not results:
            return None, True
        result = results[0]
        if len(results) > 1 or not isinstance(result, Message) or len(result.rows) != len(value.rows):
            raise DataError("a step with a cache must give one message with the rows of its input, or none")
        kept = tuple({name: row[name] for name in self._columns if name in row} for row in result.rows)
        return kept, all(row.get(name) is None for row in kept for name in self._columns)

    def results(self, value: Message, kept: Columns | None) -> list[Any]:
        if kept is None:
            return []
        for row, columns in zip(value.rows, kept, strict=True):
            row.update(columns)
        return [value]


def cached_step(function: AsyncFunction[Any, Any], config: CacheConfig) -> CachedFunction:
    """Return a function with a cache in front.

    Args:
        function: The function of a step.
        config: Options.
    """
    cache = Cache(config.ttl_s, _Key(config.key), config.max_entries, config.negative_ttl_s)
    return CachedFunction(function, cache, _RowColumns(config.columns))
