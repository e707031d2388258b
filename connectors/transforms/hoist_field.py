"""HoistField: the whole wrapped into an object with one field."""

from __future__ import annotations

from typing import Any

from connectors.api.config import ConfigDef, Importance, Type
from connectors.api.errors import DataError
from connectors.api.record import SinkRecord, SourceRecord
from connectors.api.validators import non_empty
from connectors.formats.canal import RowChange, is_flat_message
from connectors.transforms.base import SidedTransform
from connectors.transforms.values import Edit, Struct, edit_value

__all__ = ["HoistField", "HoistFieldKey", "HoistFieldValue"]


class HoistField(SidedTransform):
    """Wraps the key or value, also a null, into an object with one field.

    Of row changes each row is wrapped; the names of key columns and the column types, which then say nothing, go.

    Source: org.apache.kafka.connect.transforms.HoistField.
    """

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        doc = "Name of the field that holds the former key or value."
        return ConfigDef().define("field", Type.STRING, doc=doc, importance=Importance.HIGH, validator=non_empty)

    def set_up(self, options: dict[str, Any]) -> None:
        """Take the name."""
        self._field: str = options["field"]
        self._edit = Edit(lambda row, _: Struct({self._field: row}), rename=lambda _: None)

    def changed(self, value: Any, record: SourceRecord | SinkRecord) -> Any:
        """Return the value wrapped."""
        if isinstance(value, bytes):
            return self._bytes(value)
        if isinstance(value, str) and value[:1] == "{":
            try:
                return edit_value(value, self._edit)
            except DataError:
                pass  # A text that only begins like an object is wrapped as text.
        if isinstance(value, list) and value and isinstance(value[0], RowChange):
            return edit_value(value, self._edit)
        if isinstance(value, dict) and is_flat_message(value):
            return edit_value(value, self._edit)
        # An empty list is a message without rows, which stays one.
        return value if value == [] else Struct({self._field: value})

    def _bytes(self, value: bytes) -> bytes:
        try:
            made: bytes = edit_value(value, self._edit)
        except DataError:
            try:
                made = str(Struct({self._field: value.decode()})).encode()
            except UnicodeDecodeError:
                raise self.fault(f"{self.on}: bytes must be UTF-8 to stand in JSON") from None
        return made


class HoistFieldKey(HoistField):
    """`HoistField$Key`."""

    on = "key"


class HoistFieldValue(HoistField):
    """`HoistField$Value`."""
