"""Converter `avro`."""

from __future__ import annotations

from typing import Any, Final

import orjson

from connectors.formats.registry.base import SchemaTextConverter

__all__ = ["AvroConverter"]

_TEXT: Final = ["null", "string"]
_ROWS: Final = ["null", {"type": "array", "items": {"type": "map", "values": _TEXT}}]

CANAL_SCHEMA: Final = {
    "type": "record",
    "name": "FlatMessage",
    "namespace": "canal",
    "fields": [
        {"name": "id", "type": ["null", "long"], "default": None},
        {"name": "database", "type": _TEXT, "default": None},
        {"name": "table", "type": _TEXT, "default": None},
        {"name": "pkNames", "type": ["null", {"type": "array", "items": "string"}], "default": None},
        {"name": "isDdl", "type": "boolean", "default": False},
        {"name": "type", "type": "string"},
        {"name": "es", "type": ["null", "long"], "default": None},
        {"name": "ts", "type": ["null", "long"], "default": None},
        {"name": "sql", "type": _TEXT, "default": None},
        {"name": "sqlType", "type": ["null", {"type": "map", "values": "int"}], "default": None},
        {"name": "mysqlType", "type": ["null", {"type": "map", "values": "string"}], "default": None},
        {"name": "data", "type": _ROWS, "default": None},
        {"name": "old", "type": _ROWS, "default": None},
        {"name": "gtid", "type": _TEXT, "default": None},
    ],
}
"""Canal's flat message as an Avro record; the same for all tables, so one subject version serves a topic for ever."""


class AvroConverter(SchemaTextConverter):
    """Avro with the registry's wire format. Logical types become `Decimal`, `date`, `datetime`, `UUID`.

    Canal messages are written with a schema of their own where none is given.
    """

    SCHEMA_DOC = "An Avro schema in JSON."

    def prepare(self) -> None:
        """Make the serializers; one for the schema given or the latest, one for Canal messages."""
        from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer

        options, schema = self.serializer_options(), self.given_schema()
        self._write = self._write_canal = None
        if schema is not None or options["use.latest.version"]:
            self._write = AvroSerializer(self.registry, schema.decode() if schema else None, conf=options)
        else:
            self._write_canal = AvroSerializer(self.registry, orjson.dumps(CANAL_SCHEMA).decode(), conf=options)
        self._read = AvroDeserializer(self.registry, conf={"subject.name.strategy": self.strategy()})

    def decode(self, topic: str, data: bytes) -> Any:
        """Decode with the writer's schema."""
        return self._read(data, self.context(topic))
