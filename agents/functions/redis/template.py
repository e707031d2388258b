"""Redis keys made from the fields of a row: `dim:style:{astyle}`."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter
from typing import Any

from connectors.api.errors import ConfigError, DataError

__all__ = ["KeyTemplate"]


class KeyTemplate:
    """A key with places for fields; `{{` and `}}` stand for braces themselves.

    Args:
        text: The template.
        option: Name of the option it comes from, for messages.

    Raises:
        ConfigError: A brace has no partner, or no field stands in the template.
    """

    def __init__(self, text: str, option: str) -> None:
        self.text = text
        try:
            pieces = list(Formatter().parse(text))
        except ValueError as error:
            raise ConfigError(f"Option {option}: cannot read {text!r}: {error}", key=option) from None
        self.fields = tuple(field for _, field, _, _ in pieces if field is not None)
        if not self.fields or not all(self.fields):
            raise ConfigError(f"Option {option}: {text!r} names no field; write e.g. dim:style:{{astyle}}", key=option)
        if any(spec or conversion for _, _, spec, conversion in pieces):
            raise ConfigError(f"Option {option}: {text!r}: only names of fields may stand in braces", key=option)
        self._pieces = tuple((literal, field) for literal, field, _, _ in pieces)

    def key(self, row: Mapping[str, Any]) -> str | None:
        """Return the key of a row, or None where one of its fields is null: null is equal to nothing.

        Raises:
            DataError: The row lacks a field, or it holds an object or array.
        """
        text = ""
        for literal, field in self._pieces:
            text += literal
            if field is None:
                continue
            if field not in row:
                raise DataError(f"the row has no field {field}, which the Redis key {self.text} needs")
            value = row[field]
            if value is None:
                return None
            text += value if isinstance(value, str) else self._text(field, value)
        return text

    def _text(self, field: str, value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return str(value)
        raise DataError(f"field {field} is a {type(value).__name__}, the Redis key {self.text} needs a single value")
