"""Names of fields: plain ones, and paths into nested objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from connectors.api.config import ConfigDef, Importance, Type
from connectors.api.errors import ConfigError
from connectors.api.validators import one_of

__all__ = ["MISSING", "SYNTAX", "FieldPath", "with_syntax"]

SYNTAX: Final = "field.syntax.version"

MISSING: Final[Any] = object()
"""Stands for a field that is not there, as opposed to one that is null."""


@dataclass(frozen=True, slots=True)
class FieldPath:
    """Where a field stands in a row.

    Attributes:
        steps: Names from the outermost object to the field.

    Source: KIP-821: with `field.syntax.version=V2` dots separate steps, and a step with dots stands in backticks.
    """

    steps: tuple[str, ...]

    @classmethod
    def parse(cls, option: str, text: str, version: str = "V1") -> FieldPath:
        """Parse the text of an option.

        Args:
            option: Name of the option, for messages.
            text: A name (V1) or a path such as ``a.`b.c`.d`` (V2).
            version: V1 or V2.

        Raises:
            ConfigError: A step is empty or a backtick is not closed.
        """
        steps = (text,) if version == "V1" else tuple(_steps(option, text))
        if not all(steps):
            raise ConfigError(f"Option {option}: {text!r} has an empty name", key=option)
        return cls(steps)

    def __str__(self) -> str:
        return ".".join(self.steps)

    @property
    def name(self) -> str:
        """The last step."""
        return self.steps[-1]

    def get(self, row: Any) -> Any:
        """Return the field's value, or `MISSING`."""
        for step in self.steps:
            if not isinstance(row, dict) or step not in row:
                return MISSING
            row = row[step]
        return row

    def update(self, row: dict[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
        """Return the row with the field's value changed; the row itself where there is no such field.

        Args:
            row: The row; it is not changed.
            change: Makes the new value of the former one; `MISSING` as the new value takes the field out.
        """
        return _update(row, self.steps, change)


def _update(row: dict[str, Any], steps: tuple[str, ...], change: Callable[[Any], Any]) -> dict[str, Any]:
    first, rest = steps[0], steps[1:]
    if first not in row:
        return row
    former = row[first]
    if rest and not isinstance(former, dict):
        return row
    made = _update(former, rest, change) if rest else change(former)
    if made is former:
        return row
    if made is MISSING:
        return {name: value for name, value in row.items() if name != first}
    # Copies along the path only: rows may be shared with records that other transforms made.
    return {**row, first: made}


def _steps(option: str, text: str) -> list[str]:
    steps: list[str] = []
    rest = text
    while True:
        if rest.startswith("`"):
            step, closed, rest = rest[1:].partition("`")
            if not closed or (rest and rest[0] != "."):
                raise ConfigError(f"Option {option}: {text!r} has a backtick that is not closed", key=option)
            more = rest.startswith(".")
            rest = rest[1:]
        else:
            step, dot, rest = rest.partition(".")
            more = bool(dot)
        steps.append(step)
        if not more:
            return steps


def with_syntax(definition: ConfigDef) -> ConfigDef:
    """Add the option `field.syntax.version`."""
    return definition.define(
        SYNTAX,
        Type.STRING,
        "V1",
        doc="V1: names are taken as they are. V2: dots lead into nested objects, backticks hold a name with dots.",
        validator=one_of("V1", "V2"),
        importance=Importance.MEDIUM,
        recommended=("V1", "V2"),
    )
