"""A `CassandraSink` that writes down what the runtime does with it; a worker loads it by its dotted path."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from connectors import Task, TopicPartition
from connectors.api.connector import Props
from connectors.sinks.cassandra import CassandraSink, CassandraSinkTask

_BEAT_S = 0.02


class ObservedCassandraSink(CassandraSink):
    """As `CassandraSink`."""

    @classmethod
    def task_class(cls) -> type[Task]:
        return ObservedTask


class ObservedTask(CassandraSinkTask):
    """Appends a line of JSON to the file `OBSERVED` for partitions given and taken, and for each longer block."""

    async def start(self, props: Props) -> None:
        await super().start(props)
        self._beating = asyncio.get_running_loop().create_task(self._beat())

    async def stop(self) -> None:
        if hasattr(self, "_beating"):
            self._beating.cancel()
        await super().stop()

    def open(self, partitions: Collection[TopicPartition]) -> Any:
        self._note(open=len(partitions))

    def close(self, partitions: Collection[TopicPartition]) -> None:
        self._note(close=len(partitions))
        super().close(partitions)

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
