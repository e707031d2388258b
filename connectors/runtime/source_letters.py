"""The error policy of a source task: `errors.tolerance`, the log and the dead-letter topic.

Kafka Connect has no dead letters for sources; this is ours, with the options and headers that sinks have. A letter is
one more record of the task: it goes through the same producer, in its place, so no offset behind it is stored before it
is acknowledged, and in a transaction it counts exactly once.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

import orjson

from connectors.api.errors import DataError
from connectors.api.record import SourceRecord
from connectors.runtime.dead_letters import create_topic, described, error_headers
from connectors.runtime.kafka_clients import client_options, overrides
from connectors.runtime.metrics import TaskMetrics
from connectors.runtime.task import TaskSpec

__all__ = ["Letter", "SourceLetters"]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Letter(SourceRecord):
    """A dead letter; its key and value are what Kafka gets, without transforms and converters."""


class SourceLetters:
    """Decides about bad records of one source task.

    Args:
        spec: The task.
        task: The plugin's task, as far as headers name it.
        metrics: The task's series.
    """

    def __init__(self, spec: TaskSpec, task: object, metrics: TaskMetrics) -> None:
        props = spec.props
        self._spec = spec
        self._task = task
        self._metrics = metrics
        self._tolerant = props.get("errors.tolerance") == "all"
        self._logged = props.get("errors.log.enable", "true") == "true"
        self._shown = props.get("errors.log.include.messages", "false") == "true"
        self._headers = props.get("errors.deadletterqueue.context.headers.enable", "true") == "true"
        self._topic = props.get("errors.deadletterqueue.topic.name", "")
        self._replicas = int(props.get("errors.deadletterqueue.topic.replication.factor", -1))

    async def open(self) -> None:
        """Make the topic where it is missing.

        Raises:
            FatalError: Kafka refuses.
        """
        if self._topic and self._tolerant:
            settings = self._spec.settings
            connection = client_options(settings, self._spec.task_id) | overrides(self._spec.props, "admin")
            await asyncio.to_thread(create_topic, connection, settings.kafka.prefix + self._topic, self._replicas)

    def errant(self, record: SourceRecord) -> Letter | None:
        """Return the dead letter of what the plugin could not read, see `letter`."""
        assert record.error is not None
        return self.letter(record, record.error, "TASK_POLL", self._task)

    def letter(self, record: SourceRecord, error: Exception, stage: str, component: object) -> Letter | None:
        """Return the dead letter of a bad record; None where it is just left out.

        Args:
            record: The record as the plugin gave it.
            error: Why it is bad.
            stage: Kafka Connect's name of the step that failed, e.g. `VALUE_CONVERTER`.
            component: What raised the error.

        Raises:
            DataError: `errors.tolerance` is none.
        """
        text = self._bad(record, error)
        self._log(record, text, f"goes to the dead-letter topic {self._topic}" if self._topic else "is left out")
        if not self._topic:
            return None
        self._metrics.dead_letters.inc()
        headers = list(record.headers)
        if self._headers:
            headers += error_headers(_place(record), self._spec.task_id, error, stage, component)
        return Letter(self._topic, _raw(record.value), _raw(record.key), None, headers, record.timestamp_ms)

    def too_large(self, record: SourceRecord, error: DataError) -> None:
        """Leave out a record that the producer refuses for its size; a dead letter would be too large as well.

        Raises:
            DataError: `errors.tolerance` is none.
        """
        self._log(record, self._bad(record, error), "is left out")

    def _bad(self, record: SourceRecord, error: Exception) -> str:
        """Count a bad record; returns what there is to say of it."""
        self._metrics.errors.inc()
        where = f"topic {record.topic}, source offset {record.source_offset}: " if record.topic else ""
        text = f"{where}{error if isinstance(error, DataError) else f'{type(error).__name__}: {error}'}"
        if not self._tolerant:
            self._metrics.errors.failed()
            raise DataError(f"{text} (errors.tolerance is none)") from error
        self._metrics.errors.skipped()
        return text

    def _log(self, record: SourceRecord, text: str, fate: str) -> None:
        if self._logged:
            self._metrics.errors.logged()
            shown = f" ({described(record, record.key, record.value)})" if self._shown else ""
            log.warning("%s: a record %s: %s%s", self._spec.task_id, fate, text, shown)


def _place(record: SourceRecord) -> dict[str, str]:
    """Return what stands for the topic, partition and offset that a sink's dead letter names."""
    place = {"topic": record.topic} if record.topic else {}
    if record.source_partition is not None:
        place["source.partition"] = orjson.dumps(dict(record.source_partition), default=repr).decode()
    if record.source_offset is not None:
        place["source.offset"] = orjson.dumps(dict(record.source_offset), default=repr).decode()
    return place


def _raw(value: Any) -> bytes | None:
    """Return bytes as they are and anything else as JSON, where need be with the text that Python shows it as."""
    if value is None or isinstance(value, bytes):
        return value
    try:
        return orjson.dumps(value, default=repr, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError):  # e.g. a number of more than 64 bits
        return repr(value).encode(errors="replace")
