"""ExtractField: one field in place of the whole."""

from __future__ import annotations

from typing import Any

from connectors.api.config import ConfigDef, Importance, Type
from connectors.api.record import SinkRecord, SourceRecord
from connectors.api.validators import non_empty
from connectors.transforms.base import RowTransform, with_null_default
from connectors.transforms.paths import MISSING, SYNTAX, FieldPath, with_syntax
from connectors.transforms.values import Edit

__all__ = ["ExtractField", "ExtractFieldKey", "ExtractFieldValue"]


class ExtractField(RowTransform):
    """Puts a field in place of the key or value; null where there is no such field, as in Kafka Connect.

    In a row change the field must be an object, which becomes the row.

    Source: org.apache.kafka.connect.transforms.ExtractField.
    """

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        doc = "Field to extract."
        definition = ConfigDef().define("field", Type.STRING, doc=doc, importance=Importance.HIGH, validator=non_empty)
        return with_syntax(with_null_default(definition))

    def set_up(self, options: dict[str, Any]) -> None:
        """Take the field."""
        self._path = FieldPath.parse("field", options["field"], options[SYNTAX])
        # The names and types of the former columns say nothing about the fields of the extracted object.
        self._edit = Edit(lambda row, _: self._extracted(row), self._former, rename=lambda _: None)

    def edit(self, record: SourceRecord | SinkRecord) -> Edit:
        """Return what to do to the rows."""
        return self._edit

    def _extracted(self, row: dict[str, Any]) -> Any:
        found = self._path.get(row)
        return None if found is MISSING else found

    def _former(self, row: dict[str, Any], _: Any) -> Any:
        # Where the field did not change, nothing of the extracted row did.
        found = self._path.get(row)
        return found if isinstance(found, dict) else {}


class ExtractFieldKey(ExtractField):
    """`ExtractField$Key`."""

    on = "key"


class ExtractFieldValue(ExtractField):
    """`ExtractField$Value`."""
