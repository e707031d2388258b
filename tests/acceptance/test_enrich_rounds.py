"""Workers of the enrich stage that are killed, join and leave while records flow: nothing is lost, in no combination.

The default is small enough for every run. `ENRICH_ROUNDS=20 ENRICH_RECORDS=200000` is the full form.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import confluent_kafka as ck
import pytest

from tests.integration.agents.conftest import Bench

ROUNDS = int(os.environ.get("ENRICH_ROUNDS", "2"))
RECORDS = int(os.environ.get("ENRICH_RECORDS", "8000"))
PARTITIONS = 6
WORKERS = 3
# A worker does capacity / 10 ms records a second at most, so that what a tick can hold is known.
CAPACITY = max(4, RECORDS // 5000)
FASTEST = CAPACITY * 100
TICK_S = 1.0
SLACK_S = 1.0
ROUND_S = 14.0

FUNCTIONS = """
    import asyncio

    async def look_up(message):
        await asyncio.sleep(0.1 if message.value["n"] % 50 == 0 else 0.01)
        return [message]
"""

CONFIG = """
    application: {{id: "{{u}}g", processing_guarantee: {guarantee}}}
    stages:
      - name: s
        input: {{u}}in
        output: {{u}}out
        mode: {mode}
        capacity: {capacity}
        timeout_s: 30
        steps: [{{function: "functions:look_up"}}]
"""


class Rounds:
    """Workers under attack, and a feeder that keeps records coming until the last round."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench = bench
        self.chance = random.Random(seed)
        self.alive = [bench.start() for _ in range(WORKERS)]
        self.kills = 0
        self._feeder = threading.Thread(target=self._feed)

    def run(self) -> None:
        self._await_outputs(1)
        self._feeder.start()
        for number in range(ROUNDS):
            began = time.monotonic()
            time.sleep(self.chance.uniform(0.5, 3.0))  # the moment of the attack, not a wait for anything
            self._attack(kill=number % 2 == 0)
            self._await_outputs(self.count() + FASTEST // 4)
            time.sleep(max(0.0, ROUND_S - (time.monotonic() - began)))  # the pace of the rounds
        self._feeder.join()

    def stop(self) -> None:
        for worker in self.alive:
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(40) == 0, self.bench.log.read_text()[-5000:]

    def _attack(self, *, kill: bool) -> None:
        victim = self.alive.pop(self.chance.randrange(len(self.alive)))
        victim.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        victim.wait(40)
        self.kills += kill
        self.alive.append(self.bench.start())

    def _feed(self) -> None:
        pace = ROUNDS * ROUND_S / RECORDS
        began = time.monotonic()
        for number in range(1, RECORDS):
            self.bench.send("in", b'{"n":%d}' % number, partition=number % PARTITIONS)
            if number % 50 == 0:
                self.bench.producer.poll(0)
                time.sleep(max(0.0, began + number * pace - time.monotonic()))
        assert self.bench.producer.flush(30) == 0

    def count(self) -> int:
        consumer = ck.Consumer({"bootstrap.servers": self.bench.kafka, "group.id": uuid4().hex})
        try:
            topic = self.bench.unique + "out"
            places = [ck.TopicPartition(topic, number) for number in range(PARTITIONS)]
            return sum(consumer.get_watermark_offsets(place, timeout=10)[1] for place in places)
        finally:
            consumer.close()

    def _await_outputs(self, count: int) -> None:
        end = time.monotonic() + 60
        while self.count() < min(count, RECORDS):
            assert time.monotonic() < end, self.bench.log.read_text()[-5000:]
            time.sleep(0.2)


@pytest.fixture
def bench(kafka: str, unique: str, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(kafka, unique, tmp_path)
    yield made
    made.close()


@pytest.mark.timeout(ROUNDS * 60 + 300)
@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
@pytest.mark.parametrize("mode", ["ordered", "unordered"])
def test_every_input_has_its_output(bench: Bench, mode: str, guarantee: str, record_property: Any) -> None:
    for name in ("in", "out"):
        bench.topic(name, PARTITIONS)
    bench.send("in", b'{"n":0}', partition=0)
    bench.configure(CONFIG.format(mode=mode, guarantee=guarantee, capacity=CAPACITY), FUNCTIONS)
    rounds = Rounds(bench, seed=len(mode) * 100 + len(guarantee))
    rounds.run()
    wanted = set(range(RECORDS))
    bench.read("out", lambda found: set(_numbers(found)) >= wanted, timeout_s=120 + RECORDS / 500)
    rounds.stop()
    # Transactions leave markers among the offsets; an output too many would show as one that is missing.
    found = bench.read("out", RECORDS if guarantee == "exactly_once" else rounds.count())
    times = Counter(_numbers(found))
    assert times.keys() == wanted
    twice = sum(times.values()) - len(times)
    record_property("duplicates", twice)
    bound = 0 if guarantee == "exactly_once" else int(rounds.kills * (FASTEST * (TICK_S + SLACK_S) + CAPACITY))
    assert twice <= bound, f"{twice} duplicates after {rounds.kills} kills"
    expected = [len(range(number, RECORDS, PARTITIONS)) for number in range(PARTITIONS)]
    assert bench.committed("g", "in", PARTITIONS) == expected
    if mode == "ordered":
        for number in range(PARTITIONS):
            first = list(dict.fromkeys(_numbers([each for each in found if each.partition() == number])))
            assert first == sorted(first)


def _numbers(found: list[ck.Message]) -> list[int]:
    return [json.loads(record.value())["n"] for record in found]
