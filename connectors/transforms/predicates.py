"""Predicates: choose the records that a transform applies to."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.api.config import ConfigDef, Importance, Type
from connectors.api.record import SinkRecord, SourceRecord
from connectors.api.transform import Predicate
from connectors.api.validators import non_empty
from connectors.transforms.base import is_heartbeat
from connectors.transforms.java_regex import compile_java

__all__ = ["HasHeaderKey", "RecordIsTombstone", "TopicNameMatches"]


class TopicNameMatches(Predicate):
    """Chooses records whose whole topic name matches a Java regular expression.

    Source: org.apache.kafka.connect.transforms.predicates.TopicNameMatches.
    """

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        doc = "Java regular expression that matches whole topic names."
        return ConfigDef().define("pattern", Type.STRING, doc=doc, importance=Importance.MEDIUM, validator=_pattern)

    def configure(self, options: Mapping[str, str]) -> None:
        """Compile the expression."""
        self._pattern = compile_java("pattern", self.config().parse(options)["pattern"])

    def test(self, record: SourceRecord | SinkRecord) -> bool:
        """Tell whether the record is chosen."""
        return self._pattern.fullmatch(record.topic) is not None


class HasHeaderKey(Predicate):
    """Chooses records with at least one header of a name.

    Source: org.apache.kafka.connect.transforms.predicates.HasHeaderKey.
    """

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        doc = "Name of the header."
        return ConfigDef().define("name", Type.STRING, doc=doc, importance=Importance.MEDIUM, validator=non_empty)

    def configure(self, options: Mapping[str, str]) -> None:
        """Take the name."""
        self._name: str = self.config().parse(options)["name"]

    def test(self, record: SourceRecord | SinkRecord) -> bool:
        """Tell whether the record is chosen."""
        return any(name == self._name for name, _ in record.headers)


class RecordIsTombstone(Predicate):
    """Chooses records whose value is null; heartbeats, which send nothing, are none.

    Source: org.apache.kafka.connect.transforms.predicates.RecordIsTombstone.
    """

    def test(self, record: SourceRecord | SinkRecord) -> bool:
        """Tell whether the record is chosen."""
        return record.value is None and not is_heartbeat(record)


def _pattern(name: str, value: str) -> None:
    non_empty(name, value)
    compile_java(name, value)
