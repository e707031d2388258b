"""DropHeaders, InsertHeader and HeaderFrom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from connectors.api.config import ConfigDef, Importance, Type
from connectors.api.errors import ConfigError, DataError
from connectors.api.record import Headers, SinkRecord, SourceRecord
from connectors.api.validators import non_empty, one_of
from connectors.transforms.base import NamedTransform, SidedTransform, is_heartbeat, with_null_default
from connectors.transforms.casting import CASTS
from connectors.transforms.paths import MISSING, SYNTAX, FieldPath, with_syntax
from connectors.transforms.values import Edit, common_value, edit_value, rows_of

__all__ = ["DropHeaders", "HeaderFrom", "HeaderFromKey", "HeaderFromValue", "InsertHeader"]

R = TypeVar("R", SourceRecord, SinkRecord)


class DropHeaders(NamedTransform):
    """Drops the headers of the given names.

    Source: org.apache.kafka.connect.transforms.DropHeaders.
    """

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        doc = "Comma-separated names of the headers to drop."
        return ConfigDef().define("headers", Type.LIST, doc=doc, importance=Importance.HIGH, validator=non_empty)

    def set_up(self, options: dict[str, Any]) -> None:
        """Take the names."""
        self._names = frozenset(options["headers"])

    def apply(self, record: R) -> R | None:
        """Return the record without the headers."""
        kept = [header for header in record.headers if header[0] not in self._names]
        return record if len(kept) == len(record.headers) else replace(record, headers=kept)


class InsertHeader(NamedTransform):
    """Adds a header with a fixed text to every record.

    Source: org.apache.kafka.connect.transforms.InsertHeader.
    """

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        high = Importance.HIGH
        return (
            ConfigDef()
            .define("header", Type.STRING, doc="Name of the header.", importance=high, validator=non_empty)
            .define("value.literal", Type.STRING, doc="Its value, written as UTF-8.", importance=high)
        )

    def set_up(self, options: dict[str, Any]) -> None:
        """Take the header."""
        self._header = (str(options["header"]), str(options["value.literal"]).encode())

    def apply(self, record: R) -> R | None:
        """Return the record with one more header."""
        return record if is_heartbeat(record) else replace(record, headers=[*record.headers, self._header])


class HeaderFrom(SidedTransform):
    """Copies or moves fields into headers.

    A header holds text as UTF-8, everything else as Kafka Connect's SimpleHeaderConverter writes it (numbers as
    digits, objects as JSON). A field that is missing or null makes no header, as headers hold bytes here. The rows
    of one message must agree on the value.

    Source: org.apache.kafka.connect.transforms.HeaderFrom.
    """

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        high = Importance.HIGH
        definition = (
            ConfigDef()
            .define("fields", Type.LIST, doc="Fields to put into headers.", importance=high, validator=non_empty)
            .define("headers", Type.LIST, doc="A header for each field, in order.", importance=high)
            .define(
                "operation",
                Type.STRING,
                doc="copy: the fields stay; move: they are taken out.",
                importance=high,
                validator=one_of("copy", "move"),
                recommended=("copy", "move"),
            )
        )
        return with_syntax(with_null_default(definition))

    def set_up(self, options: dict[str, Any]) -> None:
        """Pair fields and headers.

        Raises:
            ConfigError: There are not as many headers as fields.
        """
        fields, headers = options["fields"], options["headers"]
        if len(fields) != len(headers):
            message = f"Options fields and headers: {len(fields)} fields need as many headers, not {len(headers)}"
            raise ConfigError(message, key="headers")
        self._paths = [FieldPath.parse("fields", field, options[SYNTAX]) for field in fields]
        self._headers: list[str] = headers
        whole = {path.name for path in self._paths if len(path.steps) == 1}
        moved = Edit(lambda row, _: self._without(row), rename=lambda name: None if name in whole else name)
        self._edit = moved if options["operation"] == "move" else None

    def apply(self, record: R) -> R | None:
        """Return the record with the headers added and, for a move, the fields taken out."""
        source: Any = record.key if self.on == "key" else record.value
        if is_heartbeat(record) or source is None:
            return record
        try:
            headers: Headers = [*record.headers, *self._made(source)]
            made: Any = self.changed(source, record)
        except DataError as error:
            raise self.fault(f"{self.on}: {error}") from None
        if self.on == "key":
            return replace(record, headers=headers, key=made)
        return replace(record, headers=headers, value=made)

    def changed(self, value: Any, record: SourceRecord | SinkRecord) -> Any:
        """Return the value without the fields that were moved."""
        return value if self._edit is None else edit_value(value, self._edit)

    def _made(self, source: Any) -> Headers:
        rows = rows_of(source)
        found = [(name, common_value(rows, path)) for name, path in zip(self._headers, self._paths, strict=True)]
        return [(name, _data(value)) for name, value in found if value is not None and value is not MISSING]

    def _without(self, row: dict[str, Any]) -> dict[str, Any]:
        for path in self._paths:
            row = path.update(row, lambda _: MISSING)
        return row


def _data(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(CASTS["string"](value)).encode()


class HeaderFromKey(HeaderFrom):
    """`HeaderFrom$Key`."""

    on = "key"


class HeaderFromValue(HeaderFrom):
    """`HeaderFrom$Value`."""
