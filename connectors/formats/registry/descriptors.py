"""Protobuf message classes from descriptors: of a file, or of the registry with what they import."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from connectors.api.errors import DataError

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

__all__ = ["file_set", "message_at", "message_named", "registry_files"]

File = descriptor_pb2.FileDescriptorProto


def file_set(data: bytes) -> list[File]:
    """Parse what `protoc --include_imports --descriptor_set_out=FILE` wrote.

    Raises:
        DataError: It is something else.
    """
    try:
        files = list(descriptor_pb2.FileDescriptorSet.FromString(data).file)
    except DecodeError:
        files = []
    if not any(file.message_type for file in files):
        raise DataError("a descriptor set is needed (protoc --include_imports --descriptor_set_out=FILE)")
    return files


def registry_files(registry: SchemaRegistryClient, schema: Schema, name: str = "schema.proto") -> list[File]:
    """Return a schema's file with those that it refers to before it, as the registry serializes them.

    Raises:
        DataError: The registry gave no descriptor.
    """
    files: list[File] = []
    for reference in schema.references or ():
        version = registry.get_version(reference.subject, reference.version, fmt="serialized")
        files += registry_files(registry, version.schema, reference.name)
    try:
        file = File.FromString(base64.standard_b64decode(schema.schema_str or ""))
    except (binascii.Error, DecodeError):
        raise DataError("the schema registry gave no serialized descriptor (format=serialized)") from None
    file.name = file.name or name
    return [*files, file]


def message_at(files: Sequence[File], indexes: Sequence[int]) -> type[Message]:
    """Return the class at a path of indexes in the last file, as the wire format names it.

    Raises:
        DataError: There is no such message.
    """
    found: Any = _pool(files).FindFileByName(files[-1].name)
    children = list(found.message_types_by_name.values())
    for index in indexes:
        if index >= len(children):
            raise DataError(f"the schema has no message at {list(indexes)}")
        found, children = children[index], list(children[index].nested_types)
    made: type[Message] = message_factory.GetMessageClass(found)
    return made


def message_named(files: Sequence[File], name: str) -> type[Message]:
    """Return the class of a full name.

    Raises:
        DataError: There is no such message.
    """
    try:
        found = _pool(files).FindMessageTypeByName(name)
    except KeyError:
        raise DataError(f"the schema has no message {name}") from None
    made: type[Message] = message_factory.GetMessageClass(found)
    return made


def _pool(files: Iterable[File]) -> Any:
    # A pool for each schema: versions of one file would collide in a common one.
    pool, known = descriptor_pool.DescriptorPool(), descriptor_pool.Default()
    added: set[str] = set()

    def add(file: File) -> None:
        if file.name in added:
            return
        for dependency in file.dependency:
            if dependency not in names:  # Protobuf's own; nobody sends them
                imported = File()
                known.FindFileByName(dependency).CopyToProto(imported)
                add(imported)
        added.add(file.name)
        pool.AddSerializedFile(file.SerializeToString())

    every = list(files)
    names = {file.name for file in every}
    try:
        for file in every:
            add(file)
    except (KeyError, TypeError) as error:
        raise DataError(f"the schema cannot be built: {error}") from None
    return pool
