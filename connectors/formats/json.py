"""Converter `json`: any JSON value, plain or in Kafka Connect's envelope of schema and payload."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import orjson

from connectors.api.config import ConfigDef, Importance, Type
from connectors.api.converter import Converter
from connectors.api.errors import DataError
from connectors.api.record import Headers
from connectors.api.validators import at_least, one_of
from connectors.formats.canal import decode_json, encode_object
from connectors.formats.connect_schema import Decode, decoder

__all__ = ["JsonConverter"]


class JsonConverter(Converter):
    """JSON; a number with a fraction becomes a `Decimal` digit by digit.

    Source: org.apache.kafka.connect.json.JsonConverter. Values have no schema here, so `schemas.enable` is off unless
    told, and what is written with it has `"schema": null`, as Kafka Connect writes values without one.
    """

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        return (
            ConfigDef()
            .define(
                "schemas.enable",
                Type.BOOLEAN,
                False,
                doc="Read and write `{schema, payload}`; values are read by their schema's types.",
                importance=Importance.HIGH,
            )
            .define(
                "schemas.cache.size",
                Type.INT,
                1000,
                doc="How many schemas are kept.",
                validator=at_least(0),
                importance=Importance.LOW,
            )
            .define(
                "decimal.format",
                Type.STRING,
                "NUMERIC",
                doc="How a decimal is written: only as a number, as the base64 form needs a schema. Both are read.",
                validator=one_of("NUMERIC"),
                importance=Importance.LOW,
            )
            .define(
                "replace.null.with.default",
                Type.BOOLEAN,
                True,
                doc="Give a missing field its schema's default when reading.",
                importance=Importance.LOW,
            )
        )

    def configure(self, options: Mapping[str, str], *, is_key: bool) -> None:
        """Take the options."""
        given = self.config().parse(options)
        self._enveloped: bool = given["schemas.enable"]
        defaults: bool = given["replace.null.with.default"]

        def compiled(schema: bytes) -> Decode:
            return decoder(orjson.loads(schema), defaults=defaults)

        self._decoder: Callable[[bytes], Decode] = lru_cache(given["schemas.cache.size"])(compiled)

    def from_connect(self, topic: str, headers: Headers, value: Any) -> bytes | None:
        """Encode a value."""
        if value is None:
            return None
        try:
            return encode_object({"schema": None, "payload": value} if self._enveloped else value)
        except DataError as error:
            raise DataError(f"topic {topic}: {error}") from None

    def to_connect(self, topic: str, headers: Headers, data: bytes | None) -> Any:
        """Decode a value."""
        if data is None:
            return None
        value = decode_json(data)
        return self._payload(value) if self._enveloped else value

    def _payload(self, value: Any) -> Any:
        if not isinstance(value, dict) or value.keys() != {"schema", "payload"}:
            raise DataError(
                "with schemas.enable a message is {schema, payload} and nothing else;"
                " for plain JSON set schemas.enable=false"
            )
        if value["schema"] is None:
            return value["payload"]
        return self._decoder(orjson.dumps(value["schema"], option=orjson.OPT_SORT_KEYS))(value["payload"])
