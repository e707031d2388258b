from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import pytest

from connectors import RetriableError, SinkRecord, SinkTask, TopicPartition
from connectors.formats.text import BytesConverter
from connectors.runtime import sink_task
from connectors.runtime.metrics import REGISTRY
from connectors.runtime.sink_task import SinkTaskRunner
from connectors.runtime.state import State
from tests.unit.runtime.fakes import FakeConsumer, Reports, ended, spec, until

T0 = TopicPartition("t", 0)


class Sink(SinkTask):
    """Stores at each flush; everything else is lost when it closes."""

    def __init__(self) -> None:
        self.held: list[int] = []
        self.stored: list[int] = []
        self.calls: list[str] = []
        self.failures: list[Exception] = []
        self.flush_failures: list[Exception] = []
        self.puts = 0
        self.empty_puts = 0
        self.answer: Mapping[TopicPartition, int] | None = None
        self.gate = True

    def start(self, props: Mapping[str, str]) -> None:
        self.calls.append("start")

    def open(self, partitions: Collection[TopicPartition]) -> None:
        self.calls.append("open")

    def put(self, records: list[SinkRecord]) -> None:
        if not records and not self.failures:
            self.empty_puts += 1
            return
        self.puts += 1
        until(lambda: self.gate, 60)
        if self.failures:
            raise self.failures.pop(0)
        self.held += [record.offset for record in records]

    def flush(self, offsets: Mapping[TopicPartition, int]) -> None:
        if self.flush_failures:
            self.held.clear()
            raise self.flush_failures.pop(0)
        self.stored += self.held
        self.held.clear()

    async def pre_commit(self, offsets: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        await super().pre_commit(offsets)
        return offsets if self.answer is None else self.answer

    def close(self, partitions: Collection[TopicPartition]) -> None:
        self.held.clear()
        self.calls.append("close")

    def stop(self) -> None:
        self.calls.append("stop")


class Running:
    monkeypatch: pytest.MonkeyPatch

    def __init__(self, reports: Reports, **props: str) -> None:
        given = {"topics": "t", "offset.flush.interval.ms": "20", "errors.retry.delay.max.ms": "50"} | props
        self.reports = reports
        self.runner = SinkTaskRunner(spec(Sink, **given), reports)
        task = self.runner.task
        assert isinstance(task, Sink)
        self.task = task

    @property
    def consumer(self) -> FakeConsumer:
        return FakeConsumer.made

    def start(self) -> Running:
        self.runner.start()
        until(lambda: State.RUNNING in self.reports.states)
        return self


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(sink_task, "Consumer", FakeConsumer)
    made: list[Running] = []

    def make(**props: str) -> Running:
        made.append(Running(Reports(), **props))
        made[-1].monkeypatch = monkeypatch
        return made[-1]

    yield make
    for each in made:
        each.task.gate = True
        ended(each.runner)


def test_what_is_put_is_flushed_and_then_committed(running: Any) -> None:
    run = running().start()
    until(lambda: run.consumer.committed == [10])
    assert run.task.stored == list(range(10))
    assert ended(run.runner)
    assert run.task.calls == ["start", "open", "close", "stop"]
    assert run.consumer.closed
    assert run.reports.states == [State.RUNNING, State.UNASSIGNED]


def test_only_what_pre_commit_returns_is_committed_and_never_more_than_was_put(running: Any) -> None:
    run = running()
    run.task.answer = {T0: 4, TopicPartition("t", 1): 1}
    run.start()
    until(lambda: run.consumer.committed == [4])
    run.task.answer = {T0: 99}
    stored = len(run.task.stored)
    run.consumer.log += run.consumer.log[:0]
    time.sleep(0.1)
    assert run.consumer.committed == [4]
    assert len(run.task.stored) == stored


def test_a_put_that_failed_for_now_gets_the_same_records_again(running: Any) -> None:
    run = running()
    run.task.failures = [RetriableError("away"), RetriableError("away")]
    run.start()
    until(lambda: run.consumer.committed == [10])
    assert run.task.puts == 3
    assert (State.RUNNING, "away") in run.reports.seen
    assert run.reports.seen[-1] == (State.RUNNING, "")


@pytest.mark.parametrize("moves", [False, True], ids=["stays", "moves"])
def test_a_conversion_that_failed_for_now_is_done_again_and_no_record_is_refused(running: Any, moves: bool) -> None:
    run = running()
    failures = 3

    def away(*_: Any) -> None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise RetriableError("the registry is away")

    original = BytesConverter.to_connect
    run.monkeypatch.setattr(BytesConverter, "to_connect", lambda *given: (away(), original(*given))[1])
    run.start()
    until(lambda: (State.RUNNING, "the registry is away") in run.reports.seen)
    if moves:
        run.consumer.events += ["revoke", "assign"]
    until(lambda: run.consumer.committed[-1:] == [10], 10)
    assert set(run.task.stored) == set(range(10))
    assert run.reports.seen[-1] == (State.RUNNING, "")


def test_a_put_that_fails_for_good_fails_the_task_and_commits_nothing(running: Any) -> None:
    run = running()
    run.task.failures = [ValueError("no cheese")]
    run.start()
    until(lambda: run.reports.states[-1] is State.FAILED)
    assert "ValueError: no cheese" in run.reports.seen[-1][1]
    assert run.consumer.committed == []
    assert run.task.calls[-2:] == ["close", "stop"]


def test_retries_end_where_a_limit_is_set(running: Any) -> None:
    run = running(**{"errors.retry.timeout": "100"})
    run.task.failures = [RetriableError("away")] * 100
    run.start()
    until(lambda: run.reports.states[-1] is State.FAILED)
    assert "errors.retry.timeout" in run.reports.seen[-1][1]
    assert run.consumer.committed == []


def test_the_wait_before_another_try_ends_where_the_limit_does(running: Any) -> None:
    run = running(**{"errors.retry.timeout": "400", "errors.retry.delay.max.ms": "60000"})
    run.task.failures = [RetriableError("away")] * 100
    run.start()
    run.task.context.timeout(30_000)
    begun = time.monotonic()
    until(lambda: run.reports.states[-1] is State.FAILED)
    assert time.monotonic() - begun < 3


def test_what_is_put_and_not_committed_is_counted(running: Any) -> None:
    def held() -> float | None:
        labels = {"connector": "c", "task": "0"}
        return REGISTRY.get_sample_value("connect_sink_record_active_count", labels)

    run = running()
    run.task.answer = {T0: 4}
    run.start()
    until(lambda: held() == 6)
    run.task.answer = None
    until(lambda: held() == 0)


def test_a_quiet_sink_gets_empty_batches_so_that_it_can_act_by_the_clock(running: Any) -> None:
    run = running().start()
    until(lambda: run.consumer.committed == [10])
    moved = run.runner.progress.moved
    seen = run.task.empty_puts
    until(lambda: run.task.empty_puts > seen + 1)
    assert run.runner.progress.moved == moved
    assert run.consumer.committed == [10]


def test_a_sink_without_partitions_gets_none(running: Any) -> None:
    run = running().start()
    until(lambda: run.consumer.committed == [10])
    run.consumer.events += ["revoke"]
    until(lambda: run.task.calls[-1] == "close")
    seen = run.task.empty_puts
    time.sleep(0.05)
    assert run.task.empty_puts == seen


def test_a_batch_that_transforms_drop_whole_is_committed_past(running: Any) -> None:
    run = running(**{"transforms": "drop", "transforms.drop.type": "Filter"}).start()
    until(lambda: run.consumer.committed == [10])
    assert run.task.puts == 0


def test_a_stop_while_retrying_commits_none_of_the_batch(running: Any) -> None:
    run = running()
    run.task.failures = [RetriableError("away")] * 1000
    run.start()
    until(lambda: run.task.puts > 1)
    assert ended(run.runner)
    assert run.consumer.committed == []
    assert run.reports.states[-1] is State.UNASSIGNED


def test_records_are_not_lost_when_partitions_move_while_retrying(running: Any) -> None:
    run = running()
    run.task.failures = [RetriableError("away")] * 3
    run.start()
    until(lambda: run.task.puts == 1)
    run.consumer.events += ["revoke", "assign"]
    until(lambda: run.consumer.committed == [10], 10)
    assert set(run.task.stored) == set(range(10))
    assert run.task.calls == ["start", "open", "close", "open"]


def test_a_partition_that_comes_while_paused_loses_no_record(running: Any) -> None:
    run = running().start()
    until(lambda: run.consumer.committed == [10])
    run.runner.pause(True)
    until(lambda: run.reports.states[-1] is State.PAUSED)
    run.consumer.log += [type(run.consumer.log[0])(number) for number in range(10, 15)]
    run.consumer.events += ["revoke", "assign"]
    until(lambda: run.task.calls.count("open") == 2)
    time.sleep(0.05)
    assert run.task.stored == list(range(10))
    run.runner.pause(False)
    until(lambda: run.consumer.committed[-1] == 15)
    assert run.task.stored == list(range(15))


def test_what_a_flush_could_not_store_is_read_again(running: Any) -> None:
    run = running()
    run.task.flush_failures = [RetriableError("away")]
    run.start()
    until(lambda: run.consumer.committed == [10])
    assert run.task.stored == list(range(10))
    assert run.task.puts == 2


def test_a_rewind_is_read_again(running: Any) -> None:
    run = running().start()
    until(lambda: run.consumer.committed == [10])
    run.task.context.offset(T0, 7)
    until(lambda: run.consumer.committed == [10, 10])
    assert run.task.stored == [*range(10), 7, 8, 9]


def test_a_bad_record_fails_the_task_with_its_place(running: Any) -> None:
    run = running(**{"value.converter": "json"})
    run.start()
    run.consumer.log.append(type(run.consumer.log[0])(10, b"{"))
    until(lambda: run.reports.states[-1] is State.FAILED)
    assert "t-0@10" in run.reports.seen[-1][1]
    assert 10 not in run.task.stored + run.task.held


def test_a_tolerated_bad_record_is_left_out_and_committed_past(running: Any) -> None:
    run = running(**{"value.converter": "json", "errors.tolerance": "all"})
    run.start()
    run.consumer.log.append(type(run.consumer.log[0])(10, b"{"))
    until(lambda: run.consumer.committed and run.consumer.committed[-1] == 11)
    assert run.task.stored == list(range(10))


def test_a_put_that_hangs_is_left_behind_and_the_group_is_left(running: Any) -> None:
    run = running()
    run.task.gate = False
    run.start()
    until(lambda: run.task.puts == 1)
    begun = time.monotonic()
    run.runner.stop()
    assert not run.runner.join(0.1)
    until(lambda: run.consumer.closed, 6)
    assert time.monotonic() - begun < 6
    assert run.consumer.committed == []
