"""Converter `json-schema`."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

import orjson

from connectors.formats.canal import encode_object
from connectors.formats.registry.base import SchemaTextConverter

__all__ = ["JsonSchemaConverter"]

_TEXT: Final = {"type": ["string", "null"]}
_NUMBER: Final = {"type": ["integer", "null"]}
_ROWS: Final = {"type": ["array", "null"], "items": {"type": "object", "additionalProperties": _TEXT}}

CANAL_SCHEMA: Final = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "canal.FlatMessage",
    "type": "object",
    "required": ["database", "table", "type"],
    "properties": {
        "id": _NUMBER,
        "database": _TEXT,
        "table": _TEXT,
        "pkNames": {"type": ["array", "null"], "items": {"type": "string"}},
        "isDdl": {"type": "boolean"},
        "type": {"type": "string"},
        "es": _NUMBER,
        "ts": _NUMBER,
        "sql": _TEXT,
        "sqlType": {"type": ["object", "null"], "additionalProperties": {"type": "integer"}},
        "mysqlType": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
        "data": _ROWS,
        "old": _ROWS,
        "gtid": _TEXT,
    },
}


class JsonSchemaConverter(SchemaTextConverter):
    """JSON with a JSON Schema in the registry; values are checked against it on both ways."""

    SCHEMA_DOC = "A JSON Schema with a title."

    def prepare(self) -> None:
        """Make the serializers; one for the schema given or the latest, one for Canal messages."""
        from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer

        options, schema = self.serializer_options(), self.given_schema()
        self._write = self._write_canal = None
        if schema is not None or options["use.latest.version"]:
            given = schema.decode() if schema else None
            self._write = JSONSerializer(given, self.registry, conf=options, json_encode=encode_object)
        else:
            self._write_canal = JSONSerializer(orjson.dumps(CANAL_SCHEMA).decode(), self.registry, conf=options)
        self._read = JSONDeserializer(
            None,
            schema_registry_client=self.registry,
            conf={"subject.name.strategy": self.strategy()},
            json_decode=_exact,
        )

    def decode(self, topic: str, data: bytes) -> Any:
        """Decode and check."""
        return self._read(data, self.context(topic))


def _exact(data: str | bytes) -> Any:
    return json.loads(data, parse_float=Decimal)
