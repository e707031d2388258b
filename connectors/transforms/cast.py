"""Cast: fields, or the whole key or value, to another type."""

from __future__ import annotations

from typing import Any

from connectors.api.config import ConfigDef, Importance, Type
from connectors.api.errors import ConfigError, DataError, did_you_mean
from connectors.api.record import SinkRecord, SourceRecord
from connectors.api.validators import non_empty
from connectors.transforms.base import SidedTransform, with_null_default
from connectors.transforms.casting import CASTS
from connectors.transforms.paths import SYNTAX, FieldPath, with_syntax
from connectors.transforms.values import Edit, edit_value

__all__ = ["Cast", "CastKey", "CastValue"]


class Cast(SidedTransform):
    """Casts to int8, int16, int32, int64, float32, float64, boolean or string.

    A number that the type cannot hold is an error; Kafka Connect cuts its upper bits off. In a Canal flat message the
    values stay text, as the format asks for; row changes and plain objects get typed values.

    Source: org.apache.kafka.connect.transforms.Cast.
    """

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        doc = "Comma-separated field:type pairs, or one type for the whole key or value."
        definition = ConfigDef().define("spec", Type.LIST, doc=doc, importance=Importance.HIGH, validator=non_empty)
        return with_syntax(with_null_default(definition))

    def set_up(self, options: dict[str, Any]) -> None:
        """Parse the specification.

        Raises:
            ConfigError: It cannot be read.
        """
        self._whole: str | None = None
        self._fields: list[tuple[FieldPath, str]] = []
        for entry in options["spec"]:
            field, colon, type_ = entry.rpartition(":")
            type_ = type_.strip().lower()
            if type_ not in CASTS:
                known = ", ".join(CASTS)
                near = did_you_mean(type_, CASTS)
                raise ConfigError(f"Option spec: {type_!r} is not one of {known}{near}", key="spec")
            if colon:
                self._fields.append((FieldPath.parse("spec", field.strip(), options[SYNTAX]), type_))
            else:
                self._whole = type_
        if self._whole is not None and len(options["spec"]) > 1:
            raise ConfigError("Option spec: one type for the whole value cannot stand beside other entries", key="spec")
        self._edit = Edit(lambda row, _: self._row(row))

    def changed(self, value: Any, record: SourceRecord | SinkRecord) -> Any:
        """Return the value cast."""
        if value is None:
            return None
        if self._whole is None:
            return edit_value(value, self._edit)
        if isinstance(value, dict | list):
            raise self.fault(f"{self.on}: {type(value).__name__} cannot be cast as a whole; write spec=field:type")
        return self._cast(value, self._whole, f"the whole {self.on}")

    def _row(self, row: dict[str, Any]) -> dict[str, Any]:
        for path, type_ in self._fields:
            row = path.update(row, lambda value, p=path, t=type_: self._cast(value, t, f"field {p}"))  # type: ignore[misc]
        return row

    def _cast(self, value: Any, type_: str, what: str) -> Any:
        if value is None:
            return None
        try:
            return CASTS[type_](value)
        except (DataError, ArithmeticError, ValueError) as error:
            shown = f"a {type(value).__name__}"
            message = f"{what}: {shown} that cannot be cast to {type_}: {error}; correct the data or the option spec"
            raise self.fault(message) from None


class CastKey(Cast):
    """`Cast$Key`."""

    on = "key"


class CastValue(Cast):
    """`Cast$Value`."""
