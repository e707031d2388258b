"""Pending requests over restarts and rebalances, on a real Kafka."""

from __future__ import annotations

import json
import signal
import time

import confluent_kafka as ck
import pytest

from tables.pending import PendingRow

FUNCTIONS = """
    import asyncio

    async def slow(message):
        await asyncio.sleep(float(message.value.get("s", 0.05)))
        return [message]
"""

# A busy event loop hears late of a rebalance. Meanwhile aiokafka keeps a fetch until the next assignment, so what it
# brings is of another assignment than the one that asked.
HEARD_LATE = """
    from faust.transport.drivers.aiokafka import ConsumerRebalanceListener as Listener

    at_once = Listener.on_partitions_revoked

    async def late(self, revoked):
        await asyncio.sleep(0.6)
        await at_once(self, revoked)

    Listener.on_partitions_revoked = late
"""

CONFIG = """
    application: {id: "{u}g"}
    stages:
      - name: s
        input: {u}in
        output: {u}out
        dead_letter: {u}dead
        mode: ordered
        capacity: 3
        timeout_s: 60
        steps: [{function: "functions:slow"}]
"""


def row(bench, offset: int, value: bytes) -> None:
    made = PendingRow(0, offset, b"%d" % offset, value, [("h", b"%d" % offset)], 1_700_000_000_000 + offset, 1, 0)
    bench.send("g-s-pending-changelog", made.encode(), made.row_key())


def commit(bench, offset: int) -> None:
    consumer = ck.Consumer({"bootstrap.servers": bench.kafka, "group.id": f"{bench.unique}g"})
    consumer.commit(offsets=[ck.TopicPartition(f"{bench.unique}in", 0, offset)], asynchronous=False)
    consumer.close()


def test_pending_requests_run_first_in_order_and_once(bench) -> None:
    bench.topic("in")
    bench.topic("g-s-pending-changelog")
    for number in range(20):
        bench.send("in", b'{"n":%d}' % number, b"%d" % number, timestamp=1_700_000_000_000 + number)
    # More than the capacity; 9 is done, 11 and 12 will be read again.
    for number in (12, 3, 9, 7, 5, 11):
        row(bench, number, b'{"n":%d}' % number)
    bench.send("g-s-pending-changelog", None, b"0-9")
    bench.send("g-s-pending-changelog", b"garbage", b"0-4")
    assert bench.producer.flush(10) == 0
    commit(bench, 10)
    bench.configure(CONFIG, FUNCTIONS)
    worker = bench.start()

    out = bench.read("out", 13)
    assert [json.loads(r.value())["n"] for r in out] == [3, 5, 7, 11, 12, 10, 13, 14, 15, 16, 17, 18, 19]
    assert out[0].key() == b"3"
    assert out[0].headers() == [("h", b"3")]
    assert out[0].timestamp()[1] == 1_700_000_000_003
    (dead,) = bench.read("dead", 1)
    assert (dead.key(), dead.value()) == (b"0-4", b"garbage")
    assert dict(dead.headers())["__connect.errors.topic"] == f"{bench.unique}g-s-pending-changelog".encode()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert bench.committed("g", "in") == [20]
    assert len(bench.read("out", 13)) == 13
    latest = {r.key(): r.value() for r in bench.read("g-s-pending-changelog", 13)}
    assert latest == dict.fromkeys(latest), "every row has its tombstone"


def test_pending_requests_move_with_their_partition(bench) -> None:
    bench.topic("in", 4)
    for number in range(400):
        bench.send("in", b'{"n":%d,"s":%s}' % (number, b"4" if number < 4 else b"0.05"), partition=number % 4)
    bench.configure(CONFIG.replace("capacity: 3", "capacity: 40").replace("ordered", "unordered"), FUNCTIONS)
    first = bench.start()
    bench.read("out", 30)
    second = bench.start()
    # The second worker joins while the slow requests of the first run; then the first leaves.
    end = time.monotonic() + 30
    while "generation 2" not in bench.log.read_text():
        assert time.monotonic() < end, bench.log.read_text()
        time.sleep(0.1)
    bench.read("out", 200)
    first.send_signal(signal.SIGTERM)
    assert first.wait(30) == 0
    numbers = [
        json.loads(r.value())["n"]
        for r in bench.read("out", lambda found: len({json.loads(r.value())["n"] for r in found}) == 400)
    ]
    assert set(numbers) == set(range(400))
    assert len(numbers) < 600, "a rebalance repeats only what was in flight"
    second.send_signal(signal.SIGTERM)
    assert second.wait(30) == 0
    assert bench.committed("g", "in", 4) == [100, 100, 100, 100]


@pytest.mark.parametrize("functions", [FUNCTIONS, FUNCTIONS + HEARD_LATE], ids=["at once", "heard late"])
def test_nothing_is_lost_while_workers_come_and_go(bench, functions) -> None:
    bench.topic("in", 4)
    bench.configure(CONFIG.replace("capacity: 3", "capacity: 10").replace("ordered", "unordered"), functions)
    older = bench.start()
    _await_log(bench, "Worker ready", 1)
    rounds, each = 4, 2000
    for turn in range(rounds):
        for number in range(turn * each, (turn + 1) * each):
            bench.send("in", b'{"n":%d,"s":0.02}' % number, partition=number % 4)
        assert bench.producer.flush(30) == 0
        ready = bench.log.read_text().count("Worker ready")
        newer = bench.start()
        _await_log(bench, "Worker ready", ready + 2)  # both have their part of the new assignment
        older.send_signal(signal.SIGTERM)
        assert older.wait(30) == 0, bench.log.read_text()
        older = newer
    everything = set(range(rounds * each))
    bench.read("out", lambda found: {json.loads(r.value())["n"] for r in found} == everything, timeout_s=60)
    older.send_signal(signal.SIGTERM)
    assert older.wait(30) == 0, bench.log.read_text()
    assert bench.committed("g", "in", 4) == [rounds * each // 4] * 4


def test_records_that_come_during_the_first_rebalance_are_kept(bench) -> None:
    # Nothing is committed yet, so Faust's seek to the committed offsets brings nothing back.
    bench.topic("in", 4)
    bench.configure(CONFIG, FUNCTIONS + HEARD_LATE)
    first = bench.start()
    _await_log(bench, "Worker ready", 1)
    second = bench.start()
    _await_log(bench, "Revoking previously assigned partitions", 3)  # the first's twice, the second's once
    for number in range(40):
        bench.send("in", b'{"n":%d,"s":0.01}' % number, partition=number % 4)
    assert bench.producer.flush(10) == 0
    bench.read("out", lambda found: {json.loads(r.value())["n"] for r in found} == set(range(40)))
    for worker in (first, second):
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0, bench.log.read_text()
    assert bench.committed("g", "in", 4) == [10] * 4


def _await_log(bench, text: str, count: int) -> None:
    end = time.monotonic() + 40
    while bench.log.read_text().count(text) < count:
        assert time.monotonic() < end, bench.log.read_text()
        time.sleep(0.1)


def test_worker_that_was_frozen_past_its_session_moves_nothing_back(bench) -> None:
    bench.topic("in", 2)
    for number in range(600):
        bench.send("in", b'{"n":%d,"s":0.1}' % number, partition=number % 2)
    bench.configure(CONFIG.replace("capacity: 3", "capacity: 10"), FUNCTIONS)
    first = bench.start()
    bench.read("out", 100)
    first.send_signal(signal.SIGSTOP)
    second = bench.start()
    bench.read("out", lambda found: len({r.value() for r in found}) == 600, timeout_s=60)
    second.send_signal(signal.SIGTERM)
    assert second.wait(30) == 0
    assert bench.committed("g", "in", 2) == [300, 300]
    # It wakes up with requests in flight and a position of long ago, and joins the group again.
    first.send_signal(signal.SIGCONT)
    end = time.monotonic() + 30
    while bench.log.read_text().count("Seek stream partitions to committed offsets") < 3:
        assert first.poll() is None, bench.log.read_text()
        assert time.monotonic() < end, bench.log.read_text()
        time.sleep(0.1)
    first.send_signal(signal.SIGTERM)
    assert first.wait(30) == 0, bench.log.read_text()
    assert bench.committed("g", "in", 2) == [300, 300]
    # Repeated: what was not committed when it froze, and what it did before its first heartbeat told it.
    assert len(bench.read("out", 600)) < 900


def test_results_of_a_frozen_worker_do_not_come_after_its_successors(bench) -> None:
    bench.topic("in", 2)
    bench.configure(
        CONFIG.replace("capacity: 3", "capacity: 20"),
        """
        import asyncio, os

        async def slow(message):
            os.write(2, b"begin %d;" % message.value["n"])
            await asyncio.sleep(float(message.value["s"]))
            message.value["worker"] = os.getpid()
            return [message]
        """,
    )
    for number in range(40):
        bench.send("in", b'{"n":%d,"s":%s}' % (number, b"0.01" if number < 20 else b"3"), partition=number % 2)
    assert bench.producer.flush(10) == 0
    first = bench.start()
    bench.read("out", 20)
    _await_log(bench, "begin 38;", 1)
    _await_log(bench, "begin 39;", 1)
    # All that it has is asked for and not answered; its answers are overdue when it wakes up.
    first.send_signal(signal.SIGSTOP)
    second = bench.start()
    bench.read("out", lambda found: {json.loads(r.value())["n"] for r in found} == set(range(40)), timeout_s=60)
    first.send_signal(signal.SIGCONT)
    _await_log(bench, "stood still for longer than its session", 1)
    _await_log(bench, "Worker ready", 2)
    for number in range(40, 60):
        bench.send("in", b'{"n":%d,"s":0.01}' % number, partition=number % 2)
    assert bench.producer.flush(10) == 0
    bench.read("out", lambda found: {json.loads(r.value())["n"] for r in found} == set(range(60)))
    for worker in (first, second):
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0, bench.log.read_text()
    found = [json.loads(r.value()) for r in bench.read("out", 60)]
    assert {value["worker"] for value in found if 20 <= value["n"] < 40} == {second.pid}
    assert bench.committed("g", "in", 2) == [30, 30]
