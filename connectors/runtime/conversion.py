"""Converters and transforms of one task, built from its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from connectors.api.converter import Converter
from connectors.api.errors import ConfigError, did_you_mean
from connectors.api.record import SinkRecord, SourceRecord
from connectors.api.transform import Predicate, Transform
from connectors.runtime.plugins import converter_class, predicate_class, transform_class

__all__ = ["Chain", "converter"]

R = TypeVar("R", SourceRecord, SinkRecord)

Step = tuple[Transform, Predicate | None, bool]


def converter(props: Mapping[str, str], which: str, default: str) -> Converter:
    """Return the converter that `key.converter` or `value.converter` names, configured.

    Args:
        props: The task's configuration.
        which: `key` or `value`.
        default: Name of the converter where the option is not set.

    Raises:
        ConfigError: There is no such converter, or an option of it cannot be used.
    """
    option = f"{which}.converter"
    made = converter_class(option, props.get(option) or default)()
    made.configure(_below(props, f"{option}."), is_key=which == "key")
    return made


class Chain:
    """The transforms of a task, applied in order, each to the records that its predicate chooses."""

    def __init__(self, props: Mapping[str, str]) -> None:
        predicates = {alias: _predicate(props, alias) for alias in _aliases(props, "predicates")}
        self._steps = [_step(props, alias, predicates) for alias in _aliases(props, "transforms")]

    def __bool__(self) -> bool:
        return bool(self._steps)

    def apply(self, record: R) -> R | None:
        """Return the transformed record, or None where a transform dropped it."""
        result: R | None = record
        for transform, predicate, negate in self._steps:
            if result is None:
                return None
            if predicate is None or predicate.test(result) is not negate:
                result = transform.apply(result)
        return result

    def close(self) -> None:
        """Close all transforms."""
        for transform, _, _ in self._steps:
            transform.close()


def _step(props: Mapping[str, str], alias: str, predicates: Mapping[str, Predicate]) -> Step:
    prefix = f"transforms.{alias}."
    options = _below(props, prefix)
    made = transform_class(f"{prefix}type", options.pop("type", ""))()
    name, negate = options.pop("predicate", ""), options.pop("negate", "false").lower() == "true"
    if name and name not in predicates:
        near = did_you_mean(name, predicates) or f"; predicates has {', '.join(predicates) or 'none'}"
        raise ConfigError(f"Option {prefix}predicate: no predicate {name}{near}", key=f"{prefix}predicate")
    made.configure(options)
    return made, predicates.get(name), negate


def _predicate(props: Mapping[str, str], alias: str) -> Predicate:
    options = _below(props, f"predicates.{alias}.")
    made = predicate_class(f"predicates.{alias}.type", options.pop("type", ""))()
    made.configure(options)
    return made


def _aliases(props: Mapping[str, str], option: str) -> list[str]:
    return [alias.strip() for alias in props.get(option, "").split(",") if alias.strip()]


def _below(props: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in props.items() if name.startswith(prefix)}
