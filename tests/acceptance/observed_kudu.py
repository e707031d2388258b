"""A `KuduSink` that writes down what the runtime does with it; a worker loads it by its dotted path."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from connectors import SinkRecord, Task, TopicPartition
from connectors.sinks.kudu import KuduSink, KuduSinkTask

_BEAT_S = 0.02


class ObservedKuduSink(KuduSink):
    """As `KuduSink`."""

    @classmethod
    def task_class(cls) -> type[Task]:
        return ObservedTask


class ObservedTask(KuduSinkTask):
    """Appends a line of JSON to the file `OBSERVED` for partitions given and taken, and for each longer block.

    It takes `PACE_S` seconds for a record, so that a fault comes in its midst.
    """

    _beating: asyncio.Task[None] | None = None

    def open(self, partitions: Collection[TopicPartition]) -> Any:
        self._note(open=len(partitions))

    def close(self, partitions: Collection[TopicPartition]) -> None:
        self._note(close=len(partitions))
        super().close(partitions)

    def put(self, records: list[SinkRecord]) -> None:
        super().put(records)
        time.sleep(float(os.environ["PACE_S"]) * len(records))

    async def pre_commit(self, offsets: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        if self._beating is None:
            self._beating = asyncio.get_running_loop().create_task(self._beat())
        return await super().pre_commit(offsets)

    async def _beat(self) -> None:
        loop, worst = asyncio.get_running_loop(), 0.0
        while True:
            before = loop.time()
            await asyncio.sleep(_BEAT_S)
            late = loop.time() - before - _BEAT_S
            if late > worst:
                worst = late
                self._note(blocked_s=round(late, 4))

    def _note(self, **facts: float) -> None:
        with Path(os.environ["OBSERVED"]).open("a") as file:
            file.write(json.dumps(facts) + "\n")
