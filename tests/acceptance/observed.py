"""A `CassandraSink` that writes down what the runtime does with it; a worker loads it by its dotted path."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
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


def _waited_for_a_core() -> float:
    """Return how many seconds this thread was ready to run in all while others had the cores."""
    facts = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_text().split()
    return int(facts[1]) / 1e9


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
