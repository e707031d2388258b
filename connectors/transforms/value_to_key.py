"""ValueToKey: a key made of fields of the value."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from connectors.api.config import ConfigDef, Importance, Type
from connectors.api.errors import DataError
from connectors.api.record import SinkRecord, SourceRecord
from connectors.api.validators import non_empty
from connectors.transforms.base import NamedTransform, is_heartbeat, with_null_default
from connectors.transforms.paths import MISSING, SYNTAX, FieldPath, with_syntax
from connectors.transforms.values import Struct, common_value, rows_of

__all__ = ["ValueToKey"]

R = TypeVar("R", SourceRecord, SinkRecord)


class ValueToKey(NamedTransform):
    """Replaces the key by an object of fields of the value; as text, the key is JSON.

    A missing field is an error: Kafka Connect's null would put unrelated records under one key. The rows of one
    message must agree; a message without rows (DDL) keeps its key.

    Source: org.apache.kafka.connect.transforms.ValueToKey.
    """

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        doc = "Fields of the value that make the key."
        definition = ConfigDef().define("fields", Type.LIST, doc=doc, importance=Importance.HIGH, validator=non_empty)
        return with_syntax(with_null_default(definition))

    def set_up(self, options: dict[str, Any]) -> None:
        """Take the fields."""
        self._paths = [FieldPath.parse("fields", field, options[SYNTAX]) for field in options["fields"]]

    def apply(self, record: R) -> R | None:
        """Return the record with the new key."""
        if is_heartbeat(record):
            return record
        if record.value is None:
            what = (
                "a tombstone has no fields to make a key of; leave it out by the predicate RecordIsTombstone, negated"
            )
            raise self.fault(what)
        try:
            rows = rows_of(record.value)
            key = Struct({path.name: self._field(rows, path) for path in self._paths} if rows else {})
        except DataError as error:
            raise self.fault(f"value: {error}") from None
        return replace(record, key=key) if rows else record

    def _field(self, rows: list[dict[str, Any]], path: FieldPath) -> Any:
        value = common_value(rows, path)
        if value is MISSING:
            raise DataError(f"there is no field {path} to make a key of; correct the option fields")
        return value
