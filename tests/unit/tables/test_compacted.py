from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaTimeoutError

import tables.compacted
from tables.compacted import CompactedTopic


class SlowProducer:
    """Takes records in order, and delivers them when it is told to."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.answers = asyncio.Event()

    async def send_and_wait(self, _topic: str, value: Any, key: bytes) -> Any:
        self.sent.append((key, value))
        await self.answers.wait()
        return None


class Log:
    """A consumer of one partition that counts how often it is asked."""

    tp = TopicPartition("t", 0)

    def __init__(self) -> None:
        self.end = self.read = self.asked = 0

    def assignment(self) -> set[TopicPartition]:
        return {self.tp}

    async def end_offsets(self, _assigned: Any) -> dict[TopicPartition, int]:
        return {self.tp: self.end}

    async def position(self, _tp: TopicPartition) -> int:
        return self.read

    async def getmany(self, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        self.asked += 1
        await asyncio.sleep(0.001)
        self.read, begin = self.end, self.read
        records = [SimpleNamespace(offset=n, key=b"k", value=b"%d" % n) for n in range(begin, self.end)]
        return {self.tp: records} if records else {}


async def test_a_topic_that_is_seldom_asked_for_is_read_seldom_but_at_once_when_it_is() -> None:
    topic, log = CompactedTopic("t", {}, {}, every_s=60), Log()
    topic._consumer = log
    tail = asyncio.ensure_future(topic._tail(topic))
    await topic.catch_up()
    await asyncio.sleep(0.05)
    asked = log.asked
    log.end = 3
    await asyncio.sleep(0.05)
    assert (log.asked, topic.data) == (asked, {})
    async with asyncio.timeout(5):
        await asyncio.gather(topic.catch_up(), topic.catch_up())
    assert topic.data == {"k": 2}
    tail.cancel()


@pytest.mark.parametrize(("former", "restored"), [(None, None), ({"a": 1}, b'{"a":1}')])
async def test_a_change_that_timed_out_is_taken_back_behind_the_late_record(
    monkeypatch: pytest.MonkeyPatch, former: Any, restored: bytes | None
) -> None:
    monkeypatch.setattr(tables.compacted, "WRITE_LIMIT_S", 0.05)
    topic = CompactedTopic("t", {}, {})
    producer = SlowProducer()
    topic._producer = producer
    if former is not None:
        topic.data["k"] = former
    with pytest.raises(KafkaTimeoutError):
        await topic.write("k", {"b": 2}, undo=True)
    await asyncio.sleep(0)
    assert producer.sent == [(b"k", b'{"b":2}'), (b"k", restored)]
    producer.answers.set()
    await asyncio.gather(*topic._futures)


async def test_a_report_that_timed_out_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables.compacted, "WRITE_LIMIT_S", 0.05)
    topic = CompactedTopic("t", {}, {})
    producer = SlowProducer()
    topic._producer = producer
    with pytest.raises(KafkaTimeoutError):
        await topic.write("k", 1)
    await asyncio.sleep(0)
    assert len(producer.sent) == 1
