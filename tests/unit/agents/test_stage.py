"""The stage with a producer that delivers when the test says so."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import confluent_kafka as ck
import orjson
import pytest

from agents.async_io.function import as_async_function
from agents.checkpoint import Checkpoint
from agents.config import StageConfig
from agents.outputs import Outputs
from agents.stage import Stage
from agents.steps import Steps
from tables.pending import PendingRow, PendingTable, Restored

TABLE = "app-s-pending-changelog"


@dataclass
class Sent:
    topic: str
    value: bytes | None
    key: bytes | None
    partition: int
    on_delivery: Callable[[Any, Any], None]
    delivered: bool = False


@dataclass
class FakeProducer:
    sent: list[Sent] = field(default_factory=list)
    has_room: bool = True

    def send(self, topic, value, key, headers, on_delivery, *, partition=-1, timestamp_ms=0) -> None:
        self.sent.append(Sent(topic, value, key, partition, on_delivery))

    def deliver(self, topic: str = "", error: ck.KafkaError | None = None) -> int:
        due = [one for one in self.sent if not one.delivered and one.topic.startswith(topic)]
        for one in due:
            one.delivered = True
            one.on_delivery(error, None)
        return len(due)

    async def flush(self, timeout_s: float) -> bool:
        while self.deliver():
            pass
        return True

    def of(self, topic: str) -> list[Sent]:
        return [one for one in self.sent if one.topic == topic]


class Rig:
    def __init__(self, function: Callable[[Any], Awaitable[Any]], rows: Restored | None = None, **options: Any) -> None:
        self.config = StageConfig(
            **{"name": "s", "input": "in", "output": "out", "timeout_s": 60.0, "steps": [{"function": "f"}], **options}
        )
        self.producer = FakeProducer()
        self.failures: list[str] = []
        self.commits: list[dict[tuple[str, int], int]] = []
        table = PendingTable(TABLE, {})
        table.restore = lambda numbers, stop: dict.fromkeys(numbers, rows or Restored())  # type: ignore[method-assign]
        outputs = Outputs(self.producer, "s", "out", self.config.dead_letter, True)  # type: ignore[arg-type]
        steps = Steps([as_async_function(function)])
        self.stage = Stage(self.config, steps, outputs, table, self.failures.append, asyncio.Event())
        self.checkpoint = Checkpoint(self.stage, self._commit)

    async def _commit(self, offsets: Any) -> bool:
        self.commits.append(dict(offsets))
        return True

    async def start(self) -> Rig:
        await self.stage.open()
        self.checkpoint.assign([0])
        await asyncio.gather(*self.checkpoint._restoring)
        return self

    def take(self, *offsets: int) -> None:
        self.stage.take(0, [record(offset) for offset in offsets])

    async def tick(self) -> None:
        task = asyncio.create_task(self.checkpoint.tick())
        await asyncio.sleep(0)
        self.producer.deliver(TABLE)
        await task


def record(offset: int, value: bytes | None = b'{"n":1}') -> Any:
    return SimpleNamespace(offset=offset, key=b"%d" % offset, value=value, headers=(), timestamp=1000 + offset)


async def quick(message: Any) -> list[Any]:
    return [message]


def slow_for(*offsets: int) -> Callable[[Any], Awaitable[Any]]:
    async def function(message: Any) -> list[Any]:
        if message.offset in offsets:
            await asyncio.sleep(30)
        return [message]

    return function


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_nothing_is_committed_before_the_output_is_delivered() -> None:
    rig = await Rig(quick).start()
    rig.take(5, 6)
    await settle()
    assert [one.partition for one in rig.producer.of("out")] == [0, 0]
    await rig.tick()
    assert rig.commits == [{("in", 0): 5}]
    rig.producer.deliver("out")
    await rig.tick()
    assert rig.commits[-1] == {("in", 0): 7}
    await rig.tick()
    assert len(rig.commits) == 2, "nothing new, no commit"


async def test_checkpoint_persists_what_runs_and_commits_past_it() -> None:
    rig = await Rig(slow_for(0)).start()
    rig.take(0, 1, 2)
    await settle()
    rig.producer.deliver("out")
    await rig.tick()
    assert rig.commits == [{("in", 0): 0}], "too young to be written: the commit stops before it"
    await asyncio.sleep(0.15)
    await rig.tick()
    assert rig.commits[-1] == {("in", 0): 3}
    (row,) = rig.producer.of(TABLE)
    assert PendingRow.decode(row.value or b"").offset == 0
    assert PendingRow.decode(row.value or b"").attempt == 1
    await rig.tick()
    assert len(rig.producer.of(TABLE)) == 1, "a row is written once"


async def test_commit_waits_for_the_row() -> None:
    rig = await Rig(slow_for(0)).start()
    rig.take(0, 1)
    await settle()
    rig.producer.deliver("out")
    await asyncio.sleep(0.15)
    ticking = asyncio.create_task(rig.checkpoint.tick())
    await settle()
    assert rig.commits == []
    rig.producer.deliver(TABLE)
    await ticking
    assert rig.commits == [{("in", 0): 2}]


async def test_tombstone_only_after_the_output_is_delivered() -> None:
    rig = await Rig(quick, persist="always").start()
    rig.take(0)
    await settle()
    assert [one.value is None for one in rig.producer.of(TABLE)] == [False]
    rig.producer.deliver(TABLE)
    assert len(rig.producer.of(TABLE)) == 1
    rig.producer.deliver("out")
    assert [(one.key, one.value is None) for one in rig.producer.of(TABLE)] == [(b"0-0", False), (b"0-0", True)]


@pytest.mark.parametrize("topic", ["out", TABLE])
async def test_failed_delivery_stops_the_worker_and_is_never_committed(topic) -> None:
    rig = await Rig(quick, persist="always").start()
    rig.take(0)
    await settle()
    rig.producer.deliver(topic, ck.KafkaError(ck.KafkaError._MSG_TIMED_OUT))
    assert len(rig.failures) == 1
    assert "in-0@0" in rig.failures[0]
    rig.take(1)
    await settle()
    assert len(rig.producer.of("out")) == 1, "nothing further is accepted"
    if topic == "out":
        await rig.checkpoint.tick()
        assert rig.commits == [{("in", 0): 0}]


async def test_revoke_commits_what_is_safe_and_fences_the_rest() -> None:
    gate = asyncio.Event()

    async def function(message: Any) -> list[Any]:
        if message.offset == 0:
            try:
                await gate.wait()
            except asyncio.CancelledError:
                return [message]  # a stubborn client: its late result must go nowhere
        return [message]

    rig = await Rig(function).start()
    rig.take(0, 1, 2)
    await settle()
    await rig.checkpoint.revoke([0])
    assert rig.commits == [{("in", 0): 3}], "the request in flight is in the pending table"
    assert [one.key for one in rig.producer.of("out")] == [b"1", b"2"]
    gate.set()
    await settle()
    assert len(rig.producer.of("out")) == 2
    rig.take(3)
    await settle()
    assert len(rig.producer.of("out")) == 2
    assert rig.stage.operator.size == 0


async def test_restored_request_that_is_read_again_runs_once() -> None:
    row = PendingRow(0, 7, b"7", b'{"n":1}', [], 1007, 1, 0)
    rig = await Rig(quick, Restored([row])).start()
    rig.take(6, 7, 8)
    await settle()
    assert [one.key for one in rig.producer.of("out")] == [b"7", b"6", b"8"]
    rig.producer.deliver("out")
    await rig.tick()
    assert rig.commits == [{("in", 0): 9}]
    assert [(one.key, one.value) for one in rig.producer.of(TABLE)] == [(b"0-7", None)]


async def test_row_of_a_topic_made_anew_does_not_hide_a_new_record() -> None:
    row = PendingRow(0, 7, b"7", b'{"old":1}', [], 1, 1, 0)
    rig = await Rig(quick, Restored([row])).start()
    rig.take(7)
    await settle()
    assert [one.value for one in rig.producer.of("out")] == [b'{"old":1}', b'{"n":1}']


async def test_no_room_in_the_producer_holds_the_input_back() -> None:
    rig = await Rig(quick).start()
    rig.producer.has_room = False
    rig.take(*range(3000))
    await settle()
    assert rig.producer.sent == []
    assert rig.stage.is_full(0)
    rig.producer.has_room = True
    rig.stage.pump()
    await settle()
    assert len(rig.producer.of("out")) > 0


async def test_result_that_is_no_message_is_a_failure() -> None:
    async def wrong(message: Any) -> list[Any]:
        return [{"a": 1}]

    rig = await Rig(wrong).start()
    rig.take(0)
    await settle()
    assert len(rig.failures) == 1
    assert "completed with a dict, not a Message" in rig.failures[0]


async def test_stage_without_output_finishes_at_once() -> None:
    rig = await Rig(quick, output=None).start()
    rig.stage.outputs.output = None
    rig.take(0, 1)
    await settle()
    await rig.tick()
    assert rig.commits == [{("in", 0): 2}]
    assert rig.producer.sent == []


async def test_partition_that_is_not_ours_takes_nothing_and_says_so() -> None:
    rig = await Rig(quick).start()
    assert not rig.stage.take(1, [record(0)])
    assert rig.stage.is_full(1)
    part = rig.stage.partitions[0]
    part.freeze()
    assert not rig.stage.take(0, [record(0)])
    assert rig.stage.is_full(0)
    assert part.ledger.committable is None


async def test_purged_row_does_not_end_the_checkpoints() -> None:
    rig = await Rig(slow_for(0)).start()
    rig.take(0)
    (request,) = rig.stage.partitions[0].ledger.unsafe()
    request.accepted_at -= 1  # old enough for a row
    waiting = asyncio.create_task(rig.checkpoint.tick())
    await asyncio.sleep(0)
    rig.checkpoint.abandon([0])
    assert rig.producer.deliver(TABLE, ck.KafkaError(ck.KafkaError._PURGE_QUEUE)) == 1
    async with asyncio.timeout(5):
        await waiting
    assert rig.commits == []
    assert rig.failures == []


def row(offset: int, **fields: Any) -> Any:
    return record(offset, orjson.dumps(fields))


async def test_key_order_by_fields_runs_rows_of_equal_values_one_after_the_other() -> None:
    started: list[int] = []
    done = asyncio.Event()

    async def function(message: Any) -> list[Any]:
        started.append(message.offset)
        await done.wait()
        return [message]

    rig = await Rig(function, key_order={"fields": ["id", "kind"]}).start()
    rig.stage.take(
        0, [row(0, id=1, kind="a", n=1), row(1, id=1, kind="a", n=2), row(2, id=1, kind=["a"]), row(3, id=2)]
    )
    await settle()
    assert started == [0, 2, 3]
    done.set()
    await settle()
    assert started == [0, 2, 3, 1]


async def test_partitions_take_turns_where_slots_are_few() -> None:
    started: list[tuple[int, int]] = []
    done = asyncio.Event()

    async def function(message: Any) -> list[Any]:
        started.append((message.partition, message.offset))
        await done.wait()
        return [message]

    rig = await Rig(function, capacity=3).start()
    rig.checkpoint.assign([1, 2])
    await asyncio.gather(*rig.checkpoint._restoring)
    for number in range(3):
        rig.stage.take(number, [record(offset) for offset in range(100)])
    for _ in range(20):
        done.set()
        await settle()
        done.clear()
        await settle()
    counts = Counter(number for number, _ in started)
    assert set(counts) == {0, 1, 2}
    assert max(counts.values()) - min(counts.values()) <= 64  # what one takes in a turn
    for number in range(3):
        offsets = [offset for partition, offset in started if partition == number]
        assert offsets == sorted(offsets)
