from __future__ import annotations

import asyncio
from typing import Any

import pytest
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
