"""Converters and transforms of one task, built from its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from connectors.api.converter import Converter
from connectors.api.record import SinkRecord, SourceRecord
from connectors.api.transform import Transform
from connectors.runtime.plugins import converter_class, transform_class

__all__ = ["Chain", "converter"]

R = TypeVar("R", SourceRecord, SinkRecord)


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
    """The transforms of a task, applied in order."""

    def __init__(self, props: Mapping[str, str]) -> None:
        aliases = [alias.strip() for alias in props.get("transforms", "").split(",") if alias.strip()]
        self._transforms = [_transform(props, alias) for alias in aliases]

    def __bool__(self) -> bool:
        return bool(self._transforms)

    def apply(self, record: R) -> R | None:
        """Return the transformed record, or None where a transform dropped it."""
        result: R | None = record
        for transform in self._transforms:
            if result is None:
                return None
            result = transform.apply(result)
        return result

    def close(self) -> None:
        """Close all transforms."""
        for transform in self._transforms:
            transform.close()


def _transform(props: Mapping[str, str], alias: str) -> Transform:
    options = _below(props, f"transforms.{alias}.")
    option = f"transforms.{alias}.type"
    made = transform_class(option, options.pop("type", ""))()
    made.configure(options)
    return made


def _below(props: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in props.items() if name.startswith(prefix)}
