"""What is looked up, and how the answer becomes columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from agents.functions.redis.template import KeyTemplate
from connectors.api.errors import ConfigError, DataError, did_you_mean
from connectors.clients.redis import RedisClient

__all__ = ["Lookup", "OnMiss", "parse_lookup"]

Shape = Literal["string", "json", "hash"]
_SHAPES = ("string", "json", "hash")
_MISS_WORDS = ("keep", "drop", "error")

OnMiss = Literal["keep", "drop", "error"]


@dataclass(frozen=True, slots=True)
class Lookup:
    """A look-up.

    Attributes:
        template: Makes the key.
        shape: What is stored under the key.
        columns: Column to add -> field of the hash or JSON object; an empty field for a string.
        on_miss: What happens to a row without an answer: it stays as it is, is dropped, or fails.
        defaults: Columns to add instead of an answer; empty where there are none.
    """

    template: KeyTemplate
    shape: Shape
    columns: Mapping[str, str]
    on_miss: OnMiss
    defaults: Mapping[str, Any]

    async def fetch(self, client: RedisClient, key: str) -> dict[str, Any] | None:
        """Return the columns found under a key, or None.

        Raises:
            DataError: What is stored there cannot be read as the shape asks.
        """
        if self.shape == "hash":
            values = await client.hmget(key, tuple(self.columns.values()))
            if all(value is None for value in values):
                return None
            return {column: _text(key, value) for column, value in zip(self.columns, values, strict=True)}
        data = await client.get(key)
        if data is None:
            return None
        if self.shape == "string":
            return {column: _text(key, data) for column in self.columns}
        return self._from_json(key, data)

    def _from_json(self, key: str, data: bytes) -> dict[str, Any]:
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise DataError(f"Redis key {key}: malformed JSON: {error}") from None
        if not isinstance(value, dict):
            raise DataError(f"Redis key {key}: a JSON object is needed, not {type(value).__name__}")
        return {column: value.get(field) for column, field in self.columns.items()}

    def on_no_answer(self, key: str | None) -> dict[str, Any] | None:
        """Return the columns of a row without an answer.

        Returns:
            Columns to add, none to keep the row as it is; None to drop it.

        Raises:
            DataError: Such a row is an error.
        """
        if self.on_miss == "drop":
            return None
        if self.on_miss == "error":
            raise DataError(
                f"Redis has no key {key}" if key else f"a field of the Redis key {self.template.text} is null"
            )
        return dict(self.defaults)

    def complete(self, found: dict[str, Any]) -> dict[str, Any]:
        """Return the columns found, defaults in place of those that are null."""
        if not self.defaults:
            return found
        return {name: self.defaults.get(name) if value is None else value for name, value in found.items()}


def parse_lookup(key: str, shape: str, columns: str | Mapping[str, str | None], on_miss: Any) -> Lookup:
    """Check the options of a look-up.

    Raises:
        ConfigError: One of them cannot be used; the message names it.
    """
    if shape not in _SHAPES:
        raise ConfigError(
            f"Option shape: {shape!r} is not {', '.join(_SHAPES)}{did_you_mean(shape, _SHAPES)}", key="shape"
        )
    pairs = _columns(shape, columns)
    word, defaults = _on_miss(on_miss, pairs)
    return Lookup(KeyTemplate(key, "key"), shape, pairs, word, defaults)  # type: ignore[arg-type]


def _columns(shape: str, columns: Any) -> dict[str, str]:
    pairs = {columns: None} if isinstance(columns, str) else columns
    if not isinstance(pairs, Mapping) or not pairs:
        raise ConfigError("Option columns must name the columns to add", key="columns")
    if shape == "string":
        if len(pairs) != 1 or any(pairs.values()):
            raise ConfigError("Option columns: shape string fills one column and has no fields", key="columns")
        return dict.fromkeys(pairs, "")
    lacking = next((column for column, source in pairs.items() if not isinstance(source, str) or not source), None)
    if lacking is not None:
        raise ConfigError(f"Option columns: {lacking} needs the name of a field of the {shape}", key="columns")
    return dict(pairs)


def _on_miss(given: Any, columns: Mapping[str, str]) -> tuple[OnMiss, dict[str, Any]]:
    if isinstance(given, Mapping):
        unknown = next((name for name in given if name not in columns), None)
        if unknown is not None:
            near = did_you_mean(unknown, columns)
            raise ConfigError(f"Option on_miss: {unknown} is not in columns{near}", key="on_miss")
        return "keep", {column: given.get(column) for column in columns}
    if given not in _MISS_WORDS:
        near = did_you_mean(str(given), _MISS_WORDS)
        raise ConfigError(
            f"Option on_miss: {given!r} is not keep, drop, error or defaults by column{near}", key="on_miss"
        )
    return given, {}


def _text(key: str, data: bytes | None) -> str | None:
    if data is None:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"Redis key {key}: not UTF-8: {error}") from None
