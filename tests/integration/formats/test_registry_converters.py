"""The registry's converters against a registry on HTTP, each value there and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from connectors.api.converter import Converter
from connectors.api.errors import ConfigError, DataError, RetriableError
from connectors.formats.registry.avro import AvroConverter
from connectors.formats.registry.json_schema import JsonSchemaConverter
from connectors.formats.registry.protobuf import ProtobufConverter

from .registry import Registry

SEED = {
    "type": "record",
    "name": "Pojo",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "name", "type": ["null", "string"], "default": None},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": 10}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ],
}
ROW = {
    "id": 7,
    "name": "Ada",
    "price": Decimal("1234567890123456789012345678.0123456789"),
    "at": datetime(2024, 5, 6, 7, 8, 9, 123456, tzinfo=UTC),
}
MESSAGE = {
    "id": 1,
    "database": "shop",
    "table": "orders",
    "pkNames": ["id"],
    "isDdl": False,
    "type": "UPDATE",
    "es": 1700000000000,
    "ts": 1700000000123,
    "sql": "",
    "sqlType": {"id": -5},
    "mysqlType": {"id": "bigint"},
    "data": [{"id": "1", "note": None}],
    "old": [{"note": "é"}],
}
CONVERTERS = [AvroConverter, JsonSchemaConverter]


@pytest.fixture
def registry() -> Iterator[Registry]:
    server = Registry()
    yield server
    server.close()


def made(kind: type[Converter], registry: Registry, *, is_key: bool = False, **options: str) -> Any:
    converter = kind()
    given = {name.replace("__", "."): value for name, value in options.items()}
    converter.configure({"schema.registry.url": registry.url} | given, is_key=is_key)
    return converter


def file_set(*extra: tuple[str, int, str]) -> bytes:
    file = descriptor_pb2.FileDescriptorProto(name="pojo.proto", package="shop", syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")
    message = file.message_type.add(name="Pojo")
    kinds = descriptor_pb2.FieldDescriptorProto
    fields = [("id", kinds.TYPE_INT64, ""), ("blob", kinds.TYPE_BYTES, ""), ("at", kinds.TYPE_MESSAGE, "timestamp")]
    for number, (name, kind, _) in enumerate([*fields, *extra], 1):
        field = message.field.add(name=name, number=number, type=kind, label=kinds.LABEL_OPTIONAL)
        if kind == kinds.TYPE_MESSAGE:
            field.type_name = ".google.protobuf.Timestamp"
    from google.protobuf import timestamp_pb2

    stamp = descriptor_pb2.FileDescriptorProto()
    timestamp_pb2.DESCRIPTOR.CopyToProto(stamp)
    return descriptor_pb2.FileDescriptorSet(file=[stamp, file]).SerializeToString()


def test_avro_row_comes_back_digit_by_digit(registry) -> None:
    converter = made(AvroConverter, registry, schema=json.dumps(SEED))
    data = converter.from_connect("orders", [], ROW)
    assert data[:5] == b"\0\0\0\0\1"
    assert converter.to_connect("orders", [], data) == ROW
    assert list(registry.subjects) == ["orders-value"]


def test_key_has_a_subject_of_its_own(registry) -> None:
    converter = made(AvroConverter, registry, is_key=True, schema='"long"')
    assert converter.to_connect("orders", [], converter.from_connect("orders", [], 7)) == 7
    assert list(registry.subjects) == ["orders-key"]


@pytest.mark.parametrize("kind", CONVERTERS)
def test_canal_message_of_a_source_becomes_row_changes(registry, kind) -> None:
    converter = made(kind, registry)
    data = converter.from_connect("canal", [], json.dumps(MESSAGE).encode())
    (change,) = converter.to_connect("canal", [("connect.ts_us", b"17")], data)
    assert (change.op, change.database, change.table, change.ts_us) == ("UPDATE", "shop", "orders", 17)
    assert (change.row, change.old, change.key) == ({"id": "1", "note": None}, {"note": "é"}, ("id",))


def test_second_message_asks_the_registry_nothing(registry) -> None:
    converter = made(AvroConverter, registry)
    converter.to_connect("canal", [], converter.from_connect("canal", [], MESSAGE))
    asked = len(registry.requests)
    converter.to_connect("canal", [], converter.from_connect("canal", [], MESSAGE))
    assert len(registry.requests) == asked


def test_writer_uses_the_latest_schema(registry) -> None:
    registry.register("orders-value", json.dumps(SEED))
    converter = made(AvroConverter, registry, use__latest__version="true")
    assert converter.to_connect("orders", [], converter.from_connect("orders", [], ROW)) == ROW


@pytest.mark.parametrize("kind", [*CONVERTERS, ProtobufConverter])
def test_value_without_a_schema_is_refused_with_what_to_set(registry, kind) -> None:
    with pytest.raises(DataError, match=r"topic orders: no schema .* value\.converter\.use\.latest\.version=true"):
        made(kind, registry).from_connect("orders", [], {"id": 1})


def test_value_that_does_not_fit_is_refused(registry) -> None:
    with pytest.raises(DataError, match="topic orders"):
        made(AvroConverter, registry, schema=json.dumps(SEED)).from_connect("orders", [], {"id": "seven"})


def test_json_number_keeps_its_digits_and_is_checked(registry) -> None:
    schema = {"title": "Price", "type": "object", "properties": {"price": {"type": "number"}}}
    converter = made(JsonSchemaConverter, registry, schema=json.dumps(schema))
    value = {"price": Decimal("0.1234567890123456789")}
    assert converter.to_connect("orders", [], converter.from_connect("orders", [], value)) == value
    with pytest.raises(DataError, match="not of type 'number'"):
        converter.from_connect("orders", [], {"price": "dear"})


def test_protobuf_message_comes_back_with_its_types(registry, tmp_path) -> None:
    path = tmp_path / "pojo.desc"
    path.write_bytes(file_set())
    converter = made(ProtobufConverter, registry, schema=str(path))
    data = converter.from_connect("orders", [], {"id": 2**60, "blob": "AAEC", "at": "2024-05-06T07:08:09.5Z"})
    expected = {"id": 2**60, "blob": b"\0\1\2", "at": datetime(2024, 5, 6, 7, 8, 9, 500000, tzinfo=UTC)}
    assert converter.to_connect("orders", [], data) == expected
    with pytest.raises(DataError, match=r"does not fit shop\.Pojo.*nmae"):
        converter.from_connect("orders", [], {"nmae": "Ada"})


def test_protobuf_descriptor_that_is_none_is_refused(registry, tmp_path) -> None:
    path = tmp_path / "pojo.proto"
    path.write_text('syntax = "proto3"; message Pojo {}')
    with pytest.raises(ConfigError, match="descriptor_set_out"):
        made(ProtobufConverter, registry, schema=str(path))


def test_protobuf_writer_finds_the_latest_schema_and_its_message(registry, tmp_path) -> None:
    path = tmp_path / "pojo.desc"
    path.write_bytes(file_set())
    made(ProtobufConverter, registry, schema=str(path)).from_connect("orders", [], {"id": 1})
    converter = made(ProtobufConverter, registry, use__latest__version="true", schema__message="shop.Pojo")
    data = converter.from_connect("orders", [], {"id": 5})
    assert converter.to_connect("orders", [], data) == {"id": 5, "blob": b"", "at": None}
    with pytest.raises(DataError, match=r"no message shop\.Nobody"):
        made(ProtobufConverter, registry, use__latest__version="true", schema__message="shop.Nobody").from_connect(
            "orders", [], {"id": 5}
        )


@pytest.mark.parametrize("indexes", [b"", b"\x01", b"\x80\x80\x80\x80\x80\x80", b"\x04\x02"])
def test_broken_message_path_is_a_bad_record(registry, indexes) -> None:
    with pytest.raises(DataError, match="wire format"):
        made(ProtobufConverter, registry).to_connect("orders", [], b"\0\0\0\0\x01" + indexes)


@pytest.mark.parametrize("data", [b"", b"\0\0", b'{"id": 1}', b"\1\0\0\0\1xx"])
@pytest.mark.parametrize("kind", [*CONVERTERS, ProtobufConverter])
def test_bytes_of_another_format_are_bad_records(registry, kind, data) -> None:
    with pytest.raises(DataError, match="wire format"):
        made(kind, registry).to_connect("orders", [], data)


@pytest.mark.parametrize("kind", [*CONVERTERS, ProtobufConverter])
def test_unknown_schema_id_is_a_bad_record(registry, kind) -> None:
    with pytest.raises(DataError, match="404"):
        made(kind, registry).to_connect("orders", [], b"\0\0\0\0\x63\0\0")


@pytest.mark.parametrize("kind", CONVERTERS)
def test_registry_that_is_away_asks_for_another_try(registry, kind) -> None:
    converter = made(kind, registry)
    registry.broken = True
    with pytest.raises(RetriableError, match="503"):
        converter.from_connect("canal", [], MESSAGE)
    registry.broken = False
    data = converter.from_connect("canal", [], MESSAGE)
    registry.close()
    with pytest.raises(RetriableError, match="does not answer"):
        made(kind, registry).to_connect("canal", [], data)


def test_password_of_the_registry_is_sent_and_never_told() -> None:
    registry = Registry(password="ada:s3cret")
    try:
        converter = made(AvroConverter, registry, basic__auth__user__info="ada:s3cret")
        assert converter.from_connect("canal", [], MESSAGE)
        with pytest.raises(DataError, match="401") as caught:
            made(AvroConverter, registry, basic__auth__user__info="ada:wr0ng").from_connect("canal", [], MESSAGE)
        assert "wr0ng" not in str(caught.value)
    finally:
        registry.close()


def test_tombstone_stays_a_tombstone(registry) -> None:
    for kind in [*CONVERTERS, ProtobufConverter]:
        converter = made(kind, registry)
        assert converter.from_connect("orders", [], None) is None
        assert converter.to_connect("orders", [], None) is None
