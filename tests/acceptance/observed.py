"""The sinks, writing down what the runtime does with them; a worker loads them by their dotted paths.

Lines of JSON go to the file `OBSERVED`, for partitions given and taken and for each longer block of the event loop.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from connectors import SinkRecord, SinkTask, Task, TopicPartition
from connectors.api.connector import Props
from connectors.sinks.cassandra import CassandraSink, CassandraSinkTask
from connectors.sinks.kudu import KuduSink, KuduSinkTask

_BEAT_S = 0.02


class Observed(SinkTask):
    """Watches the sink task that it is mixed into."""

    _beating: asyncio.Task[None] | None = None

    def open(self, partitions: Collection[TopicPartition]) -> Any:
        self._note(open=len(partitions))

    def close(self, partitions: Collection[TopicPartition]) -> Any:
        self._note(close=len(partitions))
        return super().close(partitions)

    def watch(self) -> None:
        """Begin to watch the running event loop; once is enough."""
        if self._beating is None:
            self._beating = asyncio.get_running_loop().create_task(self._beat())

    async def _beat(self) -> None:
        worst = 0.0
        while True:
            before, waited = time.monotonic(), _waited_for_a_core()
            await asyncio.sleep(_BEAT_S)
            late = time.monotonic() - before - _BEAT_S
            # What the machine was too busy for is not the loop's fault.
            blocked = late - (_waited_for_a_core() - waited)
            if blocked > worst:
                worst = blocked
                self._note(blocked_s=round(blocked, 4), of_s=round(late, 4))

    def _note(self, **facts: float) -> None:
        with Path(os.environ["OBSERVED"]).open("a") as file:
            file.write(json.dumps(facts) + "\n")


class ObservedCassandraSink(CassandraSink):
    """As `CassandraSink`."""

    @classmethod
    def task_class(cls) -> type[Task]:
        return ObservedCassandraTask


class ObservedCassandraTask(Observed, CassandraSinkTask):
    """As `CassandraSinkTask`."""

    async def start(self, props: Props) -> None:
        await super().start(props)
        self.watch()

    async def stop(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
        await super().stop()


class ObservedKuduSink(KuduSink):
    """As `KuduSink`."""

    @classmethod
    def task_class(cls) -> type[Task]:
        return ObservedKuduTask


class ObservedKuduTask(Observed, KuduSinkTask):
    """As `KuduSinkTask`; takes `PACE_S` seconds for a record, so that a fault comes in its midst."""

    def put(self, records: list[SinkRecord]) -> None:
        super().put(records)
        time.sleep(float(os.environ["PACE_S"]) * len(records))

    async def pre_commit(self, offsets: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        self.watch()
        return await super().pre_commit(offsets)


def _waited_for_a_core() -> float:
    """Return how many seconds this thread was ready to run in all while others had the cores."""
    facts = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_text().split()
    return int(facts[1]) / 1e9
