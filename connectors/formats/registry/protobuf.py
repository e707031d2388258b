"""Converter `protobuf`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from connectors.api.config import ConfigDef, Type
from connectors.api.errors import ConfigError, DataError
from connectors.formats.registry.base import RegistryConverter
from connectors.formats.registry.descriptors import file_set, message_at, message_named, registry_files
from connectors.formats.registry.protobuf_values import value_of

__all__ = ["ProtobufConverter"]


class ProtobufConverter(RegistryConverter):
    """Protobuf messages with the registry's wire format, without generated classes: the descriptor is the schema."""

    SCHEMA_DOC = "A descriptor set as `protoc --include_imports --descriptor_set_out=FILE` writes it, by its path."

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        return (
            super()
            .config()
            .define(
                "schema.message",
                Type.STRING,
                None,
                doc="Full name of the message to write; the first one of the schema is the default.",
            )
        )

    def prepare(self) -> None:
        """Read the schema where one is given."""
        self._writers: dict[str, tuple[type[Message], Any]] = {}
        self._reader = lru_cache(maxsize=1000)(self._writer_class)
        given = self.given_schema()
        try:
            self._given = None if given is None else self._chosen(file_set(given))
        except DataError as error:
            raise ConfigError(f"Option schema: {error}", key="schema") from None

    def encode(self, topic: str, value: Any) -> bytes:
        """Encode an object as a message of the schema given or the latest; unknown fields are an error."""
        kind, write = self._writer(topic)
        try:
            message = json_format.ParseDict(value, kind())
        except json_format.ParseError as error:
            raise DataError(f"topic {topic}: the value does not fit {kind.DESCRIPTOR.full_name}: {error}") from None
        data: bytes = write(message, self.context(topic))
        return data

    def decode(self, topic: str, data: bytes) -> Any:
        """Decode by the writer's descriptor."""
        indexes, begin = _message_indexes(data)
        message = self._reader(int.from_bytes(data[1:5], "big"), indexes)()
        try:
            message.ParseFromString(data[begin:])
        except DecodeError as error:
            raise DataError(f"topic {topic}: {error}") from None
        return value_of(message)

    def _writer_class(self, number: int, indexes: tuple[int, ...]) -> type[Message]:
        schema = self.registry.get_schema(number, fmt="serialized")
        return message_at(registry_files(self.registry, schema), indexes)

    def _writer(self, topic: str) -> tuple[type[Message], Any]:
        found = self._writers.get(topic)
        if found is None:
            from confluent_kafka.schema_registry.protobuf import ProtobufSerializer

            kind = self._given or self._latest(topic)
            options = self.serializer_options() | {"use.deprecated.format": False}
            found = self._writers[topic] = kind, ProtobufSerializer(kind, self.registry, options)
        return found

    def _latest(self, topic: str) -> type[Message]:
        if not self.options["use.latest.version"]:
            raise self.no_schema(topic)
        subject = self.strategy()(self.context(topic), None)
        latest = self.registry.get_latest_version(subject, fmt="serialized")
        return self._chosen(registry_files(self.registry, latest.schema))

    def _chosen(self, files: list[Any]) -> type[Message]:
        name = self.options["schema.message"]
        return message_named(files, name) if name is not None else message_at(files, (0,))


def _message_indexes(data: bytes) -> tuple[tuple[int, ...], int]:
    """Return the path to the message in its file, and where the payload begins."""
    count, place = _varint(data, 5)
    if count == 0:  # short for the first message
        return (0,), place
    indexes = []
    for _ in range(count):
        index, place = _varint(data, place)
        indexes.append(index)
    return tuple(indexes), place


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """Read a zigzag number."""
    number = shift = 0
    while place < len(data) and shift < 35:
        byte = data[place]
        number |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            value = (number >> 1) ^ -(number & 1)
            if value < 0:
                break
            return value, place
    raise DataError("the registry's wire format: the message's place in its schema is broken")
