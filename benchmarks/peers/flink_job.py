"""The benchmark's look-up as a PyFlink job: 10 ms of sleep, a time-out of 30 s.

    python flink_job.py RECORDS CAPACITY FILE

Runs in an environment of its own, as PyFlink's requirements do not go with ours. Rate and CPU are those of the Python
process that makes the look-ups, from the first one's start to the last one's end, so the start of the job does not
count; they go to FILE as JSON. There is no Kafka around it, which is in PyFlink's favour.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from pyflink.common import Time, Types
from pyflink.datastream import AsyncDataStream, AsyncFunction, StreamExecutionEnvironment


class LookUp(AsyncFunction):  # type: ignore[misc]
    """Sleeps, and tells how fast."""

    def __init__(self, file: str) -> None:
        self.file, self.began, self.cpu, self.count = file, 0.0, 0.0, 0

    async def async_invoke(self, value: int) -> list[int]:
        """Look a number up."""
        if not self.began:
            self.began, self.cpu = time.monotonic(), time.process_time()
        await asyncio.sleep(0.01)
        self.count += 1
        self.ended, self.cpu_ended = time.monotonic(), time.process_time()
        return [value]

    def timeout(self, value: int) -> list[int]:
        """Never happens here."""
        raise TimeoutError(str(value))

    def close(self) -> None:
        """Write the figures down."""
        seconds, cpu = self.ended - self.began, self.cpu_ended - self.cpu
        result = {"records_per_s": self.count / seconds, "cpu_us_per_record": cpu / self.count * 1e6}
        Path(self.file).write_text(json.dumps(result))


def main() -> None:
    """Run the job."""
    records, capacity, file = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    env = StreamExecutionEnvironment.get_execution_environment()
    env.set_parallelism(1)
    numbers = env.from_collection(list(range(records)), type_info=Types.INT())
    results = AsyncDataStream.unordered_wait(numbers, LookUp(file), Time.seconds(30), capacity, Types.INT())
    results.filter(lambda _: False).print()
    env.execute("look-up")


if __name__ == "__main__":
    main()
