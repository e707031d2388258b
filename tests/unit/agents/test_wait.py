"""`ordered_wait` and `unordered_wait` against the behaviours of Flink's own AsyncWaitOperatorTest."""

from __future__ import annotations

import asyncio
import functools
import itertools
import random
import threading
from typing import Any

import pytest

from agents.async_io import (
    AsyncFunction,
    AsyncOperationError,
    AsyncTimeoutError,
    ResultFuture,
    Watermark,
    exponential_backoff,
    fixed_delay,
    ordered_wait,
    unordered_wait,
)
from connectors.api.errors import DataError

BOTH = pytest.mark.parametrize("wait", [ordered_wait, unordered_wait])


async def double(value: int) -> list[int]:
    await asyncio.sleep(1 / (1 + value))
    return [value * 2]


async def never(value: Any) -> list[Any]:
    await asyncio.Event().wait()
    return []


def test_ordered_keeps_the_order_of_the_input(virtual, stream_of, drain) -> None:
    out = virtual(drain(ordered_wait(stream_of(range(8)), double, timeout_s=30, capacity=6)))
    assert out == [2 * i for i in range(8)]


def test_unordered_gives_results_as_they_complete(virtual, stream_of, drain) -> None:
    out = virtual(drain(unordered_wait(stream_of(range(5)), double, timeout_s=30)))
    assert out == [8, 6, 4, 2, 0]


@BOTH
def test_watermark_is_a_barrier(wait, virtual, stream_of, drain) -> None:
    stream = stream_of([1, 2, Watermark(2), 3])
    out = virtual(drain(wait(stream, double, timeout_s=30, capacity=2)))
    assert sorted(out[:2]) == [2, 4]
    assert out[2:] == [Watermark(2), 6]


@BOTH
def test_watermark_on_an_empty_queue_comes_out_at_once(wait, virtual) -> None:
    async def scenario() -> None:
        gate = asyncio.Event()

        async def stream() -> Any:
            yield Watermark(7)
            await gate.wait()

        out = wait(stream(), double, timeout_s=30)
        assert await anext(out) == Watermark(7)
        gate.set()
        assert [x async for x in out] == []

    virtual(scenario())


@BOTH
def test_capacity_counts_running_and_not_taken(wait, virtual, stream_of) -> None:
    async def scenario() -> None:
        started = 0

        async def count(value: int) -> list[int]:
            nonlocal started
            started += 1
            return [value]

        out = wait(stream_of(range(10)), count, timeout_s=30, capacity=3)
        assert await anext(out) == 0
        await asyncio.sleep(5)
        assert started == 4  # one taken, three done and not taken
        await out.aclose()

    virtual(scenario())


@pytest.mark.parametrize("capacity", [0, -1])
@BOTH
def test_capacity_must_be_positive(wait, capacity, stream_of) -> None:
    with pytest.raises(ValueError, match="capacity"):
        wait(stream_of([]), double, timeout_s=1, capacity=capacity)


@BOTH
def test_retry_needs_a_time_out(wait, stream_of) -> None:
    for timeout_s in (0, None):
        with pytest.raises(ValueError, match="time-out"):
            wait(stream_of([]), double, timeout_s=timeout_s, retry=fixed_delay(1, 1.0))


@BOTH
def test_no_time_out_means_unlimited(wait, virtual, stream_of, drain) -> None:
    async def slow(value: int) -> list[int]:
        await asyncio.sleep(1e6)
        return [value]

    for timeout_s in (0, None):
        assert virtual(drain(wait(stream_of([1]), slow, timeout_s=timeout_s))) == [1]


def plain(value: int) -> list[int]:
    return [value]


class Halfway(AsyncFunction[int, int]):
    def async_invoke(self, value: int, result_future: ResultFuture[int]) -> None:  # type: ignore[override]
        result_future.complete([value])


@pytest.mark.parametrize(
    ("function", "named"),
    [(plain, "plain"), (functools.partial(plain), "plain"), (Halfway(), "Halfway.async_invoke"), (Halfway, "Halfway")],
)
@BOTH
def test_function_that_is_not_async_is_refused_when_built(wait, function, named, stream_of) -> None:
    with pytest.raises(TypeError, match=named):
        wait(stream_of([]), function, timeout_s=1)


@pytest.mark.parametrize("result", [None, "text", {"a": 1}, (1,), 5])
@BOTH
def test_result_that_is_no_list_names_the_function(wait, result, virtual, stream_of, drain) -> None:
    async def careless(value: int) -> Any:
        return result

    with pytest.raises(AsyncOperationError, match="careless completed with"):
        virtual(drain(wait(stream_of([1]), careless, timeout_s=1)))


@BOTH
def test_time_out_ends_with_an_error_that_names_the_value(wait, virtual, stream_of, drain) -> None:
    with pytest.raises(TimeoutError, match="never timed out for 'record 17'") as caught:
        virtual(drain(wait(stream_of(["record 17"]), never, timeout_s=2)))
    assert isinstance(caught.value, AsyncTimeoutError)
    assert caught.value.value == "record 17"


@BOTH
def test_failure_is_visible_without_waiting_for_others(wait, virtual) -> None:
    async def scenario() -> None:
        async def function(value: int) -> list[int]:
            if value == 2:
                raise LookupError("no such style")
            await asyncio.sleep(1000)
            return [value]

        async def stream() -> Any:
            for value in (1, 2, 3):
                yield value
            await asyncio.sleep(1000)

        with pytest.raises(AsyncOperationError, match=r"function failed for 2: LookupError: no such style") as caught:
            await anext(wait(stream(), function, timeout_s=5000))
        assert asyncio.get_running_loop().time() < 1
        assert isinstance(caught.value.__cause__, LookupError)

    virtual(scenario())


class Fallback(AsyncFunction[int, str]):
    def __init__(self) -> None:
        self.cancelled = 0
        self.late: list[ResultFuture[str]] = []
        self.life: list[str] = []

    async def open(self) -> None:
        self.life.append("open")

    async def async_invoke(self, value: int, result_future: ResultFuture[str]) -> None:
        self.late.append(result_future)
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def timeout(self, value: int, result_future: ResultFuture[str]) -> None:
        result_future.complete([f"fallback {value}"])

    async def close(self) -> None:
        self.life.append("close")


@BOTH
def test_time_out_override_gives_a_fallback_and_cancels_the_call(wait, virtual, stream_of, drain) -> None:
    function = Fallback()
    out = virtual(drain(wait(stream_of(range(4)), function, timeout_s=1, capacity=2)))
    assert sorted(out) == [f"fallback {i}" for i in range(4)]
    assert function.cancelled == 4
    assert function.life == ["open", "close"]


@BOTH
def test_late_result_and_second_completion_are_ignored(wait, virtual, stream_of) -> None:
    async def scenario() -> None:
        function = Fallback()

        async def stream() -> Any:
            yield 1
            await asyncio.sleep(5)

        out = wait(stream(), function, timeout_s=1)
        assert await anext(out) == "fallback 1"
        function.late[0].complete(["late"])
        function.late[0].complete_exceptionally(LookupError("late"))
        assert [x async for x in out] == []

    virtual(scenario())


@pytest.mark.parametrize("how", ["raises", "returns", "hangs"])
@BOTH
def test_time_out_override_that_does_not_complete_frees_the_slot(wait, how, virtual, stream_of, drain) -> None:
    class Bad(AsyncFunction[int, int]):
        async def async_invoke(self, value: int, result_future: ResultFuture[int]) -> None:
            await asyncio.sleep(100)

        async def timeout(self, value: int, result_future: ResultFuture[int]) -> None:
            if how == "raises":
                raise LookupError("in timeout")
            if how == "hangs":
                await asyncio.Event().wait()

    with pytest.raises(AsyncOperationError if how == "raises" else TimeoutError):
        virtual(drain(wait(stream_of([1]), Bad(), timeout_s=1)))


@BOTH
def test_first_completion_wins(wait, virtual, stream_of, drain) -> None:
    class Twice(AsyncFunction[int, int]):
        async def async_invoke(self, value: int, result_future: ResultFuture[int]) -> None:
            result_future.complete([value])
            result_future.complete([-1])
            result_future.complete_exceptionally(LookupError("too late"))
            raise LookupError("too late as well")

    assert virtual(drain(wait(stream_of([1, 2]), Twice(), timeout_s=1))) == [1, 2]


@BOTH
def test_results_may_be_none_one_or_many(wait, virtual, stream_of, drain) -> None:
    async def times(value: int) -> list[int]:
        return [value] * value

    assert virtual(drain(wait(stream_of(range(4)), times, timeout_s=1))) == [1, 2, 2, 3, 3, 3]


@BOTH
async def test_completion_from_other_threads(wait, stream_of, drain) -> None:
    class Threads(AsyncFunction[int, int]):
        async def async_invoke(self, value: int, result_future: ResultFuture[int]) -> None:
            delay_s = random.Random(value).uniform(0, 0.02)
            threading.Timer(delay_s, result_future.complete, [[value]]).start()

    out = await drain(wait(stream_of(range(200)), Threads(), timeout_s=10, capacity=50))
    assert sorted(out) == list(range(200))
    if wait is ordered_wait:
        assert out == list(range(200))


def flaky(calls: dict[int, list[float]], failures: int, error: type[Exception] = OSError) -> Any:
    async def function(value: int) -> list[int]:
        times = calls.setdefault(value, [])
        times.append(asyncio.get_running_loop().time())
        if len(times) <= failures:
            raise error(f"failure {len(times)}")
        return [value]

    return function


@BOTH
def test_n_retries_make_up_to_n_plus_one_calls(wait, virtual, stream_of, drain) -> None:
    calls: dict[int, list[float]] = {}
    with pytest.raises(AsyncOperationError, match="failure 4"):
        virtual(drain(wait(stream_of([1]), flaky(calls, 99), timeout_s=60, retry=fixed_delay(3, 1.0))))
    assert calls[1] == pytest.approx([0, 1, 2, 3])


def test_exponential_delays_belong_to_the_record(virtual, stream_of, drain) -> None:
    calls: dict[int, list[float]] = {}
    retry = exponential_backoff(5, 0.2, 1.0, 2.0)
    stream = stream_of(range(6), every_s=0.05)
    assert virtual(drain(ordered_wait(stream, flaky(calls, 4), timeout_s=60, retry=retry))) == list(range(6))
    for times in calls.values():
        assert [b - a for a, b in itertools.pairwise(times)] == pytest.approx([0.2, 0.4, 0.8, 1.0])


@BOTH
def test_exception_predicate_false_fails_after_one_call(wait, virtual, stream_of, drain) -> None:
    calls: dict[int, list[float]] = {}
    retry = fixed_delay(3, 1.0, retry_if_exception=lambda error: not isinstance(error, OSError))
    with pytest.raises(AsyncOperationError, match="failure 1"):
        virtual(drain(wait(stream_of([1]), flaky(calls, 9), timeout_s=60, retry=retry)))
    assert len(calls[1]) == 1


def test_errors_in_the_data_are_not_retried_by_default(virtual, stream_of, drain) -> None:
    calls: dict[int, list[float]] = {}
    with pytest.raises(AsyncOperationError):
        virtual(drain(ordered_wait(stream_of([1]), flaky(calls, 9, DataError), timeout_s=9, retry=fixed_delay(3, 1.0))))
    assert len(calls[1]) == 1


def test_result_predicate_gives_the_last_result_in_the_end(virtual, stream_of, drain) -> None:
    calls = 0

    async def empty(value: int) -> list[int]:
        nonlocal calls
        calls += 1
        return []

    retry = fixed_delay(2, 1.0, retry_if_result=lambda results: not results)
    assert virtual(drain(ordered_wait(stream_of([1]), empty, timeout_s=60, retry=retry))) == []
    assert calls == 3


@BOTH
def test_time_out_covers_all_attempts_and_back_off(wait, virtual, stream_of) -> None:
    async def scenario() -> None:
        with pytest.raises(TimeoutError):
            await anext(wait(stream_of([1]), flaky({}, 99), timeout_s=2.5, retry=fixed_delay(100, 1.0)))
        assert asyncio.get_running_loop().time() == pytest.approx(2.5, abs=0.01)

    virtual(scenario())


def test_retried_record_keeps_its_place(virtual, stream_of, drain) -> None:
    calls: dict[int, list[float]] = {}

    async def function(value: int) -> list[int]:
        return await flaky(calls, 2)(value) if value == 0 else [value]

    out = virtual(drain(ordered_wait(stream_of(range(4)), function, timeout_s=60, retry=fixed_delay(3, 1.0))))
    assert out == [0, 1, 2, 3]


def test_key_order_runs_one_at_a_time_and_others_overtake(virtual, stream_of, drain) -> None:
    running: dict[str, int] = {}

    async def function(value: tuple[str, int]) -> list[tuple[str, int]]:
        key, number = value
        running[key] = running.get(key, 0) + 1
        assert running[key] == 1
        await asyncio.sleep(10 if number == 0 else 1)
        running[key] -= 1
        return [value]

    stream = stream_of([("a", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2)])
    out = virtual(drain(unordered_wait(stream, function, timeout_s=60, key=lambda value: value[0])))
    assert out == [("b", 1), ("b", 2), ("a", 0), ("a", 1), ("a", 2)]


def test_two_chained_stages_do_not_deadlock(virtual, stream_of, drain) -> None:
    first = unordered_wait(stream_of(range(100)), double, timeout_s=30, capacity=1)
    out = virtual(drain(ordered_wait(first, double, timeout_s=30, capacity=1)))
    assert out == [4 * i for i in range(100)]


def test_break_in_the_middle_cancels_and_closes(virtual, stream_of) -> None:
    async def scenario() -> None:
        function = Fallback()
        out = unordered_wait(stream_of(range(100)), function, timeout_s=1, capacity=5)
        assert await anext(out) == "fallback 0"
        await out.aclose()
        assert function.life == ["open", "close"]
        assert len(asyncio.all_tasks()) == 1

    virtual(scenario())


def test_error_of_the_stream_comes_out(virtual, drain) -> None:
    async def stream() -> Any:
        yield 1
        raise ConnectionError("the stream broke")

    with pytest.raises(ConnectionError, match="broke"):
        virtual(drain(ordered_wait(stream(), double, timeout_s=1)))


def test_cancelled_error_of_a_client_is_a_failed_attempt(virtual, stream_of, drain) -> None:
    calls = 0

    async def function(value: int) -> list[int]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise asyncio.CancelledError
        return [value]

    with pytest.raises(AsyncOperationError, match="CancelledError"):
        virtual(drain(ordered_wait(stream_of([1]), function, timeout_s=1)))


def test_faust_stream_is_acknowledged_in_order(virtual) -> None:
    acked: list[int] = []

    class Event:
        def __init__(self, offset: int) -> None:
            self.value = offset
            self.message = type("M", (), {"tp": "tp"})()

        def ack(self) -> None:
            acked.append(self.value)

    class Stream:
        def noack(self) -> Stream:
            return self

        async def events(self) -> Any:
            for offset in range(4):
                yield Event(offset)

        def __aiter__(self) -> Any:
            raise AssertionError("events are taken without acknowledgement")

    async def scenario() -> None:
        out = unordered_wait(Stream(), double, timeout_s=30)  # type: ignore[arg-type]
        seen = [(value, list(acked)) async for value in out]
        assert seen == [(6, []), (4, []), (2, []), (0, [])]
        assert acked == [0, 1, 2, 3]

    virtual(scenario())
