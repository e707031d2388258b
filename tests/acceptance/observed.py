"""A `CassandraSink` that writes down what the runtime does with it; a worker loads it by its dotted path."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections import deque
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


class IdleThread(threading.Thread):
    """Does nothing but sleep, and notes how much too long the machine let it."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._late: deque[tuple[float, float]] = deque(maxlen=200)

    def run(self) -> None:
        while True:
            before = time.monotonic()
            time.sleep(_BEAT_S)
            now = time.monotonic()
            self._late.append((now, now - before - _BEAT_S))

    def latest_since(self, moment: float) -> float:
        """Return the most that it was late after a moment."""
        return max((late for at, late in list(self._late) if at >= moment), default=0.0)


class ObservedTask(CassandraSinkTask):
    """Appends a line of JSON to the file `OBSERVED` for partitions given and taken, and for each longer block."""

    async def start(self, props: Props) -> None:
        await super().start(props)
        self._idle = IdleThread()
        self._idle.start()
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
            before = time.monotonic()
            await asyncio.sleep(_BEAT_S)
            now = time.monotonic()
            # What the machine was too busy for is not the loop's fault.
            late = now - before - _BEAT_S - self._idle.latest_since(before)
            if late > worst:
                worst = late
                self._note(blocked_s=round(late, 4), of_s=round(now - before - _BEAT_S, 4))

    def _note(self, **facts: float) -> None:
        with Path(os.environ["OBSERVED"]).open("a") as file:
            file.write(json.dumps(facts) + "\n")
