"""Kafka goes away for a while; the worker waits and goes on."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator

import pytest

from stack import Home, Server
from stack.servers import make
from tests.integration.agents.conftest import Bench

OUTAGE_S = 20
COUNT = 4000

FUNCTIONS = """
    import asyncio

    async def slow(message):
        await asyncio.sleep(0.1)
        return [message]
"""

CONFIG = """
    application: {id: "{u}g"}
    stages:
      - name: s
        input: {u}in
        output: {u}out
        capacity: 20
        timeout_s: 60
        steps: [{function: "functions:slow"}]
"""


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Kafka that may be stopped."""
    home = tmp_path_factory.mktemp("stack")
    Home.default().downloads().mkdir(parents=True, exist_ok=True)
    (home / "downloads").symlink_to(Home.default().downloads())
    made = make("kafka", Home(home))
    try:
        made.start()
        yield made
    finally:
        made.stop()
        made.wipe()


@pytest.mark.slow
def test_worker_goes_on_after_kafka_was_away(own_kafka, unique, tmp_path) -> None:
    bench = Bench(own_kafka.environment()["KAFKA_BOOTSTRAP_SERVERS"], unique, tmp_path)
    try:
        bench.topic("in", 2)
        for number in range(COUNT):
            bench.send("in", b'{"n":%d}' % number, b"%d" % number, partition=number % 2)
        bench.configure(CONFIG, FUNCTIONS)
        worker = bench.start()
        bench.read("out", 400)
        own_kafka.stop()
        away = time.monotonic() + OUTAGE_S
        while time.monotonic() < away:
            assert worker.poll() is None, bench.log.read_text()[-5000:]
            time.sleep(0.2)
        own_kafka.start()
        found = bench.read("out", lambda got: len({r.key() for r in got}) == COUNT, timeout_s=90)
        assert {json.loads(record.value())["n"] for record in found} == set(range(COUNT))
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0, bench.log.read_text()[-5000:]
        assert bench.committed("g", "in", 2) == [COUNT // 2] * 2
        assert "Traceback" not in bench.log.read_text()
    finally:
        bench.close()
