"""RegexRouter and TimestampRouter: other topics."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

from connectors.api.config import ConfigDef, Importance, Type
from connectors.api.errors import ConfigError
from connectors.api.record import SinkRecord, SourceRecord
from connectors.api.validators import non_empty
from connectors.formats.temporal import EPOCH
from connectors.transforms.base import NamedTransform, is_heartbeat
from connectors.transforms.java_regex import compile_java, compile_replacement
from connectors.transforms.simple_date_format import SimpleDateFormat

__all__ = ["RegexRouter", "TimestampRouter"]

R = TypeVar("R", SourceRecord, SinkRecord)


class RegexRouter(NamedTransform):
    """Renames topics that the expression matches whole; others stay.

    Source: org.apache.kafka.connect.transforms.RegexRouter.
    """

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        high = Importance.HIGH
        return (
            ConfigDef()
            .define("regex", Type.STRING, doc="Matches whole topic names.", importance=high, validator=non_empty)
            .define("replacement", Type.STRING, doc="New name; $1 or ${name} for a group.", importance=high)
        )

    def set_up(self, options: dict[str, Any]) -> None:
        """Compile the expression."""
        self._regex = compile_java("regex", options["regex"])
        self._replacement = compile_replacement("replacement", options["replacement"], self._regex)

    def apply(self, record: R) -> R | None:
        """Return the record, for another topic if it matches."""
        match = None if is_heartbeat(record) else self._regex.fullmatch(record.topic)
        if match is None:
            return record
        topic = self._replacement(match)
        if not topic:
            raise self.fault(f"topic {record.topic} would get an empty name; correct the option replacement")
        return replace(record, topic=topic)


class TimestampRouter(NamedTransform):
    """Puts the record's timestamp, in UTC, into the name of the topic.

    Source: org.apache.kafka.connect.transforms.TimestampRouter.
    """

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        high = Importance.HIGH
        doc = "Name, with ${topic} and ${timestamp} in it."
        return (
            ConfigDef()
            .define("topic.format", Type.STRING, "${topic}-${timestamp}", doc=doc, importance=high, validator=non_empty)
            .define("timestamp.format", Type.STRING, "yyyyMMdd", doc="Java SimpleDateFormat pattern.", importance=high)
        )

    def set_up(self, options: dict[str, Any]) -> None:
        """Compile the pattern.

        Raises:
            ConfigError: A pattern cannot be read.
        """
        self._topic: str = options["topic.format"]
        if "${" in self._topic.replace("${topic}", "").replace("${timestamp}", ""):
            raise ConfigError(
                "Option topic.format: only ${topic} and ${timestamp} can be filled in", key="topic.format"
            )
        self._format = SimpleDateFormat("timestamp.format", options["timestamp.format"])

    def apply(self, record: R) -> R | None:
        """Return the record for another topic."""
        if is_heartbeat(record):
            return record
        if record.timestamp_ms is None:
            raise self.fault(f"the record of topic {record.topic} has no timestamp; have the source set timestamp_ms")
        moment = self._format.format(EPOCH + timedelta(milliseconds=record.timestamp_ms))
        # The topic last, since a topic's name is data that must not be read as a pattern.
        topic = self._topic.replace("${timestamp}", moment).replace("${topic}", record.topic)
        return replace(record, topic=topic)
