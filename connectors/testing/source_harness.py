"""Drives a source without Kafka."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

from connectors.api.errors import RetriableError
from connectors.api.record import RecordMetadata, SourceRecord
from connectors.api.source import SourceConnector, SourceTask
from connectors.testing.calls import Offsets, call, partition_text, planned

__all__ = ["SourceHarness"]


class _Context:
    def __init__(self, offsets: Offsets, props: dict[str, str]) -> None:
        self.connector = "conformance"
        self.offset_storage_reader = offsets
        self.transaction_context = None
        self._props = props
        self.gauges: dict[str, float] = {}

    def configs(self) -> dict[str, str]:
        return dict(self._props)

    def gauge(self, name: str, value: float) -> None:
        self.gauges[name] = value


class SourceHarness:
    """One source connector and its tasks.

    >>> async with SourceHarness(MySource, {"topic": "t"}) as source:  # doctest: +SKIP
    ...     records = await source.take(10)
    ...     await source.acknowledge()

    Args:
        connector: The plugin.
        props: Its own options, as text.
        tasks_max: How many tasks it may plan.

    Attributes:
        offsets: What is stored, by source partition as JSON text; a new start reads it, as after a crash.
        records: Everything that was polled since the last start and is not acknowledged.
    """

    def __init__(self, connector: type[SourceConnector], props: Mapping[str, str], *, tasks_max: int = 1) -> None:
        self._connector = connector
        self._props = dict(props)
        self._tasks_max = tasks_max
        self.offsets: dict[str, dict[str, Any]] = {}
        self.tasks: list[SourceTask] = []
        self.records: list[tuple[SourceTask, SourceRecord]] = []

    async def __aenter__(self) -> SourceHarness:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Plan and start the tasks at the stored offsets."""
        for props in await planned(self._connector, self._props, self._tasks_max, self.offsets):
            task = self._connector.task_class()()
            assert isinstance(task, SourceTask)
            task.initialize(_Context(Offsets(self.offsets), props))
            self.tasks.append(task)
            await call(task.start, props)

    async def poll(self) -> list[SourceRecord]:
        """Poll each task once; a `RetriableError` counts as nothing."""
        found: list[SourceRecord] = []
        for task in self.tasks:
            try:
                polled = await call(task.poll) or []
            except RetriableError:
                continue
            self.records += [(task, record) for record in polled]
            found += polled
        return found

    async def take(self, count: int, timeout_s: float = 30.0) -> list[SourceRecord]:
        """Poll until there are `count` records; heartbeats are polled, but not counted.

        Raises:
            TimeoutError: There were fewer.
        """
        found: list[SourceRecord] = []
        end = time.monotonic() + timeout_s
        while len(found) < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{len(found)} of {count} records after {timeout_s} s")
            found += [record for record in await self.poll() if record.topic]
            await asyncio.sleep(0)
        return found

    async def acknowledge(self, count: int | None = None) -> None:
        """Take the oldest polled records as stored in Kafka: tell the tasks, and store their offsets.

        Args:
            count: How many; None for all.
        """
        count = len(self.records) if count is None else count
        done, self.records = self.records[:count], self.records[count:]
        for number, (task, record) in enumerate(done):
            await call(task.commit_record, record, RecordMetadata(record.topic, record.partition or 0, number))
            if record.source_offset is not None:
                # Through JSON, as it goes to a topic.
                self.offsets[partition_text(record.source_partition or {})] = json.loads(
                    json.dumps(dict(record.source_offset))
                )
        for task in self.tasks:
            await call(task.commit)

    async def stop(self) -> None:
        """Stop the tasks; what is not acknowledged is forgotten."""
        tasks, self.tasks, self.records = self.tasks, [], []
        for task in tasks:
            await call(task.stop)

    def crash(self) -> None:
        """Leave the tasks without a word, as a killed process does."""
        self.tasks, self.records = [], []
