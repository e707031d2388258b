"""What belongs to a transaction, with a librdkafka that the test plays."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import confluent_kafka as ck
import pytest

from agents import transactional_producer
from agents.async_io.function import as_async_function
from agents.checkpoint import Checkpoint
from agents.config import StageConfig
from agents.outputs import Outputs
from agents.stage import Stage
from agents.steps import Steps
from agents.transactional_producer import AbortedError, TransactionalProducer
from agents.transactions import Transactions
from tables.pending import PendingTable, Restored
from tests.unit.agents.test_stage import TABLE, record, settle, slow_for


class Broker:
    """Keeps what transactions bring; `refusals` are raised by the calls in their order."""

    def __init__(self) -> None:
        self.open: list[tuple[str, bytes | None, bytes | None]] = []
        self.waiting: list[Callable[[Any, Any], None]] = []
        self.committed: list[list[tuple[str, bytes | None, bytes | None]]] = []
        self.offsets: list[dict[int, int]] = []
        self.aborted = 0
        self.refusals: list[ck.KafkaError] = []

    def produce(self, *, topic: str, value: Any, key: Any, on_delivery: Any, **_: Any) -> None:
        self.open.append((topic, value, key))
        self.waiting.append(on_delivery)

    def poll(self, _timeout: float) -> None:
        waiting, self.waiting = self.waiting, []
        for callback in waiting:
            callback(None, None)

    def flush(self, _timeout: float) -> None:
        self.poll(0)

    def purge(self) -> None:
        self.waiting.clear()

    def __len__(self) -> int:
        return len(self.waiting)

    def init_transactions(self, _timeout: float) -> None: ...

    def begin_transaction(self) -> None: ...

    def send_offsets_to_transaction(self, places: list[ck.TopicPartition], metadata: bytes, _timeout: float) -> None:
        assert metadata == b"place"
        if self.refusals:
            raise ck.KafkaException(self.refusals.pop())
        self.offsets.append({place.partition: place.offset for place in places})

    def commit_transaction(self, _timeout: float) -> None:
        self.committed.append(self.open)
        self.open = []

    def abort_transaction(self, _timeout: float) -> None:
        self.aborted += 1
        self.open = []


class Rig:
    def __init__(self, function: Callable[[Any], Awaitable[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
        self.broker = Broker()
        monkeypatch.setattr(ck, "Producer", lambda *_, **__: self.broker)
        self.place: bytes | None = b"place"
        self.failures: list[str] = []
        self.producer = TransactionalProducer({}, "app")
        self.joined_again = 0
        self.transactions = Transactions(
            self.producer, lambda: self.place, self.failures.append, join_again=self._join_again
        )
        table = PendingTable(TABLE, {})
        table.restore = lambda numbers, stop, on_wait=None: dict.fromkeys(numbers, Restored())  # type: ignore[method-assign]
        config = StageConfig.model_validate(
            {"name": "s", "input": "in", "output": "out", "timeout_s": 60.0, "steps": [{"function": "f"}]}
        )
        outputs = Outputs(self.producer, "s", "out", None, same_partition=True)
        steps = Steps([as_async_function(function)])
        self.stage = Stage(config, steps, outputs, table, self.failures.append, asyncio.Event(), transactional=True)
        self.checkpoint = Checkpoint(self.stage, None)  # type: ignore[arg-type]

    async def start(self) -> Rig:
        await self.producer.open(self.stage.pump)
        await self.stage.open()
        self.checkpoint.assign([0])
        await asyncio.gather(*self.checkpoint._restoring)
        return self

    async def take(self, *offsets: int) -> None:
        self.stage.take(0, [record(offset) for offset in offsets])
        await settle()

    async def tick(self) -> None:
        await self.transactions.tick([self.stage])

    def _join_again(self) -> None:
        self.joined_again += 1


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    return Rig(slow_for(1), monkeypatch)


def topics(transaction: list[tuple[str, bytes | None, bytes | None]]) -> list[tuple[str, bytes | None]]:
    return [(topic, key) for topic, _, key in transaction]


async def test_transaction_holds_outputs_and_rows_of_all_that_its_offsets_pass(rig: Rig) -> None:
    await rig.start()
    await rig.take(0, 1, 2)
    await rig.tick()
    (transaction,) = rig.broker.committed
    assert topics(transaction) == [("out", b"0"), ("out", b"2"), (TABLE, b"0-1")]
    assert rig.broker.offsets == [{0: 3}]
    await rig.tick()
    assert len(rig.broker.committed) == 1, "nothing new, no transaction"


async def test_stop_in_the_middle_of_a_commit_leaves_no_output_behind(rig: Rig) -> None:
    await rig.start()
    begun, go_on = threading.Event(), threading.Event()
    commit = rig.broker.commit_transaction

    def slow_commit(timeout: float) -> None:
        begun.set()
        go_on.wait(10)
        commit(timeout)

    rig.broker.commit_transaction = slow_commit  # type: ignore[method-assign]
    rig.transactions._interval_s = 0
    running = asyncio.create_task(rig.transactions.run([rig.stage]))
    await rig.take(0)
    assert await asyncio.to_thread(begun.wait, 10)
    await rig.take(2)  # its output waits for the next transaction
    running.cancel()
    revoking = asyncio.create_task(rig.transactions.revoke({rig.stage: [0]}))
    await settle()
    go_on.set()
    await asyncio.gather(running, revoking, return_exceptions=True)
    assert [topics(each) for each in rig.broker.committed] == [[("out", b"0")], [("out", b"2")]]
    assert rig.broker.offsets == [{0: 1}, {0: 3}]


async def test_commit_after_one_that_did_not_end_gives_up_what_it_cannot_vouch_for(rig: Rig) -> None:
    await rig.start()
    await rig.take(0)
    rig.producer.seal()
    await rig.take(2)
    await rig.transactions.revoke({rig.stage: [0]})
    assert (rig.broker.committed, rig.broker.offsets, rig.broker.aborted) == ([], [], 1)


async def test_row_is_cleared_together_with_its_output(monkeypatch: pytest.MonkeyPatch) -> None:
    done = asyncio.Event()

    async def function(message: Any) -> list[Any]:
        await done.wait()
        return [message]

    rig = await Rig(function, monkeypatch).start()
    await rig.take(0)
    await rig.tick()
    done.set()
    await settle()
    await rig.tick()
    assert [topics(each) for each in rig.broker.committed] == [[(TABLE, b"0-0")], [("out", b"0"), (TABLE, b"0-0")]]
    assert rig.broker.committed[1][1][1] is None
    assert rig.broker.offsets == [{0: 1}], "the offset did not move in the second"


async def test_what_comes_during_a_commit_belongs_to_the_next(rig: Rig) -> None:
    await rig.start()
    await rig.take(0)
    committing = asyncio.create_task(rig.tick())
    await asyncio.sleep(0)
    await rig.take(2)
    await committing
    await rig.tick()
    assert [topics(each) for each in rig.broker.committed] == [[("out", b"0")], [("out", b"2")]]
    assert rig.broker.offsets == [{0: 1}, {0: 3}]


async def test_worker_that_is_out_of_the_group_commits_nothing(rig: Rig) -> None:
    await rig.start()
    await rig.take(0)
    rig.place = None
    await rig.tick()
    assert (rig.broker.committed, rig.broker.aborted, rig.failures) == ([], 1, [])
    assert rig.stage.partitions == {}


async def test_refused_generation_drops_the_partitions_and_goes_on(rig: Rig) -> None:
    await rig.start()
    await rig.take(0)
    rig.broker.refusals = [ck.KafkaError(ck.KafkaError.ILLEGAL_GENERATION)]
    await rig.tick()
    assert (rig.broker.committed, rig.broker.aborted, rig.failures) == ([], 1, [])
    assert rig.stage.partitions == {}


async def test_producer_that_a_successor_fenced_is_not_the_records_fault(rig: Rig, monkeypatch) -> None:
    def fenced(**_: Any) -> None:
        raise ck.KafkaException(ck.KafkaError(ck.KafkaError._FATAL))

    await rig.start()
    monkeypatch.setattr(rig.broker, "produce", fenced)
    await rig.take(0)
    await rig.tick()
    assert rig.failures == []
    assert rig.broker.aborted == 1
    assert rig.broker.offsets == []
    assert rig.stage.partitions == {}
    # The group may still count this worker in, so nobody else would ask.
    assert rig.joined_again == 1


async def test_other_refusals_stop_the_worker(rig: Rig) -> None:
    await rig.start()
    await rig.take(0)
    rig.broker.refusals = [ck.KafkaError(ck.KafkaError.GROUP_AUTHORIZATION_FAILED)]
    await rig.tick()
    assert rig.broker.aborted == 1
    assert "the transaction was aborted" in rig.failures[0]


async def test_revocation_commits_and_emits_nothing_any_more(rig: Rig) -> None:
    await rig.start()
    await rig.take(0, 1)
    await rig.transactions.revoke({rig.stage: [0]})
    (transaction,) = rig.broker.committed
    assert topics(transaction) == [("out", b"0"), (TABLE, b"0-1")]
    assert rig.broker.offsets == [{0: 2}]
    assert not rig.stage.take(0, [record(2)])


async def test_lost_partitions_undo_what_was_done(rig: Rig) -> None:
    await rig.start()
    await rig.take(0)
    await rig.transactions.abandon({rig.stage: [0]})
    assert (rig.broker.committed, rig.broker.aborted, rig.broker.open) == ([], 1, [])


async def test_commit_that_cannot_be_says_why(rig: Rig) -> None:
    await rig.start()
    await rig.take(0)
    rig.producer.seal()
    rig.broker.refusals = [ck.KafkaError(ck.KafkaError._FENCED)]
    with pytest.raises(AbortedError) as caught:
        await rig.producer.commit({("in", 0): 1}, b"place")
    assert caught.value.lost_membership


async def test_client_that_hangs_in_a_commit_stops_the_worker(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    # librdkafka was seen not to come back from a commit after its broker was away, whatever time limit it was given.
    gone = threading.Event()
    monkeypatch.setattr(transactional_producer, "_HANG_S", 0.05)
    monkeypatch.setattr(rig.broker, "commit_transaction", lambda _timeout: gone.wait(10))
    await rig.start()
    await rig.take(0)
    await rig.tick()
    assert "does not come back" in rig.failures[0]
    assert rig.broker.aborted == 0, "the client is not touched again"
    await rig.take(1)
    await rig.transactions.revoke({rig.stage: [0]})
    assert rig.stage.partitions == {}
    gone.set()


async def test_deliveries_that_a_fenced_client_refuses_do_not_stop_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    done = asyncio.Event()

    async def function(message: Any) -> list[Any]:
        await done.wait()
        return [message]

    rig = await Rig(function, monkeypatch).start()
    await rig.take(0)
    await rig.tick()
    done.set()
    await settle()
    waiting, rig.broker.waiting = rig.broker.waiting, []
    assert len(waiting) == 2, "the output, and the tombstone of its row"
    for delivered in waiting:
        delivered(ck.KafkaError(ck.KafkaError.INVALID_PRODUCER_EPOCH), None)
    assert rig.failures == [], "the commit tells, and the worker goes on"
