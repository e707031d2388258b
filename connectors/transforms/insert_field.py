"""InsertField: facts about the record, or a fixed text, as fields."""

from __future__ import annotations

from typing import Any, Final

from connectors.api.config import ConfigDef, Type
from connectors.api.errors import ConfigError
from connectors.api.record import SinkRecord, SourceRecord
from connectors.transforms.base import RowTransform, with_null_default
from connectors.transforms.values import Edit

__all__ = ["InsertField", "InsertFieldKey", "InsertFieldValue"]

_OPTIONS: Final = {
    "topic.field": "Field for the topic.",
    "partition.field": "Field for the partition.",
    "offset.field": "Field for the offset; for sinks only.",
    "timestamp.field": "Field for the record's timestamp in milliseconds since 1970.",
    "static.field": "Field for a fixed text.",
    "static.value": "The fixed text.",
}


class InsertField(RowTransform):
    """Adds the topic, partition, offset, timestamp or a fixed text; null stays null.

    The suffixes `!` (required) and `?` (optional) of field names are accepted and have no effect without schemas.

    Source: org.apache.kafka.connect.transforms.InsertField.
    """

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        definition = ConfigDef()
        for name, doc in _OPTIONS.items():
            definition.define(name, Type.STRING, None, doc=doc)
        return with_null_default(definition)

    def set_up(self, options: dict[str, Any]) -> None:
        """Take the fields.

        Raises:
            ConfigError: No field is named, or `static.field` and `static.value` do not stand together.
        """
        names = {option: _plain(options[option]) for option in _OPTIONS if option.endswith(".field")}
        self._fields = {option: name for option, name in names.items() if name}
        self._static: str | None = options["static.value"]
        if not self._fields:
            raise ConfigError(f"Set one of {', '.join(names)}", key="static.field")
        if ("static.field" in self._fields) != (self._static is not None):
            raise ConfigError("Options static.field and static.value must stand together", key="static.value")

    def edit(self, record: SourceRecord | SinkRecord) -> Edit:
        """Return what to do to the rows."""
        added = {name: self._fact(option, record) for option, name in self._fields.items()}
        # The former values stay: nobody knows what the field held before.
        return Edit(lambda row, _: {**row, **added}, old=lambda row, _: row)

    def _fact(self, option: str, record: SourceRecord | SinkRecord) -> Any:
        if option == "topic.field":
            return record.topic
        if option == "partition.field":
            return record.partition
        if option == "timestamp.field":
            return record.timestamp_ms
        if option == "static.field":
            return self._static
        if isinstance(record, SourceRecord):
            raise self.fault("offset.field: a record of a source has no offset yet; use the transform in a sink")
        return record.offset


def _plain(name: str | None) -> str:
    return (name or "").strip().removesuffix("!").removesuffix("?")


class InsertFieldKey(InsertField):
    """`InsertField$Key`."""

    on = "key"


class InsertFieldValue(InsertField):
    """`InsertField$Value`."""
