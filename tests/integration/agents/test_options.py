"""Options of the async operator on a real Kafka: in stages, and inside an ordinary Faust agent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

FUNCTIONS = """
    import asyncio
    import random
    import time

    async def jitter(message):
        await asyncio.sleep(random.uniform(0, 0.3))
        return [message]

    async def pass_on(message):
        return [message]

    async def many(messages):
        for message in messages:
            message.value["batch"] = len(messages)
        return [[message] for message in messages]

    def blocking(message):
        time.sleep(0.05)
        message.value["name"] = f"name of {message.value['style']}"
        message.value["calls"] = True
        return [message]

    async def stuck(message):
        await asyncio.Event().wait()
"""

STAGES = """
    application: {id: "{u}g"}
    stages:
      - name: first
        input: {u}first
        output: {u}second
        timeout_s: 10
        watermarks: {max_out_of_orderness_s: 0.000_020, interval_s: 0.05}
        steps: [{function: "functions:jitter"}]
      - name: second
        input: {u}second
        output: {u}second.out
        timeout_s: 10
        watermarks: {timestamp: header, interval_s: 0.05}
        steps: [{function: "functions:pass_on"}]
      - name: steps
        input: {u}steps
        output: {u}steps.out
        timeout_s: 20
        adaptive: {latency_s: 5, initial: 20}
        steps:
          - {function: "functions:many", batch: {max_size: 10, max_wait_s: 0.05}}
          - {function: "functions:blocking", threads: 2, cache: {key: [style], columns: [name], ttl_s: 60}}
      - name: stuck
        input: {u}stuck
        output: {u}stuck.out
        dead_letter: {u}stuck.dead
        timeout_s: 0.3
        on_timeout: dead-letter
        on_failure: fail
        rate_limit: {records_per_s: 1000, burst: 10}
        steps: [{function: "functions:stuck"}]
"""


def headers_of(record: Any) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers() or []}


def test_options_of_stages(bench) -> None:
    for name, partitions in (("first", 2), ("second", 2), ("steps", 1), ("stuck", 1)):
        bench.topic(name, partitions)
    for number in range(600):
        header = [("connect.ts_us", b"%d" % (1_000_000 + number))]
        bench.send("first", b'{"n":%d}' % number, b"%d" % number, partition=number % 2, headers=header)
        if number == 299:
            assert bench.producer.flush(30) == 0
    for number in range(100):
        bench.send("steps", json.dumps({"n": number, "style": f"S-{number % 4}"}).encode())
    for number in range(20):
        bench.send("stuck", b'{"n":%d}' % number)
    bench.configure(STAGES, FUNCTIONS)
    bench.start()
    _follow_watermarks(bench)
    found = [json.loads(record.value()) for record in bench.read("steps.out", 100)]
    assert {one["n"]: one["name"] for one in found} == {number: f"name of S-{number % 4}" for number in range(100)}
    assert sum("calls" in one for one in found) == 4, "one call for each key"
    assert any(one["batch"] > 1 for one in found)
    assert len(bench.read("stuck.dead", 20)) == 20
    for number in range(600, 640):  # now there is a watermark for sure
        header = [("connect.ts_us", b"%d" % (1_000_000 + number))]
        bench.send("first", b'{"n":%d}' % number, b"%d" % number, partition=number % 2, headers=header)
    assert bench.producer.flush(30) == 0
    last = _follow_watermarks(bench, 640)
    assert min(last.values()) >= 570, "the watermark of what came before is in the headers"
    assert len(last) == 2


def _follow_watermarks(bench: Any, count: int = 600) -> dict[str, int]:
    """Both outputs keep key, partition and order of the change; no record is older than the watermark before it."""
    last: dict[str, int] = {}
    for topic, source in (("second", "first"), ("second.out", "second")):
        newest: dict[int, int] = {}
        records = bench.read(topic, count)
        assert sorted(json.loads(record.value())["n"] for record in records) == list(range(count))
        for record in records:
            number, headers = json.loads(record.value())["n"], headers_of(record)
            assert record.key() == b"%d" % number
            assert record.partition() == number % 2
            mark = headers.get("connect.watermark_us")
            if mark is not None:
                assert headers["connect.watermark_source"] == f"{bench.unique}{source}-{record.partition()}"
                assert int(mark) >= newest.get(record.partition(), 0), "a watermark never goes back"
                newest[record.partition()] = int(mark)
                last[str(record.partition())] = int(mark) - 1_000_000
            assert 1_000_000 + number >= newest.get(record.partition(), 0)
    return last


AGENT = """
    import os
    import faust
    from agents.async_io import Cache, RateLimit, Watermark, fixed_delay, monotonic_timestamps, unordered_wait

    unique = os.environ["UNIQUE"]
    app = faust.App(unique + "app", broker="kafka://" + os.environ["KAFKA_BOOTSTRAP_SERVERS"], store="memory://",
                    topic_partitions=2, topic_disable_leader=True, consumer_auto_offset_reset="earliest",
                    stream_wait_empty=False, web_enabled=False, broker_commit_interval=0.2)
    source = app.topic(unique + "in", value_serializer="json")
    target = app.topic(unique + "out", value_serializer="json")

    async def double(value):
        return [{"n": value["n"], "double": 2 * value["n"]}]

    @app.agent(source)
    async def enrich(stream):
        results = unordered_wait(
            stream, double, timeout_s=10, capacity=50, retry=fixed_delay(3, 0.1), cache=Cache(60, key=lambda v: v["n"]),
            rate_limit=RateLimit(2000, burst=100), watermarks=monotonic_timestamps("n", idle_s=2, interval_s=0.05),
        )
        async for result in results:
            if isinstance(result, Watermark):
                await target.send(value={"watermark": result.ts_us})
            else:
                await target.send(value=result)
"""


def test_options_inside_an_ordinary_faust_agent(bench, unique: str, kafka: str, tmp_path: Path) -> None:
    bench.topic("in", 2)
    bench.topic("out")
    for number in range(1, 401):
        bench.send("in", b'{"n":%d}' % number, partition=number % 2)
    bench.configure("", "")
    (tmp_path / "job.py").write_text(dedent(AGENT))
    command = [str(Path(sys.executable).with_name("faust")), "-A", "job", "worker", "-l", "info", "--without-web"]
    with bench.log.open("ab") as log:
        env = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka, "UNIQUE": unique, "TMPDIR": str(tmp_path)}
        bench.workers.append(subprocess.Popen(command, cwd=tmp_path, env=env, stdout=log, stderr=log))

    def complete(records: list[Any]) -> bool:
        found = [json.loads(record.value()) for record in records]
        # The partitions end with 399 and 400: the lesser counts.
        return {"watermark": 399} in found and sum("n" in one for one in found) >= 400

    out = [json.loads(record.value()) for record in bench.read("out", complete)]
    assert sorted(one["n"] for one in out if "n" in one) == list(range(1, 401))
    marks = [one["watermark"] for one in out if "watermark" in one]
    assert marks == sorted(marks)
