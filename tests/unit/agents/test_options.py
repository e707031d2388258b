"""The options of the async operator: batches, cache, limits, threads, policies."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from agents.async_io import (
    AdaptiveCapacity,
    AsyncBatchFunction,
    AsyncFunction,
    AsyncOperationError,
    AsyncTimeoutError,
    Cache,
    RateLimit,
    ResultFuture,
    fixed_delay,
    in_batches,
    in_thread_pool,
    ordered_wait,
    unordered_wait,
)
from agents.async_io.limits import CapacityControl, RateControl
from connectors.api.errors import RetriableError

BOTH = pytest.mark.parametrize("wait", [ordered_wait, unordered_wait])


def now() -> float:
    return asyncio.get_running_loop().time()


class Batches(AsyncBatchFunction[int, int]):
    max_size = 4
    max_wait_s = 0.5

    def __init__(self, poison: frozenset[int] = frozenset(), error: type[Exception] = ValueError) -> None:
        self.poison, self.error = poison, error
        self.calls: list[list[int]] = []
        self.cancelled = 0

    async def async_invoke_batch(self, values: list[int]) -> list[list[int]]:
        self.calls.append(values)
        if self.poison & set(values):
            raise self.error(f"cannot do {sorted(self.poison & set(values))}")
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return [[value * 10] for value in values]


# ---- batches


@BOTH
def test_batch_leaves_when_it_is_full_or_its_first_record_waited_long_enough(wait, virtual, stream_of, drain) -> None:
    function = Batches()
    out = virtual(drain(wait(stream_of(range(10)), function, timeout_s=9)))
    assert sorted(out) == [10 * n for n in range(10)]
    assert function.calls == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_batch_without_wait_takes_what_one_turn_brings(virtual, stream_of, drain) -> None:
    calls: list[list[int]] = []

    async def function(values: list[int]) -> list[list[int]]:
        calls.append(values)
        return [[value] for value in values]

    made = in_batches(function, max_size=100, max_wait_s=0)
    virtual(drain(unordered_wait(stream_of(range(30)), made, timeout_s=9)))
    assert sum(calls, []) == list(range(30))  # noqa: RUF017
    assert len(calls) < 5


def test_poisoned_record_fails_alone(virtual, stream_of, drain) -> None:
    function = Batches(frozenset({2}))
    bad: list[tuple[int, str]] = []

    async def put_aside(value: int, error: BaseException) -> None:
        bad.append((value, str(error)))

    wait = unordered_wait(stream_of(range(8)), function, timeout_s=9, on_failure="dead-letter", dead_letter=put_aside)
    assert sorted(virtual(drain(wait))) == [0, 10, 30, 40, 50, 60, 70]
    assert [value for value, _ in bad] == [2]
    assert "cannot do [2]" in bad[0][1]


def test_server_that_is_away_is_not_asked_for_each_record_of_a_batch(virtual, stream_of, drain) -> None:
    function = Batches(frozenset({2}), RetriableError)
    with pytest.raises(AsyncOperationError):
        virtual(drain(ordered_wait(stream_of(range(4)), function, timeout_s=9)))
    assert function.calls == [[0, 1, 2, 3]]


def test_failed_batch_is_retried_record_by_record(virtual, stream_of, drain) -> None:
    function = Batches(frozenset({2}), RetriableError)

    async def scenario() -> list[int]:
        asyncio.get_running_loop().call_later(0.3, lambda: setattr(function, "poison", frozenset()))
        return await drain(ordered_wait(stream_of(range(4)), function, timeout_s=9, retry=fixed_delay(3, 1.0)))

    assert virtual(scenario()) == [0, 10, 20, 30]
    assert [sorted(call) for call in function.calls] == [[0, 1, 2, 3], [0, 1, 2, 3]]


def test_batch_that_nobody_waits_for_is_cancelled(virtual, stream_of, drain) -> None:
    function = Batches()
    assert virtual(drain(unordered_wait(stream_of(range(4)), function, timeout_s=0.7, on_timeout="drop"))) == []
    assert function.cancelled == 1


def test_record_whose_time_is_up_before_its_batch_leaves_is_not_in_it(virtual, stream_of, drain) -> None:
    function = Batches()
    stream = stream_of(range(2), every_s=0.2)
    function.max_wait_s = 0.65  # the first has 0.6 s
    wait = unordered_wait(stream, function, timeout_s=0.6, on_timeout="drop")
    assert virtual(drain(wait)) == []
    assert function.calls == [[1]]


def test_function_may_serve_one_loop_after_another(virtual, stream_of, drain) -> None:
    function = Batches()
    for _ in range(2):
        assert virtual(drain(ordered_wait(stream_of(range(2)), function, timeout_s=9))) == [0, 10]


@pytest.mark.parametrize("answer", [None, [[1]], {"a": 1}])
def test_batch_with_a_wrong_answer_names_the_function(answer, virtual, stream_of, drain) -> None:
    async def careless(values: list[int]) -> Any:
        return answer

    with pytest.raises(AsyncOperationError, match=r"careless completed 3 records with .*; a list for each is needed"):
        virtual(drain(ordered_wait(stream_of(range(3)), in_batches(careless, 3), timeout_s=9)))


def test_batch_of_a_plain_function_is_refused() -> None:
    with pytest.raises(TypeError, match="must be a coroutine function"):
        in_batches(lambda values: values)  # type: ignore[arg-type,return-value]
    for options in ({"max_size": 0}, {"max_wait_s": -1}):
        with pytest.raises(ValueError, match="max_"):
            in_batches(Batches().async_invoke_batch, **options)  # type: ignore[arg-type]


# ---- cache


class Counting(AsyncFunction[Any, Any]):
    def __init__(self, results: Any = None, after_s: float = 1.0) -> None:
        self.calls: list[Any] = []
        self.cancelled = 0
        self.results, self.after_s = results, after_s

    async def async_invoke(self, value: Any, result_future: ResultFuture[Any]) -> None:
        self.calls.append(value)
        try:
            await asyncio.sleep(self.after_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(self.results, Exception):
            raise self.results
        result_future.complete([value] if self.results is None else self.results)


@BOTH
def test_equal_keys_at_the_same_time_are_one_call(wait, virtual, stream_of, drain) -> None:
    function = Counting()
    out = virtual(drain(wait(stream_of([1, 2, 1, 1, 2]), function, timeout_s=9, cache=Cache(60))))
    assert sorted(out) == [1, 1, 1, 2, 2]
    assert function.calls == [1, 2]


def test_answer_is_used_until_it_is_too_old(virtual, stream_of, drain) -> None:
    function = Counting()
    virtual(drain(ordered_wait(stream_of([1] * 10, every_s=2), function, timeout_s=9, cache=Cache(5))))
    assert len(function.calls) == 4, "at 2, 8, 14 and 20 s"


@pytest.mark.parametrize(("negative_ttl_s", "calls"), [(None, 1), (0, 5), (5, 3)])
def test_misses_have_an_age_of_their_own(negative_ttl_s, calls, virtual, stream_of, drain) -> None:
    function = Counting(results=[])
    cache = Cache(60, negative_ttl_s=negative_ttl_s)
    virtual(drain(ordered_wait(stream_of([1] * 5, every_s=4), function, timeout_s=9, cache=cache)))
    assert len(function.calls) == calls


def test_least_used_key_goes_first(virtual, stream_of, drain) -> None:
    function = Counting()
    stream = stream_of([1, 2, 1, 3, 1, 2], every_s=2)
    virtual(drain(ordered_wait(stream, function, timeout_s=9, cache=Cache(60, max_entries=2))))
    assert function.calls == [1, 2, 3, 2]


def test_values_without_a_key_are_not_cached(virtual, stream_of, drain) -> None:
    function = Counting()
    cache = Cache(60, key=lambda value: None if value["k"] == 0 else value["k"])
    stream = stream_of([{"k": 0}, {"k": 0}, {"k": 1}, {"k": 1}], every_s=2)
    virtual(drain(ordered_wait(stream, function, timeout_s=9, cache=cache)))
    assert len(function.calls) == 3


def test_failure_goes_to_all_who_wait_and_is_not_kept(virtual, stream_of, drain) -> None:
    function = Counting(results=LookupError("away"))
    wait = unordered_wait(stream_of([1, 1, 1]), function, timeout_s=9, cache=Cache(60), on_failure="drop")
    assert virtual(drain(wait)) == []
    assert len(function.calls) == 1

    async def twice() -> None:
        stream = stream_of([1, 1], every_s=3)
        assert await drain(unordered_wait(stream, function, timeout_s=9, cache=Cache(60), on_failure="drop")) == []

    virtual(twice())
    assert len(function.calls) == 3


def test_time_out_of_the_first_leaves_the_call_to_the_others(virtual, stream_of, drain) -> None:
    function = Counting(after_s=3)
    stream = stream_of([1, 1], every_s=1.5)
    assert virtual(drain(ordered_wait(stream, function, timeout_s=2, cache=Cache(60), on_timeout="drop"))) == [1]
    assert (len(function.calls), function.cancelled) == (1, 0)


def test_call_that_nobody_waits_for_is_cancelled(virtual, stream_of, drain) -> None:
    function = Counting(after_s=9)
    assert (
        virtual(drain(ordered_wait(stream_of([1, 1]), function, timeout_s=2, cache=Cache(60), on_timeout="drop"))) == []
    )
    assert (len(function.calls), function.cancelled) == (1, 1)


@pytest.mark.parametrize("options", [{"ttl_s": 0}, {"ttl_s": 1, "max_entries": 0}, {"ttl_s": 1, "negative_ttl_s": -1}])
def test_cache_out_of_range(options) -> None:
    with pytest.raises(ValueError, match="must"):
        Cache(**options)


# ---- limits


@BOTH
def test_rate_limit_spreads_the_calls(wait, virtual, stream_of, drain) -> None:
    times: list[float] = []

    async def function(value: int) -> list[int]:
        times.append(now())
        return [value]

    wait = wait(stream_of(range(23)), function, timeout_s=0.05, rate_limit=RateLimit(10, burst=3))
    assert sorted(virtual(drain(wait))) == list(range(23)), "waiting for the rate costs none of a record's time"
    assert times[:3] == [0, 0, 0]
    assert times[-1] == pytest.approx(2.0, abs=0.01)


def test_retries_count_for_the_rate() -> None:
    control = RateControl(RateLimit(10), 0.0)
    assert control.free(0.0) == 1
    for _ in range(3):
        control.take(0.0)
    assert control.wait_s(0.0) == pytest.approx(0.3)
    assert control.free(0.29) == 0
    assert control.free(0.3) == 1
    assert control.free(99.0) == 1


def test_adaptive_capacity_finds_what_the_server_can_do(virtual, stream_of, drain) -> None:
    running = most_lately = 0

    async def server(value: int) -> list[int]:
        nonlocal running, most_lately
        running += 1
        if value > 3000:
            most_lately = max(most_lately, running)
        await asyncio.sleep(0.01 if running <= 20 else 0.05)
        running -= 1
        return [value]

    adaptive = AdaptiveCapacity(latency_s=0.02)
    wait = unordered_wait(stream_of(range(4000)), server, timeout_s=9, capacity=1000, adaptive=adaptive)
    assert len(virtual(drain(wait))) == 4000
    assert 20 <= most_lately <= 30


def test_time_out_halves_the_capacity_once_for_all_that_ran() -> None:
    control = CapacityControl(AdaptiveCapacity(initial=64, minimum=10), 100)
    control.ended(1.0, timed_out=True, full=True)
    assert control.capacity == 32
    for _ in range(64):
        control.ended(1.0, timed_out=True, full=True)
    assert control.capacity == 32
    for _ in range(200):
        control.ended(1.0, timed_out=True, full=True)
    assert control.capacity == 10


def test_capacity_that_is_not_used_up_does_not_grow() -> None:
    control = CapacityControl(AdaptiveCapacity(initial=10), 100)
    for _ in range(100):
        control.ended(1.0, timed_out=False, full=False)
    assert control.capacity == 10


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (RateLimit, {"records_per_s": 0}),
        (RateLimit, {"records_per_s": 1, "burst": 0}),
        (AdaptiveCapacity, {"latency_s": 0}),
        (AdaptiveCapacity, {"minimum": 0}),
        (AdaptiveCapacity, {"minimum": 5, "initial": 4}),
        (AdaptiveCapacity, {"decrease": 1.0}),
    ],
)
def test_limit_out_of_range(make, options) -> None:
    with pytest.raises(ValueError, match=r"must|below"):
        make(**options)


# ---- threads


@BOTH
async def test_blocking_function_runs_in_so_many_threads(wait, stream_of, drain) -> None:
    barrier = threading.Barrier(4, timeout=20)
    used: set[int] = set()

    def blocking(value: int) -> list[int]:
        used.add(threading.get_ident())
        barrier.wait()  # needs four at a time
        return [value]

    out = await drain(wait(stream_of(range(16)), in_thread_pool(blocking, 4), timeout_s=60))
    assert sorted(out) == list(range(16))
    assert len(used) == 4
    assert threading.get_ident() not in used


async def test_error_of_a_blocking_function_names_it(stream_of, drain) -> None:
    def broken(value: int) -> list[int]:
        raise LookupError("no such row")

    with pytest.raises(AsyncOperationError, match=r"broken failed for 1: LookupError: no such row"):
        await drain(ordered_wait(stream_of([1]), in_thread_pool(broken, 1), timeout_s=60))


async def test_call_that_has_no_thread_yet_is_called_off(stream_of, drain) -> None:
    gate, started = threading.Event(), []

    def blocking(value: int) -> list[int]:
        started.append(value)
        gate.wait(20)
        return [value]

    wait = unordered_wait(stream_of(range(3)), in_thread_pool(blocking, 1), timeout_s=0.05, on_timeout="drop")
    assert await drain(wait) == []
    gate.set()
    assert started == [0]


def test_thread_pool_out_of_range() -> None:
    with pytest.raises(ValueError, match="workers"):
        in_thread_pool(lambda value: [value], 0)
    with pytest.raises(TypeError, match="needs a function"):
        in_thread_pool("text", 1)  # type: ignore[arg-type]


async def test_results_that_come_while_the_loop_takes_others_wake_it(stream_of, drain) -> None:
    """Completions of several threads at the very moment when the loop empties the queue."""

    class FromThreads(AsyncFunction[int, int]):
        async def async_invoke(self, value: int, result_future: ResultFuture[int]) -> None:
            lines[value % 4].append((value, result_future))

    lines: list[list[tuple[int, ResultFuture[int]]]] = [[] for _ in range(4)]
    stop = threading.Event()

    def client(line: list[tuple[int, ResultFuture[int]]]) -> None:
        while not stop.is_set():
            if line:
                value, future = line.pop(0)
                future.complete([value])
            else:
                time.sleep(0)

    threads = [threading.Thread(target=client, args=(line,)) for line in lines]
    for thread in threads:
        thread.start()
    try:
        async with asyncio.timeout(60):
            out = await drain(unordered_wait(stream_of(range(4000)), FromThreads(), timeout_s=None, capacity=3))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert sorted(out) == list(range(4000))


# ---- policies


def test_callback_that_fails_keeps_no_other_record_from_its_time_out(virtual, stream_of, drain, caplog) -> None:
    class Careless(AsyncFunction[int, int]):
        async def async_invoke(self, value: int, result_future: ResultFuture[int]) -> None:
            result_future.on_cancel(lambda: 1 // 0)

    assert virtual(drain(unordered_wait(stream_of(range(3)), Careless(), timeout_s=1, on_timeout="drop"))) == []
    assert caplog.text.count("An on_cancel callback failed") == 3


async def never(value: Any) -> list[Any]:
    await asyncio.Event().wait()
    return []


class Answering(AsyncFunction[int, str]):
    async def async_invoke(self, value: int, result_future: ResultFuture[str]) -> None:
        await never(value)

    async def timeout(self, value: int, result_future: ResultFuture[str]) -> None:
        result_future.complete([f"fallback {value}"])


@BOTH
@pytest.mark.parametrize(
    ("on_timeout", "expected"),
    [(None, "fallback 1"), ("fallback", "fallback 1"), ("drop", None), ("dead-letter", None)],
)
def test_time_out_policy(on_timeout, expected, wait, virtual, stream_of, drain) -> None:
    dead: list[Any] = []

    async def put_aside(value: int, error: BaseException) -> None:
        assert isinstance(error, AsyncTimeoutError)
        dead.append(value)

    stream = stream_of([1])
    out = virtual(drain(wait(stream, Answering(), timeout_s=1, on_timeout=on_timeout, dead_letter=put_aside)))
    assert out == ([] if expected is None else [expected])
    assert dead == ([1] if on_timeout == "dead-letter" else [])


@BOTH
def test_time_out_policy_fail_does_not_ask_for_a_fallback(wait, virtual, stream_of, drain) -> None:
    with pytest.raises(AsyncTimeoutError):
        virtual(drain(wait(stream_of([1]), Answering(), timeout_s=1, on_timeout="fail")))


@BOTH
def test_time_out_may_be_dropped_while_other_failures_end_the_stage(wait, virtual, stream_of, drain) -> None:
    async def function(value: int) -> list[int]:
        return await never(value) if value == 1 else [1 // value]

    assert virtual(drain(wait(stream_of([1, 1]), function, timeout_s=1, on_timeout="drop"))) == []
    with pytest.raises(AsyncOperationError, match="ZeroDivisionError"):
        virtual(drain(wait(stream_of([1, 0]), function, timeout_s=1, on_timeout="drop")))


@BOTH
def test_policy_that_cannot_be_is_refused(wait, stream_of) -> None:
    with pytest.raises(ValueError, match=r"never has no timeout\(\) of its own"):
        wait(stream_of([]), never, timeout_s=1, on_timeout="fallback")
    with pytest.raises(ValueError, match="dead_letter does not say where to"):
        wait(stream_of([]), never, timeout_s=1, on_timeout="dead-letter")
    with pytest.raises(TypeError, match="on_time_out"):
        wait(stream_of([]), never, timeout_s=1, on_time_out="drop")
