"""Converters `avro`, `json-schema` and `protobuf`: schemas from a Confluent-compatible schema registry."""
