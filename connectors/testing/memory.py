"""A source and a sink that keep to memory: for tests of transforms and pipelines, and as models of a plugin."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, ClassVar

from connectors.api.config import ConfigDef, Type
from connectors.api.record import SinkRecord, SourceRecord, TopicPartition
from connectors.api.sink import SinkConnector, SinkTask
from connectors.api.source import SourceConnector, SourceTask
from connectors.api.validators import at_least

__all__ = ["InMemorySink", "InMemorySource"]


class InMemorySource(SourceConnector):
    """Sends what a test put into `data` under the option `name`.

    Attributes:
        data: Values to send, by name.
    """

    data: ClassVar[dict[str, list[Any]]] = {}

    @classmethod
    def task_class(cls) -> type[SourceTask]:
        """Return the task."""
        return _InMemorySourceTask

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        return (
            ConfigDef()
            .define("name", Type.STRING, doc="Key of the list in `InMemorySource.data`.")
            .define("topic", Type.STRING, doc="Target topic.")
            .define("batch", Type.INT, 500, doc="Most records of a poll.", validator=at_least(1))
        )


class _InMemorySourceTask(SourceTask):
    def start(self, props: Mapping[str, str]) -> None:
        self._options = InMemorySource.parse(props)
        self._place = {"name": self._options["name"]}
        stored = self.context.offset_storage_reader.offset(self._place)
        self._next = stored["next"] if stored else 0
        self._ended = threading.Event()

    def poll(self) -> list[SourceRecord] | None:
        begin = self._next
        values = InMemorySource.data.get(self._options["name"], [])[begin : begin + self._options["batch"]]
        if not values:
            self._ended.wait(0.05)
            return None
        self._next += len(values)
        return [
            SourceRecord(
                self._options["topic"], value, source_partition=self._place, source_offset={"next": begin + number + 1}
            )
            for number, value in enumerate(values)
        ]

    def stop(self) -> None:
        if hasattr(self, "_ended"):
            self._ended.set()


class InMemorySink(SinkConnector):
    """Keeps records under the option `name`, each once, however often it is put.

    Attributes:
        stored: Records by name, then by partition and offset.
    """

    stored: ClassVar[dict[str, dict[tuple[TopicPartition, int], SinkRecord]]] = {}

    @classmethod
    def task_class(cls) -> type[SinkTask]:
        """Return the task."""
        return _InMemorySinkTask

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        return ConfigDef().define("name", Type.STRING, doc="Key of the records in `InMemorySink.stored`.")


class _InMemorySinkTask(SinkTask):
    def start(self, props: Mapping[str, str]) -> None:
        self._store = InMemorySink.stored.setdefault(InMemorySink.parse(props)["name"], {})

    def put(self, records: list[SinkRecord]) -> None:
        self._store.update({(record.topic_partition, record.offset): record for record in records})

    def stop(self) -> None:
        """There is nothing to release."""
