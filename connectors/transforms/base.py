"""What the transforms of a record's key or value have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal, TypeVar

from connectors.api.config import ConfigDef, Importance, Type
from connectors.api.errors import DataError
from connectors.api.record import SinkRecord, SourceRecord
from connectors.api.transform import Transform
from connectors.transforms.values import Edit, edit_value

__all__ = ["NamedTransform", "RowTransform", "SidedTransform", "is_heartbeat", "with_null_default"]

R = TypeVar("R", SourceRecord, SinkRecord)
Side = Literal["key", "value"]


def is_heartbeat(record: SourceRecord | SinkRecord) -> bool:
    """Tell whether a record sends nothing and only has an offset stored; transforms leave it alone."""
    return not record.topic


def with_null_default(definition: ConfigDef) -> ConfigDef:
    """Add `replace.null.with.default` (KIP-1040), so that configurations of Kafka Connect can be used unchanged."""
    return definition.define(
        "replace.null.with.default",
        Type.BOOLEAN,
        True,
        doc="Has no effect: values have no schema here, so that there are no default values.",
        importance=Importance.LOW,
    )


class NamedTransform(Transform):
    """A transform that has a name for messages and keeps its options."""

    def configure(self, options: Mapping[str, str]) -> None:
        """Take the options.

        Raises:
            ConfigError: An option cannot be used.
        """
        self.set_up(self.config().parse(options))

    def set_up(self, options: dict[str, Any]) -> None:
        """Take the parsed options; the default needs none."""
        return

    @property
    def name(self) -> str:
        """The name that users write as `type`."""
        return type(self).__name__

    def fault(self, what: object) -> DataError:
        """Return an error about one record, with the transform's name in front."""
        return DataError(f"Transform {self.name}: {what}")


class SidedTransform(NamedTransform):
    """A transform of the key (`...$Key`) or the value (`...$Value`, also without a suffix)."""

    on: ClassVar[Side] = "value"

    @property
    def name(self) -> str:
        """The name that users write as `type`."""
        plain = type(self).__name__.removesuffix("Key").removesuffix("Value")
        return f"{plain}$Key" if self.on == "key" else f"{plain}$Value"

    def apply(self, record: R) -> R | None:
        """Return the record with its key or value transformed."""
        if is_heartbeat(record):
            return record
        former = record.key if self.on == "key" else record.value
        try:
            made = self.changed(former, record)
        except DataError as error:
            # A fault of this transform names it already; one of the adapter does not.
            if str(error).startswith("Transform "):
                raise
            raise self.fault(f"{self.on}: {error}") from None
        if made is former:
            return record
        return replace(record, key=made) if self.on == "key" else replace(record, value=made)

    @abstractmethod
    def changed(self, value: Any, record: SourceRecord | SinkRecord) -> Any:
        """Return the new key or value; the same object where nothing changes."""


class RowTransform(SidedTransform):
    """A transform of every row by itself; null stays null."""

    def changed(self, value: Any, record: SourceRecord | SinkRecord) -> Any:
        """Return the value with its rows changed."""
        return None if value is None else edit_value(value, self.edit(record))

    @abstractmethod
    def edit(self, record: SourceRecord | SinkRecord) -> Edit:
        """Return what to do to the rows."""
