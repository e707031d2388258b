"""The operator against a simple model, on random schedules in simulated time."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.async_io import AsyncFunction, AsyncTimeoutError, ResultFuture, Watermark, fixed_delay
from agents.async_io.operator import AsyncWaitOperator
from agents.async_io.queue import Entry, OrderedQueue, UnorderedQueue

EXAMPLES = int(os.environ.get("OPERATOR_EXAMPLES", "400"))
TIMEOUT_S = 10.0
RETRIES = 2
RETRY_S = 1.0


@dataclass(frozen=True)
class Call:
    """What one attempt does: answers after `after_s`, or never."""

    after_s: float | None
    fails: bool
    by_callback: bool


@dataclass(frozen=True)
class Item:
    number: int
    key: int | None
    wait_s: float
    calls: tuple[Call, ...]
    watermark: bool

    def expected(self) -> str:
        """The model: attempts one after the other until one succeeds, none is left, or the time is up."""
        at = 0.0
        for attempt in range(RETRIES + 1):
            call = self.calls[attempt]
            if call.after_s is None or at + call.after_s > TIMEOUT_S:
                return "timeout"
            at += call.after_s
            if not call.fails:
                return "ok"
            if attempt == RETRIES:
                return "failed"
            at += RETRY_S
            if at > TIMEOUT_S:
                return "timeout"
        raise AssertionError


# Delays lie off the grid of retries and time-outs, so that no two things happen at the same instant.
_after = st.one_of(st.none(), st.integers(0, 60).map(lambda n: n / 4 + 0.013))
_call = st.builds(Call, _after, st.booleans(), st.booleans())


@st.composite
def _items(draw: Any) -> list[Item]:
    return [
        Item(
            number,
            draw(st.one_of(st.none(), st.integers(0, 2))),
            draw(st.sampled_from([0.0, 0.0, 0.307, 3.007])),
            tuple(draw(st.lists(_call, min_size=RETRIES + 1, max_size=RETRIES + 1))),
            draw(st.integers(0, 9)) == 0,
        )
        for number in range(draw(st.integers(0, 14)))
    ]


class Scripted(AsyncFunction[Item, int]):
    def __init__(self) -> None:
        self.running: set[int] = set()
        self.most = 0
        self.attempts: dict[int, int] = {}
        self.overlaps = 0

    async def async_invoke(self, value: Item, result_future: ResultFuture[int]) -> None:
        attempt = self.attempts.get(value.number, 0)
        self.attempts[value.number] = attempt + 1
        key = None if value.key is None else 1000 + value.key
        self.overlaps += key in self.running
        mine = {value.number} | ({key} if key is not None else set())
        self.running |= mine
        self.most = max(self.most, sum(1 for number in self.running if number < 1000))
        call = value.calls[attempt]
        try:
            if call.after_s is None:
                await asyncio.Event().wait()
                return
            await asyncio.sleep(call.after_s)
        finally:
            self.running -= mine
        if call.fails and not call.by_callback:
            raise OSError("scripted")
        if call.fails:
            result_future.complete_exceptionally(OSError("scripted"))
        else:
            result_future.complete([value.number])
        result_future.complete([-1])  # a second completion must never be seen


async def _drive(items: list[Item], capacity: int, ordered: bool, keyed: bool) -> tuple[list[Entry], Scripted]:
    function = Scripted()
    operator = AsyncWaitOperator(function, timeout_s=TIMEOUT_S, capacity=capacity, retry=fixed_delay(RETRIES, RETRY_S))
    queue = OrderedQueue() if ordered else UnorderedQueue()
    changed = asyncio.Event()
    operator.bind(changed.set)
    out: list[Entry] = []

    def collect() -> None:
        while (entry := operator.pop_ready(queue)) is not None:
            out.append(entry)
        assert 0 <= operator.size <= capacity
        assert operator.size == len(queue)

    async def until(condition: Any) -> None:
        collect()
        while not condition():
            changed.clear()
            await changed.wait()
            collect()

    for item in items:
        await asyncio.sleep(item.wait_s)
        await until(lambda: operator.free > 0)
        if item.watermark:
            operator.submit_watermark(Watermark(item.number), queue)
        else:
            operator.submit(item, queue, key=item.key if keyed else None)
        assert len(queue) <= capacity
    await until(lambda: not len(queue))
    operator.close()
    return out, function


def _kind(entry: Entry) -> str:
    if entry.error is None:
        return "ok"
    return "timeout" if isinstance(entry.error, AsyncTimeoutError) else "failed"


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(items=_items(), capacity=st.integers(1, 5), ordered=st.booleans(), keyed=st.booleans())
def test_operator_does_what_the_model_says(
    items: list[Item], capacity: int, ordered: bool, keyed: bool, virtual: Any
) -> None:
    out, function = virtual(_drive(items, capacity, ordered, keyed))
    numbers = [entry.value.ts_us if entry.watermark else entry.value.number for entry in out]
    assert sorted(numbers) == [item.number for item in items], "each input is completed exactly once"
    assert function.most <= capacity
    if ordered:
        assert numbers == sorted(numbers)
    for barrier in (item.number for item in items if item.watermark):
        at = numbers.index(barrier)
        assert max(numbers[:at], default=-1) < barrier < min(numbers[at + 1 :], default=len(items))
    if keyed:
        assert function.overlaps == 0, "one call in flight per key"
    for entry in out:
        if entry.watermark is None and not (keyed and entry.value.key is not None):
            # With an order by key a record also spends its time waiting, so only the others can be foretold.
            assert _kind(entry) == entry.value.expected()
        if entry.error is None and entry.watermark is None:
            assert entry.results == [entry.value.number]
