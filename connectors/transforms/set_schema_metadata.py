"""SetSchemaMetadata: refused, because values have no schema here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from connectors.api.config import ConfigDef, Type
from connectors.api.errors import ConfigError
from connectors.api.record import SinkRecord, SourceRecord
from connectors.transforms.base import NamedTransform, with_null_default

__all__ = ["SetSchemaMetadata", "SetSchemaMetadataKey", "SetSchemaMetadataValue"]

R = TypeVar("R", SourceRecord, SinkRecord)


class SetSchemaMetadata(NamedTransform):
    """Is known by name so that its refusal can say why.

    Kafka Connect fails every record without a schema; refusing the configuration tells it before the first one. A
    transform that did nothing would let the user believe that consumers see the schema's name.

    Source: org.apache.kafka.connect.transforms.SetSchemaMetadata.
    """

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        definition = (
            ConfigDef()
            .define("schema.name", Type.STRING, None, doc="Name of the schema.", validator=_refused)
            .define("schema.version", Type.INT, None, doc="Version of the schema.", validator=_refused)
        )
        return with_null_default(definition)

    def configure(self, options: Mapping[str, str]) -> None:
        """Refuse.

        Raises:
            ConfigError: Always.
        """
        self.config().parse(options)
        _refused("type", self.name)

    def apply(self, record: R) -> R | None:
        """Return the record; never called, as no configuration is accepted."""
        return record


def _refused(name: str, value: Any) -> None:
    if value is not None:
        message = "SetSchemaMetadata cannot be used: values have no schema here; remove the transform"
        raise ConfigError(f"Option {name}: {message}", key=name)


class SetSchemaMetadataKey(SetSchemaMetadata):
    """`SetSchemaMetadata$Key`."""


class SetSchemaMetadataValue(SetSchemaMetadata):
    """`SetSchemaMetadata$Value`."""
