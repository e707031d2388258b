"""Watermarks: made from timestamps, barriers in both modes, carried from stage to stage."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from agents.async_io import (
    Watermark,
    bounded_out_of_orderness,
    monotonic_timestamps,
    ordered_wait,
    unordered_wait,
)
from agents.async_io.event_time import PeriodicWatermarks, microseconds
from agents.async_io.function import as_async_function
from agents.checkpoint import Checkpoint
from agents.config import StageConfig
from agents.outputs import Outputs
from agents.stage import Stage
from agents.steps import Steps
from connectors.api.errors import DataError
from tables.pending import PendingTable, Restored

BOTH = pytest.mark.parametrize("wait", [ordered_wait, unordered_wait])


async def quick(value: Any) -> list[Any]:
    return [value]


def own_time(value: int) -> int:
    return value


@BOTH
def test_monotonic_watermark_follows_the_newest_record(wait, virtual, stream_of, drain) -> None:
    stream = stream_of([5, 7, 9], every_s=1)
    out = virtual(drain(wait(stream, quick, timeout_s=9, watermarks=monotonic_timestamps(own_time))))
    assert out == [5, Watermark(5), 7, Watermark(7), 9, Watermark(9)]


@BOTH
def test_bounded_watermark_stays_behind_and_never_goes_back(wait, virtual, stream_of, drain) -> None:
    stream = stream_of([10, 8, 13, 11], every_s=1)
    marks = bounded_out_of_orderness(own_time, 3e-6)
    out = virtual(drain(wait(stream, quick, timeout_s=9, watermarks=marks)))
    assert out == [10, Watermark(7), 8, 13, Watermark(10), 11]


@BOTH
def test_watermarks_come_at_most_once_in_an_interval(wait, virtual, stream_of, drain) -> None:
    stream = stream_of(range(100), every_s=0.01)
    marks = monotonic_timestamps(own_time, interval_s=0.25)
    out = virtual(drain(wait(stream, quick, timeout_s=9, watermarks=marks)))
    found = [one for one in out if isinstance(one, Watermark)]
    assert len(found) in (4, 5)
    assert found[-1] == Watermark(99)


@BOTH
def test_no_record_leaves_on_the_wrong_side_of_a_watermark(wait, virtual, stream_of, drain) -> None:
    async def slower_when_earlier(value: int) -> list[int]:
        await asyncio.sleep(2 if value % 7 == 0 else 0.1)
        return [value]

    stream = stream_of(range(1, 60), every_s=0.05)
    marks = monotonic_timestamps(own_time)
    out = virtual(drain(wait(stream, slower_when_earlier, timeout_s=9, capacity=20, watermarks=marks)))
    assert sorted(value for value in out if not isinstance(value, Watermark)) == list(range(1, 60))
    for place, mark in enumerate(out):
        if isinstance(mark, Watermark):
            assert all(one >= mark.ts_us for one in out[place + 1 :] if not isinstance(one, Watermark))
            assert all(one <= mark.ts_us for one in out[:place] if not isinstance(one, Watermark))


@BOTH
def test_watermarks_of_the_stream_give_way_to_those_made_here(wait, virtual, stream_of, drain) -> None:
    stream = stream_of([Watermark(99), 5])
    out = virtual(drain(wait(stream, quick, timeout_s=9, watermarks=monotonic_timestamps(own_time))))
    assert out == [5, Watermark(5)]


def test_watermark_waits_while_every_slot_is_taken(virtual, stream_of, drain) -> None:
    async def slow(value: int) -> list[int]:
        await asyncio.sleep(3)
        return [value]

    marks = monotonic_timestamps(own_time)
    out = virtual(drain(ordered_wait(stream_of([1, 2]), slow, timeout_s=9, capacity=1, watermarks=marks)))
    assert out == [1, 2, Watermark(2)]


def test_field_of_a_record(virtual, stream_of, drain) -> None:
    stream = stream_of([{"at": 3}, {"at": None}, {}, {"at": "4"}], every_s=1)
    out = virtual(drain(ordered_wait(stream, quick, timeout_s=9, watermarks=monotonic_timestamps("at", unit="ms"))))
    assert [one for one in out if isinstance(one, Watermark)] == [Watermark(3000), Watermark(4000)]


def test_field_without_a_time_ends_with_an_error_that_names_it(virtual, stream_of, drain) -> None:
    stream = stream_of([{"at": "soon"}])
    with pytest.raises(DataError, match="at is 'soon'; watermarks need a number of us since 1970"):
        virtual(drain(ordered_wait(stream, quick, timeout_s=9, watermarks=monotonic_timestamps("at"))))


@pytest.mark.parametrize(
    ("given", "unit", "expected"),
    [
        (7, "us", 7),
        ("7", "s", 7_000_000),
        (1.5, "s", 1_500_000),
        ("1.5", "ms", 1500),
        ("1970-01-01 00:00:02", "us", 2_000_000),
        ("1970-01-01T01:00:00.000001+01:00", "us", 1),
        (datetime(1970, 1, 1, 0, 1, tzinfo=UTC), "us", 60_000_000),
    ],
)
def test_time_in_its_unit(given, unit, expected) -> None:
    assert microseconds(given, unit, "at") == expected


@pytest.mark.parametrize("given", [True, [], "yesterday", float("nan"), float("inf")])
def test_what_is_no_time(given) -> None:
    with pytest.raises(DataError, match="at is"):
        microseconds(given, "us", "at")


@pytest.mark.parametrize("options", [{"idle_s": 0}, {"interval_s": 0}, {"max_out_of_orderness_s": -1}])
def test_strategy_out_of_range(options) -> None:
    with pytest.raises(ValueError, match="must"):
        bounded_out_of_orderness("at", **{"max_out_of_orderness_s": 0, **options})


class Marks:
    def __init__(self, idle_s: float | None = None, read: Any = lambda: None) -> None:
        self.out: list[int] = []
        strategy = monotonic_timestamps(own_time, idle_s=idle_s, interval_s=1)
        self.made = PeriodicWatermarks(strategy, self._take, read)

    def _take(self, watermark: Watermark) -> bool:
        self.out.append(watermark.ts_us)
        return True


def test_watermark_is_the_least_of_all_partitions(virtual) -> None:
    async def scenario() -> None:
        marks = Marks()
        marks.made.observe("p0", 100)
        marks.made.observe("p1", 50)
        await asyncio.sleep(2)
        marks.made.observe("p0", 200)
        await asyncio.sleep(2)
        marks.made.observe("p1", 150)
        await asyncio.sleep(2)
        assert marks.out == [50, 150]

    virtual(scenario())


def test_idle_partition_holds_nothing_back(virtual) -> None:
    async def scenario() -> None:
        marks = Marks(idle_s=10)
        marks.made.observe("p0", 100)
        marks.made.observe("p1", 50)
        await asyncio.sleep(8)
        marks.made.observe("p0", 200)
        await asyncio.sleep(1.5)
        assert marks.out == [50]
        await asyncio.sleep(2)
        assert marks.out == [50, 200], "by itself, without a further record"
        marks.made.observe("p1", 60)  # a late one: nothing goes back
        marks.made.observe("p0", 300)
        await asyncio.sleep(2)
        assert marks.out == [50, 200]
        await asyncio.sleep(30)
        assert marks.made.is_idle

    virtual(scenario())


def test_partition_that_has_shown_no_record_yet_holds_back_and_one_that_is_gone_does_not(virtual) -> None:
    async def scenario() -> None:
        read = ["p0", "p1"]
        marks = Marks(read=lambda: read)
        marks.made.observe("p0", 100)
        await asyncio.sleep(2)
        assert marks.out == []
        read.remove("p1")
        marks.made.observe("p0", 110)
        await asyncio.sleep(2)
        assert marks.out == [110]

    virtual(scenario())


# ---- in a stage


class FakeProducer:
    has_room = True

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes | None, list[tuple[str, bytes]], int, int]] = []

    def send(self, topic, value, key, headers, on_delivery, *, partition=-1, timestamp_ms=0) -> None:
        self.sent.append((topic, key, list(headers), partition, timestamp_ms))
        on_delivery(None, None)


class Rig:
    def __init__(self, function: Any = quick, **options: Any) -> None:
        config = StageConfig(name="s", input="in", output="out", steps=[{"function": "f"}], **options)
        self.producer = FakeProducer()
        self.failures: list[str] = []
        table = PendingTable("t", {})
        table.restore = lambda numbers, stop: dict.fromkeys(numbers, Restored())  # type: ignore[method-assign]
        outputs = Outputs(self.producer, "s", "out", config.dead_letter, True)  # type: ignore[arg-type]
        self.stage = Stage(
            config, Steps([as_async_function(function)]), outputs, table, self.failures.append, asyncio.Event()
        )

    async def __aenter__(self) -> Rig:
        await self.stage.open()
        for part in self.stage.assign([0, 1]):
            self.stage.start(part, [])
        self.checkpoint = Checkpoint(self.stage, self._commit)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.checkpoint.abandon([0, 1])
        await self.stage.close()

    async def _commit(self, offsets: Any) -> bool:
        return True

    def take(self, offset: int, value: bytes | None = b'{"n":1}', headers: Any = (), partition: int = 0) -> None:
        key = b"%d" % offset
        record = SimpleNamespace(offset=offset, key=key, value=value, headers=headers, timestamp=1000 + offset)
        assert self.stage.take(partition, [record])

    def watermarks(self) -> list[tuple[bytes | None, dict[str, bytes]]]:
        return [(key, dict(headers)) for _, key, headers, _, _ in self.producer.sent]


def at(ts_us: int) -> tuple[tuple[str, bytes], ...]:
    return (("connect.ts_us", b"%d" % ts_us),)


@pytest.mark.parametrize("mode", ["ordered", "unordered"])
def test_stage_carries_watermarks_in_headers_and_keeps_the_rest(mode, virtual) -> None:
    async def scenario() -> None:
        async with Rig(mode=mode, watermarks={"max_out_of_orderness_s": 0.000_005}) as rig:
            rig.take(0, headers=at(100))
            await asyncio.sleep(1)
            assert rig.stage.time is not None
            assert rig.stage.time.watermark_us == 95
            rig.take(1, headers=at(200))
            await asyncio.sleep(0)
            rig.take(0, headers=at(40), partition=1)
            await asyncio.sleep(1)
            assert rig.stage.time.watermark_us == 35, "the least of the partitions"
        first, second, third = rig.producer.sent
        assert first == ("out", b"0", [*at(100)], 0, 1000)
        assert second[1:] == (
            b"1",
            [*at(200), ("connect.watermark_us", b"95"), ("connect.watermark_source", b"in-0")],
            0,
            1001,
        )
        assert third[2] == [*at(40)]

    virtual(scenario())


def test_watermark_does_not_overtake_a_slow_record(virtual) -> None:
    async def slow_first(message: Any) -> list[Any]:
        await asyncio.sleep(5 if message.offset == 0 else 0.01)
        return [message]

    async def scenario() -> None:
        async with Rig(slow_first, watermarks={}) as rig:
            rig.take(0, headers=at(100))
            await asyncio.sleep(1)
            rig.take(1, headers=at(200))
            await asyncio.sleep(1)
            assert rig.watermarks() == []
            await asyncio.sleep(9)
        assert [(key, found.get("connect.watermark_us")) for key, found in rig.watermarks()] == [
            (b"0", None),
            (b"1", b"100"),
        ]

    virtual(scenario())


def test_watermarks_of_the_stage_before_are_passed_on_per_source(virtual) -> None:
    def mark(us: int, source: str) -> Any:
        return (("connect.watermark_us", b"%d" % us), ("connect.watermark_source", source.encode()))

    async def scenario() -> None:
        async with Rig(watermarks={"timestamp": "header"}) as rig:
            rig.take(0, headers=mark(100, "up-0"))
            rig.take(1, headers=mark(70, "up-1"))
            await asyncio.sleep(1)
            rig.take(2)
            await asyncio.sleep(1)
        assert rig.watermarks()[-1][1] == {"connect.watermark_us": b"70", "connect.watermark_source": b"in-0"}
        assert rig.watermarks()[0][1] == {}, "nothing that was not promised here"

    virtual(scenario())


@pytest.mark.parametrize(("mode", "kept"), [("ordered", True), ("unordered", False)])
def test_stage_without_watermarks_passes_them_on_only_where_order_is_kept(mode, kept, virtual) -> None:
    async def scenario() -> None:
        async with Rig(mode=mode) as rig:
            rig.take(0, headers=(("connect.watermark_us", b"5"), ("other", b"x")))
            await asyncio.sleep(1)
        assert rig.watermarks() == [(b"0", {"other": b"x", **({"connect.watermark_us": b"5"} if kept else {})})]

    virtual(scenario())


def test_field_of_rows_and_a_wrong_one(virtual) -> None:
    async def scenario() -> None:
        options = {"dead_letter": "dead", "watermarks": {"timestamp": "field", "field": "at", "unit": "ms"}}
        async with Rig(**options) as rig:
            rig.take(0, b'{"at":"7"}')
            rig.take(1, b'{"at":"soon"}')
            rig.take(2, None)
            await asyncio.sleep(1)
            rig.take(3, b'{"other":1}')
            await asyncio.sleep(1)
        places = {key: (topic, dict(headers)) for topic, key, headers, _, _ in rig.producer.sent}
        assert places[b"1"][0] == "dead"
        assert b"at is 'soon'" in places[b"1"][1]["__connect.errors.exception.message"]
        assert places[b"2"] == ("out", {})
        assert places[b"3"][1]["connect.watermark_us"] == b"7000"

    virtual(scenario())


def test_revoked_partition_leaves_no_timer(virtual) -> None:
    async def scenario() -> None:
        async with Rig(watermarks={"idle_s": 5}) as rig:
            rig.take(0, headers=at(1))
            await asyncio.sleep(0)
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="deadlock"):
        virtual(scenario())


@pytest.mark.parametrize(("on_timeout", "sent"), [("drop", []), ("dead-letter", ["dead"]), (None, ["dead"])])
def test_stage_treats_time_outs_by_their_own_policy(on_timeout, sent, virtual) -> None:
    async def never(message: Any) -> list[Any]:
        await asyncio.Event().wait()
        return []

    async def scenario() -> None:
        async with Rig(never, dead_letter="dead", timeout_s=1, on_timeout=on_timeout) as rig:
            rig.take(0)
            await asyncio.sleep(3)
        assert [topic for topic, *_ in rig.producer.sent] == sent

    virtual(scenario())


def test_stage_keeps_to_its_rate(virtual) -> None:
    async def scenario() -> None:
        async with Rig(rate_limit={"records_per_s": 2}) as rig:
            for offset in range(10):
                rig.take(offset)
            await asyncio.sleep(3.1)
            assert len(rig.producer.sent) == 7
            await asyncio.sleep(9)
            assert len(rig.producer.sent) == 10

    virtual(scenario())
