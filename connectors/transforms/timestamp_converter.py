"""TimestampConverter: times between text, numbers and time types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

from connectors.api.config import ConfigDef, Importance, Type
from connectors.api.errors import ConfigError, DataError
from connectors.api.record import SinkRecord, SourceRecord
from connectors.api.validators import one_of
from connectors.formats.temporal import EPOCH
from connectors.transforms.base import SidedTransform, with_null_default
from connectors.transforms.casting import epoch_micros
from connectors.transforms.paths import SYNTAX, FieldPath, with_syntax
from connectors.transforms.simple_date_format import SimpleDateFormat
from connectors.transforms.values import Edit, edit_value

__all__ = ["TimestampConverter", "TimestampConverterKey", "TimestampConverterValue"]

_TARGETS: Final = ("string", "unix", "Date", "Time", "Timestamp")
_PER_SECOND: Final = {"seconds": 1, "milliseconds": 1000, "microseconds": 10**6, "nanoseconds": 10**9}
_NUMBER = re.compile(r"(tiny|small|medium|big)?int|decimal|numeric|float|double", re.IGNORECASE)


class TimestampConverter(SidedTransform):
    """Converts a field, or the whole key or value, all in UTC.

    A text is read by `format`, a number by `unix.precision`. Date, Time and Timestamp become `date`, `time` and
    `datetime` in plain objects; JSON and row changes hold their ISO text.

    Source: org.apache.kafka.connect.transforms.TimestampConverter.
    """

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        high = Importance.HIGH
        definition = (
            ConfigDef()
            .define("field", Type.STRING, "", doc="Field to convert; empty: the whole.", importance=high)
            .define(
                "target.type",
                Type.STRING,
                doc="Type to convert to.",
                importance=high,
                validator=one_of(*_TARGETS),
                recommended=_TARGETS,
            )
            .define("format", Type.STRING, "", doc="Java SimpleDateFormat pattern of texts.")
            .define(
                "unix.precision",
                Type.STRING,
                "milliseconds",
                doc="Unit of numbers, counted from 1970.",
                importance=Importance.LOW,
                validator=one_of(*_PER_SECOND),
                recommended=tuple(_PER_SECOND),
            )
        )
        return with_syntax(with_null_default(definition))

    def set_up(self, options: dict[str, Any]) -> None:
        """Compile the format.

        Raises:
            ConfigError: Text is asked for without a format.
        """
        self._target: str = options["target.type"]
        self._format = SimpleDateFormat("format", options["format"]) if options["format"] else None
        if self._target == "string" and self._format is None:
            raise ConfigError("Option format: target.type=string needs a format such as yyyy-MM-dd", key="format")
        self._per_second = _PER_SECOND[options["unix.precision"]]
        field = options["field"]
        self._path = FieldPath.parse("field", field, options[SYNTAX]) if field else None
        self._edit = Edit(self._row)

    def changed(self, value: Any, record: SourceRecord | SinkRecord) -> Any:
        """Return the value converted."""
        if value is None:
            return None
        return self._converted(value) if self._path is None else edit_value(value, self._edit)

    def _row(self, row: dict[str, Any], types: Mapping[str, str]) -> dict[str, Any]:
        if self._path is None:
            return row
        # Canal writes numbers as text: only the column's type tells that the text is not one to read by the format.
        number = _NUMBER.match(types.get(str(self._path), "")) is not None
        return self._path.update(row, lambda value: self._converted(value, number=number))

    def _converted(self, value: Any, *, number: bool = False) -> Any:
        if value is None:
            return None
        try:
            if number and isinstance(value, str):
                value = Decimal(value)
            return self._written(self._moment(value))
        except (DataError, ValueError, ArithmeticError) as error:
            what = f"field {self._path}" if self._path is not None else "the whole"
            raise self.fault(f"{self.on}: {what}: a {type(value).__name__} that is no time: {error}") from None

    def _moment(self, value: Any) -> datetime:
        value = value.decode() if isinstance(value, bytes) else value
        if isinstance(value, str):
            if self._format is not None:
                return self._format.parse(value)
            # Text keys hold numbers as digits, which need no format.
            if not value.strip().lstrip("-").isdecimal():
                raise DataError("set the option format to read text")
            value = int(value)
        if isinstance(value, datetime):
            return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
        if isinstance(value, time):
            return datetime.combine(EPOCH.date(), value, tzinfo=UTC)
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise DataError("text, a number or a time is needed")
        return EPOCH + timedelta(microseconds=int(Decimal(value) * 10**6 // self._per_second))

    def _written(self, moment: datetime) -> Any:
        moment = moment.astimezone(UTC)
        if self._target == "string" and self._format is not None:
            return self._format.format(moment)
        if self._target == "unix":
            return epoch_micros(moment) * self._per_second // 10**6
        if self._target == "Date":
            return moment.date()
        return moment.time() if self._target == "Time" else moment


class TimestampConverterKey(TimestampConverter):
    """`TimestampConverter$Key`."""

    on = "key"


class TimestampConverterValue(TimestampConverter):
    """`TimestampConverter$Value`."""
