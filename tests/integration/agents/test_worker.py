"""The stage on a real Kafka: order, time-outs, dead letters, records that pass, failure."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

FUNCTIONS = """
    import asyncio
    import random
    from agents.async_io import AsyncFunction

    async def jitter(message):
        await asyncio.sleep(random.uniform(0, 0.02))
        message.value["seen"] = True
        return [message]

    async def stuck_on_three(message):
        if message.value["n"] == 3:
            await asyncio.Event().wait()
        return [message]

    class Flaky(AsyncFunction):
        def __init__(self, failures):
            self.failures = failures
            self.calls = {}

        async def async_invoke(self, message, result_future):
            number = message.value["n"]
            self.calls[number] = self.calls.get(number, 0) + 1
            message.value["spoilt"] = message.value.get("spoilt", 0) + 1
            if number < 0 or self.calls[number] <= self.failures:
                raise OSError(f"call {self.calls[number]} failed")
            result_future.complete([message, message.derive({"copy": number})])

    async def boom(message):
        raise LookupError("no such style")
"""

STAGES = """
    application: {id: "{u}g"}
    stages:
      - name: order
        input: {u}order
        output: {u}order.out
        mode: ordered
        capacity: 50
        timeout_s: 10
        steps: [{function: "functions:jitter"}]
      - name: keys
        input: {u}keys
        output: {u}keys.out
        key_order: true
        capacity: 50
        timeout_s: 10
        steps: [{function: "functions:jitter"}]
      - name: late
        input: {u}late
        output: {u}late.out
        dead_letter: {u}late.dead
        timeout_s: 0.5
        steps: [{function: "functions:stuck_on_three"}]
      - name: flaky
        input: {u}flaky
        output: {u}flaky.out
        dead_letter: {u}flaky.dead
        timeout_s: 10
        retry: {kind: fixed, max_retries: 2, delay_s: 0.05}
        steps: [{function: "functions:Flaky", options: {failures: 2}}]
      - name: dropping
        input: {u}dropping
        output: {u}dropping.out
        on_failure: drop
        steps: [{function: "functions:boom"}]
"""

DDL = b'{"type":"ALTER","isDdl":true,"database":"m","table":"pojo","data":null,"sql":"ALTER  TABLE x"}'


def headers_of(record: Any) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers() or []}


def test_stages(bench) -> None:
    for name, partitions in (("order", 3), ("keys", 2), ("late", 1), ("flaky", 1), ("dropping", 1)):
        bench.topic(name, partitions)
    for number in range(900):
        value = b'{"n":%d}' % number
        bench.send("order", value, b"%d" % number, partition=number % 3, timestamp=1_700_000_000_000 + number)
        bench.send("keys", value, b"key %d" % (number % 10), headers=[("connect.ts_us", b"%d" % number)])
    bench.send("keys", None, b"key 1")
    bench.send("keys", DDL, b"key 2")
    for number in range(6):
        bench.send("late", b'{"n":%d}' % number, b"%d" % number)
    bench.send("flaky", b'{"n":1}', b"one")
    bench.send("flaky", b'{"n":-1}', b"minus", headers=[("mine", b"kept")])
    bench.send("flaky", b'{"n":', b"broken")
    bench.send("flaky", b"[1]", b"list")
    bench.send("dropping", b'{"n":1}')
    bench.configure(STAGES, FUNCTIONS)
    worker = bench.start()

    _check_order(bench.read("order.out", 900))
    _check_keys(bench.read("keys.out", 902))
    assert sorted(json.loads(r.value())["n"] for r in bench.read("late.out", 5)) == [0, 1, 2, 4, 5]
    (dead,) = bench.read("late.dead", 1)
    assert dead.value() == b'{"n":3}'
    assert headers_of(dead)["__connect.errors.exception.class.name"].endswith("AsyncTimeoutError")
    assert sorted(json.loads(r.value()).get("n", 0) for r in bench.read("flaky.out", 2)) == [0, 1]
    _check_dead_letters(bench, bench.read("flaky.dead", 3))

    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0, bench.log.read_text()
    assert bench.committed("g", "order", 3) == [300, 300, 300]
    assert sum(bench.committed("g", "keys", 2)) == 902
    assert [bench.committed("g", name) for name in ("late", "flaky", "dropping")] == [[6], [4], [1]]
    assert "LookupError: no such style (drop)" in bench.log.read_text()


def _check_order(records: list[Any]) -> None:
    for partition in range(3):
        numbers = [json.loads(r.value())["n"] for r in records if r.partition() == partition]
        assert numbers == list(range(partition, 900, 3))
    for record in records:
        value = json.loads(record.value())
        assert value["seen"] is True
        assert record.key() == b"%d" % value["n"]
        assert record.timestamp()[1] == 1_700_000_000_000 + value["n"]


def _check_keys(records: list[Any]) -> None:
    by_key: dict[bytes, list[Any]] = {}
    for record in records:
        by_key.setdefault(record.key(), []).append(record)
    for key, line in by_key.items():
        numbers = [json.loads(r.value())["n"] for r in line if r.value() not in (None, DDL)]
        assert numbers == sorted(numbers), f"the records of {key!r} keep their order"
        assert len(numbers) == 90
    assert by_key[b"key 1"][-1].value() is None, "a tombstone passes, behind the records of its key"
    assert by_key[b"key 2"][-1].value() == DDL, "a DDL message passes unchanged"
    assert headers_of(by_key[b"key 3"][0]) == {"connect.ts_us": "3"}


def _check_dead_letters(bench: Any, records: list[Any]) -> None:
    by_key = {record.key(): record for record in records}
    minus = headers_of(by_key[b"minus"])
    assert by_key[b"minus"].value() == b'{"n":-1}'
    assert minus["mine"] == "kept"
    assert minus["__connect.errors.topic"] == f"{bench.unique}flaky"
    assert (minus["__connect.errors.partition"], minus["__connect.errors.offset"]) == ("0", "1")
    assert (minus["__connect.errors.stage"], minus["__connect.errors.class.name"]) == ("flaky", "Flaky")
    assert minus["__connect.errors.exception.class.name"] == "builtins.OSError"
    assert minus["__connect.errors.exception.message"] == "call 3 failed"
    broken = headers_of(by_key[b"broken"])
    assert by_key[b"broken"].value() == b'{"n":'
    assert broken["__connect.errors.class.name"] == "agents.message.Message"
    assert "malformed JSON" in broken["__connect.errors.exception.message"]
    assert "object is needed" in headers_of(by_key[b"list"])["__connect.errors.exception.message"]


@pytest.mark.parametrize("value", [b'{"n":1}', b"not json"])
def test_failure_stops_the_worker_with_one_sentence(bench, value) -> None:
    bench.topic("in")
    bench.send("in", value)
    bench.configure(
        """
        application: {id: "{u}g"}
        stages: [{name: strict, input: "{u}in", output: "{u}out", steps: [{function: "functions:boom"}]}]
        """,
        FUNCTIONS,
    )
    worker = bench.start()
    assert worker.wait(30) == 1, bench.log.read_text()
    (line,) = [line for line in bench.log.read_text().splitlines() if "stage strict" in line]
    assert f"stage strict, {bench.unique}in-0@0: " in line
    assert ("boom failed" in line and "no such style" in line) or "malformed JSON" in line
    assert "Traceback" not in bench.log.read_text()
    # Nothing past the record is committed, unless the pending table has it.
    rows = bench.read("g-strict-pending-changelog", 1 if bench.committed("g", "in") == [1] else 0)
    assert bench.committed("g", "in") == ([1] if rows else [-1001])


def test_missing_topics_are_created(bench) -> None:
    bench.configure(
        """
        application: {id: "{u}g"}
        stages:
          - {name: s, input: "{u}in", output: "{u}out", dead_letter: "{u}dead", partitions: 5,
             steps: [{function: "functions:jitter"}]}
        """,
        FUNCTIONS,
    )
    bench.start()
    bench.read("dead", 0)
    topics = bench.admin.list_topics(timeout=10).topics
    names = ("in", "out", "dead", "g-s-pending-changelog")
    while not all(bench.unique + name in topics for name in names):
        topics = bench.admin.list_topics(timeout=10).topics
    assert [len(topics[bench.unique + name].partitions) for name in names] == [5, 5, 1, 5]
