"""Plugins that cost next to nothing, so that what is measured is the framework: a source and a sink in memory."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

from connectors import (
    ConfigDef,
    SinkConnector,
    SinkRecord,
    SinkTask,
    SourceConnector,
    SourceRecord,
    SourceTask,
    Type,
)

__all__ = ["MemorySink", "MemorySource"]

_BATCH = 1000
_PARTITION = {"memory": "all"}


class MemorySource(SourceConnector):
    """Sends `records` records of `size` bytes, a thousand a poll, `rate` a second at most."""

    @classmethod
    def task_class(cls) -> type[SourceTask]:
        """Return the task."""
        return _SourceTask

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        return (
            ConfigDef()
            .define("topic", Type.STRING, doc="Target topic.")
            .define("records", Type.LONG, doc="How many records.")
            .define("size", Type.INT, 200, doc="Bytes of a value.")
            .define("rate", Type.INT, 0, doc="Most records a second; 0: as fast as it goes.")
        )


class _SourceTask(SourceTask):
    def start(self, props: Mapping[str, str]) -> None:
        options = MemorySource.config().parse({name: props[name] for name in props if name in MemorySource.config()})
        self._topic, self._end, self._rate = options["topic"], options["records"], options["rate"]
        self._value = b"x" * options["size"]
        self._next = 0

    def poll(self) -> list[SourceRecord] | None:
        batch = min(_BATCH, self._rate // 10) if self._rate else _BATCH
        first, last = self._next, min(self._next + batch, self._end)
        if first >= last or self._rate:
            time.sleep(0.1)
        if first >= last:
            return None
        self._next = last
        topic, value = self._topic, self._value
        return [
            SourceRecord(
                topic, value, b"%08d" % number, source_partition=_PARTITION, source_offset={"next": number + 1}
            )
            for number in range(first, last)
        ]

    def stop(self) -> None:
        """Nothing to release."""


class MemorySink(SinkConnector):
    """Counts records, and writes to `file` how long `records` of them took since the first batch."""

    @classmethod
    def task_class(cls) -> type[SinkTask]:
        """Return the task."""
        return _SinkTask

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        return (
            ConfigDef()
            .define("records", Type.LONG, doc="How many records are expected.")
            .define("file", Type.STRING, doc="Where the measurement goes.")
        )


class _SinkTask(SinkTask):
    def start(self, props: Mapping[str, str]) -> None:
        self._expected, self._file = int(props["records"]), Path(props["file"])
        self._first = self._count = 0
        self._began = self._cpu = 0.0

    def put(self, records: list[SinkRecord]) -> None:
        self._count += len(records)
        if not self._first:
            self._first, self._began, self._cpu = self._count, time.perf_counter(), time.process_time()
        if self._count >= self._expected:
            rows = self._count - self._first
            seconds, cpu = time.perf_counter() - self._began, time.process_time() - self._cpu
            self._file.write_text(json.dumps({"rate": rows / seconds, "cpu_us": cpu / rows * 1e6}))

    def stop(self) -> None:
        """Nothing to release."""
