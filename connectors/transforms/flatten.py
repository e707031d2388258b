"""Flatten: nested objects to one level."""

from __future__ import annotations

from typing import Any

from connectors.api.config import ConfigDef, Type
from connectors.api.record import SinkRecord, SourceRecord
from connectors.transforms.base import RowTransform
from connectors.transforms.values import Edit

__all__ = ["Flatten", "FlattenKey", "FlattenValue"]


class Flatten(RowTransform):
    """Makes one level of nested objects; names are joined with the delimiter, arrays stay as they are.

    Source: org.apache.kafka.connect.transforms.Flatten.
    """

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        return ConfigDef().define("delimiter", Type.STRING, ".", doc="Stands between the names of the levels.")

    def set_up(self, options: dict[str, Any]) -> None:
        """Take the delimiter."""
        self._delimiter: str = options["delimiter"]
        self._edit = Edit(lambda row, _: self._flat(row))

    def edit(self, record: SourceRecord | SinkRecord) -> Edit:
        """Return what to do to the rows."""
        return self._edit

    def _flat(self, row: dict[str, Any]) -> dict[str, Any]:
        if not any(isinstance(value, dict) for value in row.values()):
            return row
        flat: dict[str, Any] = {}
        self._add(flat, "", row)
        return flat

    def _add(self, flat: dict[str, Any], prefix: str, row: dict[str, Any]) -> None:
        for name, value in row.items():
            full = f"{prefix}{self._delimiter}{name}" if prefix else name
            if isinstance(value, dict):
                self._add(flat, full, value)
            elif full in flat:
                raise self.fault(f"{self.on}: two fields become {full}; choose another delimiter")
            else:
                flat[full] = value


class FlattenKey(Flatten):
    """`Flatten$Key`."""

    on = "key"


class FlattenValue(Flatten):
    """`Flatten$Value`."""
