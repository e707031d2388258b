"""MaskField: values that must not be seen."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final

from connectors.api.config import ConfigDef, Importance, Type
from connectors.api.record import SinkRecord, SourceRecord
from connectors.api.validators import non_empty
from connectors.formats.temporal import EPOCH
from connectors.transforms.base import RowTransform, with_null_default
from connectors.transforms.paths import SYNTAX, FieldPath, with_syntax
from connectors.transforms.values import Edit

__all__ = ["MaskField", "MaskFieldKey", "MaskFieldValue"]

_BLANKS: Final[dict[type, Any]] = {
    str: "",
    bool: False,
    int: 0,
    float: 0.0,
    Decimal: Decimal(0),
    bytes: b"",
    datetime: EPOCH,
    date: EPOCH.date(),
    time: time(),
}
# The text that stands for nothing in a column of such a type: an empty text would be no number and no day.
_NUMERIC = re.compile(r"(tiny|small|medium|big)?int|integer|decimal|numeric|float|double|real|bit|year|bool", re.I)
_DAY: Final = "1970-01-01"


class MaskField(RowTransform):
    """Puts an empty value of the same type, or `replacement`, in place of fields.

    A field that is missing stays missing (Kafka Connect adds a null, which would overwrite a column that a row
    change says nothing about), and null stays null.

    Source: org.apache.kafka.connect.transforms.MaskField.
    """

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        high = Importance.HIGH
        definition = (
            ConfigDef()
            .define("fields", Type.LIST, doc="Fields to mask.", importance=high, validator=non_empty)
            .define(
                "replacement",
                Type.STRING,
                None,
                doc="Text or number in place of texts and numbers; default: an empty value of the field's type.",
                validator=non_empty_text,
                importance=Importance.LOW,
            )
        )
        return with_syntax(with_null_default(definition))

    def set_up(self, options: dict[str, Any]) -> None:
        """Take the fields."""
        self._paths = [FieldPath.parse("fields", field, options[SYNTAX]) for field in options["fields"]]
        self._replacement: str | None = options["replacement"]
        self._edit = Edit(self._row)

    def edit(self, record: SourceRecord | SinkRecord) -> Edit:
        """Return what to do to the rows."""
        return self._edit

    def _row(self, row: dict[str, Any], types: Mapping[str, str]) -> dict[str, Any]:
        for path in self._paths:
            type_ = types.get(path.name, "") if len(path.steps) == 1 else ""
            row = path.update(row, lambda value, p=path, t=type_: self._masked(value, p, t))  # type: ignore[misc]
        return row

    def _masked(self, value: Any, path: FieldPath, type_: str) -> Any:
        if value is None:
            return None
        if self._replacement is not None:
            return self._replaced(value, path)
        if isinstance(value, dict | list):
            return type(value)()
        if isinstance(value, str):
            return _blank_text(type_)
        if type(value) not in _BLANKS:
            raise self.fault(f"{self.on}: field {path}: {type(value).__name__} cannot be masked; drop it instead")
        return _BLANKS[type(value)]

    def _replaced(self, value: Any, path: FieldPath) -> Any:
        if isinstance(value, str):
            return self._replacement
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            what = f"{type(value).__name__} takes no replacement, only text and numbers do; leave replacement out"
            raise self.fault(f"{self.on}: field {path}: {what}")
        try:
            return type(value)(self._replacement or "")
        except (ValueError, ArithmeticError):
            what = f"replacement is no {type(value).__name__}, as the field is; give a number"
            raise self.fault(f"{self.on}: field {path}: {what}") from None


def non_empty_text(name: str, value: Any) -> None:
    """Refuse an empty replacement, as Kafka Connect does."""
    if value is not None:
        non_empty(name, value)


def _blank_text(type_: str) -> str:
    type_ = type_.lower()
    if _NUMERIC.match(type_):
        return "0"
    if type_.startswith(("datetime", "timestamp")):
        return f"{_DAY} 00:00:00"
    return _DAY if type_.startswith("date") else "00:00:00" if type_.startswith("time") else ""


class MaskFieldKey(MaskField):
    """`MaskField$Key`."""

    on = "key"


class MaskFieldValue(MaskField):
    """`MaskField$Value`."""
