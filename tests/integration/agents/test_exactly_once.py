"""exactly_once: a reader of committed records sees each output once, whatever happens to the workers."""

from __future__ import annotations

import json
import random
import signal
import time
from collections import Counter
from uuid import uuid4

import confluent_kafka as ck
import pytest

from agents.transactional_producer import group_metadata

FUNCTIONS = """
    import asyncio

    async def slow(message):
        await asyncio.sleep(float(message.value["s"]))
        return [message]
"""

CONFIG = """
    application: {u_id, processing_guarantee: exactly_once}
    stages:
      - name: s
        input: {u}in
        output: {u}out
        mode: {mode}
        capacity: 20
        timeout_s: 30
        steps: [{function: "functions:slow"}]
"""

PARTITIONS = 4


ordered = pytest.mark.parametrize("mode", ["ordered"])
unordered = pytest.mark.parametrize("mode", ["unordered"])


@pytest.fixture
def ready(bench, mode):
    """A bench with a topic and a configuration."""
    bench.topic("in", PARTITIONS)
    bench.configure(CONFIG.replace("u_id", 'id: "{u}g"').replace("{mode}", mode), FUNCTIONS)
    bench.mode = mode
    return bench


def send(bench, begin: int, end: int, seconds: float = 0.02) -> None:
    """Send numbers, each tenth slow."""
    for number in range(begin, end):
        slow = 10 * seconds if number % 10 == 0 else seconds
        bench.send("in", b'{"n":%d,"s":%.3f}' % (number, slow), partition=number % PARTITIONS)
    assert bench.producer.flush(30) == 0


def numbers(found: list[ck.Message]) -> list[int]:
    return [json.loads(record.value())["n"] for record in found]


def await_log(bench, text: str, count: int) -> None:
    end = time.monotonic() + 40
    while bench.log.read_text().count(text) < count:
        assert time.monotonic() < end, bench.log.read_text()
        time.sleep(0.05)


def check(bench, count: int, timeout_s: float = 90) -> None:
    """Wait for all outputs, end the workers, and look that there is none too many and none out of its place."""
    bench.read("out", lambda found: set(numbers(found)) >= set(range(count)), timeout_s=timeout_s)
    for worker in bench.workers:
        if worker.poll() is None:
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(30) == 0, bench.log.read_text()[-5000:]
    found = bench.read("out", count)
    twice = {number: times for number, times in Counter(numbers(found)).items() if times > 1}
    assert twice == {}, f"{len(twice)} of {count} came more than once"
    assert bench.committed("g", "in", PARTITIONS) == [count // PARTITIONS] * PARTITIONS
    if bench.mode == "ordered":
        for partition in range(PARTITIONS):
            own = numbers([record for record in found if record.partition() == partition])
            assert own == sorted(own)


def test_group_metadata_is_written_as_librdkafka_writes_it(kafka, bench) -> None:
    topic = bench.topic("any")
    consumer = ck.Consumer({"bootstrap.servers": kafka, "group.id": f"g-{uuid4().hex}"})
    try:
        consumer.subscribe([topic])
        end = time.monotonic() + 30
        while not consumer.assignment():
            assert time.monotonic() < end
            consumer.poll(0.1)
        own = consumer.consumer_group_metadata()
        group = own[11:].partition(b"\0")[0].decode()
        assert group_metadata(group, int.from_bytes(own[7:11], "little"), consumer.memberid()) == own
    finally:
        consumer.close()


@pytest.mark.parametrize("mode", ["ordered", "unordered"])
def test_outputs_come_once_and_a_restart_repeats_none(ready) -> None:
    worker = ready.start()
    send(ready, 0, 2000)
    ready.read("out", 1000)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0, ready.log.read_text()
    ready.start()
    check(ready, 2000)


@ordered
def test_killed_workers_leave_no_gap_and_no_duplicate(ready) -> None:
    chance, total = random.Random(7), 4000
    send(ready, 0, total)
    worker = ready.start()
    for turn in range(3):
        await_log(ready, "Worker ready", turn + 1)
        time.sleep(chance.uniform(0.3, 2.5))  # the moment of the kill, not a wait for anything
        worker.send_signal(signal.SIGKILL)
        worker.wait(10)
        worker = ready.start()
    check(ready, total)


@unordered
def test_workers_that_come_and_go_leave_no_gap_and_no_duplicate(ready) -> None:
    older = ready.start()
    await_log(ready, "Worker ready", 1)
    each, rounds = 1500, 3
    for turn in range(rounds):
        send(ready, turn * each, (turn + 1) * each)
        seen = ready.log.read_text().count("Worker ready")
        newer = ready.start()
        await_log(ready, "Worker ready", seen + 2)
        older.send_signal(signal.SIGTERM)
        assert older.wait(30) == 0, ready.log.read_text()[-5000:]
        older = newer
    check(ready, rounds * each)


@unordered
def test_worker_that_was_frozen_past_its_session_adds_nothing(ready) -> None:
    first = ready.start()
    send(ready, 0, 1200)
    ready.read("out", 100)
    first.send_signal(signal.SIGSTOP)
    second = ready.start()
    ready.read("out", lambda found: len(set(numbers(found))) == 1200, timeout_s=90)
    first.send_signal(signal.SIGCONT)
    send(ready, 1200, 2000)
    await_log(ready, "Worker ready", 2)
    assert second.poll() is None
    check(ready, 2000)
