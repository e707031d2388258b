"""Records that the consumer fetched and no stage took are read again: nothing else would bring them back."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer.subscription_state import SubscriptionState
from faust.types import TP

from agents.transport import Consumer, ConsumerThread

PLACE = TP("in", 0)


class Thread:
    def __init__(self, before_return: Any) -> None:
        self.before_return = before_return
        self.given_back: list[dict[TP, int]] = []

    async def getmany(self, partitions: set[TP], *_: Any) -> dict[TP, list[Any]]:
        self.before_return()
        return {tp: [SimpleNamespace(offset=7), SimpleNamespace(offset=8)] for tp in partitions}

    async def give_back(self, offsets: dict[TP, int]) -> None:
        self.given_back.append(dict(offsets))


class Intake:
    def __init__(self, takes: bool) -> None:
        self.takes = takes
        self.taken: list[int] = []

    def owns(self, topic: str) -> bool:
        return True

    def with_room(self, partitions: set[TP]) -> set[TP]:
        return set(partitions)

    def take(self, partition: TP, records: list[Any]) -> bool:
        if self.takes:
            self.taken += [record.offset for record in records]
        return self.takes


def consumer_of(intake: Intake) -> Any:
    consumer = Consumer.__new__(Consumer)
    consumer.app = SimpleNamespace(intake=intake, consumer_generation_id=1)
    consumer.flow_active = True
    consumer._active_partitions = {PLACE}
    consumer._thread = Thread(lambda: None)
    return consumer


async def test_taken_records_stay_taken() -> None:
    consumer = consumer_of(Intake(takes=True))
    await consumer._drain_once()
    assert consumer._intake.taken == [7, 8]
    assert consumer._thread.given_back == []


@pytest.mark.parametrize("event", ["next generation", "flow stopped", "stage has not got the partition"])
async def test_refused_records_are_given_back(event: str) -> None:
    consumer = consumer_of(Intake(takes=not event.startswith("stage")))

    def happens() -> None:
        if event == "next generation":
            consumer.app.consumer_generation_id = 2
        elif event == "flow stopped":
            consumer.flow_active = False

    consumer._thread = Thread(happens)
    await consumer._drain_once()
    assert consumer._intake.taken == []
    assert consumer._thread.given_back == [{PLACE: 7}]


def thread_of(state: SubscriptionState) -> Any:
    thread = ConsumerThread.__new__(ConsumerThread)
    thread._consumer = SimpleNamespace(_subscription=state, seek=state.seek)
    return thread


async def assigned(*positions: int) -> tuple[SubscriptionState, Any]:
    state = SubscriptionState()
    state.subscribe({"in"})
    state.assign_from_subscribed({TP("in", number) for number in range(len(positions))})
    for number, position in enumerate(positions):
        state.seek(TP("in", number), position)
    return state, state.subscription.assignment


async def test_position_goes_back_and_never_forward() -> None:
    state, assignment = await assigned(500, 300)
    await thread_of(state)._give_back({TP("in", 0): 400, TP("in", 1): 400}, assignment)
    positions = [assignment.state_value(TP("in", number)).position for number in range(2)]
    assert positions == [400, 300], "the second was sought back to its committed offset meanwhile"


async def test_position_of_a_later_assignment_is_left_alone() -> None:
    state, old = await assigned(500)
    state.begin_reassignment()
    state.assign_from_subscribed({PLACE})
    state.seek(PLACE, 600)
    await thread_of(state)._give_back({PLACE: 400}, old)
    assert state.subscription.assignment.state_value(PLACE).position == 600


async def test_partition_without_a_position_is_left_to_its_reset() -> None:
    state = SubscriptionState()
    state.subscribe({"in"})
    state.assign_from_subscribed({PLACE})
    await thread_of(state)._give_back({PLACE: 400}, state.subscription.assignment)
    assert not state.subscription.assignment.state_value(PLACE).has_valid_position


async def test_fetch_kept_over_a_rebalance_counts_for_the_assignment_that_it_read(monkeypatch) -> None:
    state, _ = await assigned(0)
    state.begin_reassignment()

    async def kept(self: Any, consumer: Any, *args: Any, **options: Any) -> dict[TP, list[Any]]:
        await consumer._subscription.wait_for_assignment()
        return {}

    monkeypatch.setattr(ConsumerThread.__mro__[1], "_fetch_records", kept)
    thread = thread_of(state)
    fetch = asyncio.create_task(thread._fetch_records(thread._consumer, {PLACE}))
    await asyncio.sleep(0)
    state.assign_from_subscribed({PLACE})
    await fetch
    assert thread._fetched_in is state.subscription.assignment
