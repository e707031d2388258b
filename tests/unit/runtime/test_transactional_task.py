from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from connectors import ConfigError, SourceConnector
from connectors.runtime import source_task, topic_creation
from connectors.runtime.settings import WorkerSettings
from connectors.runtime.source_context import StoredOffsets
from connectors.runtime.state import State
from connectors.runtime.transactional_task import TransactionalSourceRunner, is_exactly_once
from tests.unit.runtime.fakes import SETTINGS, FakeProducer, Reports, ended, spec, until
from tests.unit.runtime.test_source_task import Admin, Source, too_large

OFFSETS = "unit-offsets"


class ProblemError(KafkaError):
    """An error as librdkafka tells it."""

    abort = False

    def txn_requires_abort(self) -> bool:
        return self.abort

    def retriable(self) -> bool:
        return False


def problem(code: int, *, abort: bool = False) -> KafkaException:
    made = ProblemError(code)
    made.abort = abort
    return KafkaException(made)


class TransactionalProducer(FakeProducer):
    """A producer whose records count once they are committed."""

    calls: list[str]
    problems: dict[str, list[KafkaException]]
    started = threading.Event()

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        self.options = options
        self.committed: list[list[tuple[str, Any]]] = []

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if self.problems.get(name):
            raise self.problems[name].pop(0)

    def poll(self, timeout: float = 0) -> None:
        if self.problems.get("poll"):
            raise self.problems["poll"].pop(0)
        super().poll(timeout)

    def init_transactions(self, _timeout: float) -> None:
        self._call("init")

    def begin_transaction(self) -> None:
        self._call("begin")
        self.sent.clear()

    def commit_transaction(self, _timeout: float) -> None:
        self._call("commit")
        self.poll()
        self.committed.append([(topic, value) for topic, value, _key in self.sent])

    def abort_transaction(self, _timeout: float) -> None:
        self._call("abort")
        self.waiting.clear()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(source_task, "Producer", TransactionalProducer)
    monkeypatch.setattr(topic_creation, "AdminClient", Admin)
    monkeypatch.setattr(TransactionalProducer, "calls", [], raising=False)
    monkeypatch.setattr(TransactionalProducer, "problems", {}, raising=False)
    made: list[TransactionalSourceRunner] = []

    def start(stored: int = 0, **props: str) -> tuple[Any, Reports]:
        async def read() -> StoredOffsets:
            TransactionalProducer.calls.append("read")
            return StoredOffsets([({"p": 1}, {"n": stored})])

        reports = Reports()
        runner = TransactionalSourceRunner(spec(Source, **props), reports, read)
        made.append(runner)
        runner.start()
        until(lambda: reports.states)
        return FakeProducer.made, reports

    yield start
    for runner in made:
        ended(runner)


def batches(producer: Any) -> list[tuple[list[bytes], list[int]]]:
    return [
        ([v for t, v in each if t == "t"], [json.loads(v)["n"] for t, v in each if t == OFFSETS])
        for each in producer.committed
    ]


def test_the_former_instance_is_fenced_before_the_offsets_are_read(run: Any) -> None:
    producer, _reports = run(stored=4)
    until(lambda: len(producer.committed) == 3)
    assert TransactionalProducer.calls[:3] == ["init", "read", "begin"]
    assert producer.options["transactional.id"] == "unit-c-0"
    assert batches(producer) == [([b"4", b"5"], [6]), ([b"6", b"7"], [8]), ([b"8", b"9"], [10])]


def test_a_transaction_that_kafka_aborts_is_written_once_more(run: Any) -> None:
    TransactionalProducer.problems = {
        "commit": [problem(KafkaError._TIMED_OUT), problem(KafkaError._STATE, abort=True)]
    }
    producer, reports = run(stored=6)
    until(lambda: len(producer.committed) == 2)
    assert TransactionalProducer.calls[2:8] == ["begin", "commit", "commit", "abort", "begin", "commit"]
    assert batches(producer) == [([b"6", b"7"], [8]), ([b"8", b"9"], [10])]
    assert reports.states == [State.RUNNING]


def test_a_record_that_is_too_large_is_left_out_of_its_transaction_where_errors_are_tolerated(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Source, "start", lambda self, _props: setattr(self, "value", b"x" * 100))
    produce = FakeProducer.produce
    monkeypatch.setattr(
        FakeProducer, "produce", lambda self, *given, **how: too_large(50, partial(produce, self))(*given, **how)
    )
    TransactionalProducer.problems = {"commit": [problem(KafkaError._STATE, abort=True)] * 3}
    producer, reports = run(**{"errors.tolerance": "all"})
    until(lambda: len(producer.committed) == 5)
    assert batches(producer)[2] == ([b"5"], [6])
    assert reports.states == [State.RUNNING]


def test_a_fenced_task_ends_without_a_failure(run: Any) -> None:
    TransactionalProducer.problems = {"commit": [problem(KafkaError.PRODUCER_FENCED)]}
    producer, reports = run()
    until(lambda: reports.states[-1] is State.UNASSIGNED)
    assert producer.committed == []


def test_a_task_that_hears_of_its_fence_while_it_serves_the_producer_ends_without_a_failure(run: Any) -> None:
    TransactionalProducer.problems = {"poll": [problem(KafkaError._FENCED)]}
    producer, reports = run()
    until(lambda: reports.states[-1] is State.UNASSIGNED)
    assert producer.committed == []


def test_a_refused_transaction_fails_the_task(run: Any) -> None:
    refused = KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    TransactionalProducer.problems = {"init": [problem(refused)]}
    _producer, reports = run()
    until(lambda: reports.states[-1] is State.FAILED)
    assert "unit-c-0" in reports.seen[-1][1]


def test_with_an_interval_a_transaction_holds_many_polls(run: Any) -> None:
    how = {"transaction.boundary": "interval", "transaction.boundary.interval.ms": "400"}
    producer, _reports = run(**how)
    until(lambda: producer.committed)
    assert batches(producer) == [([b"%d" % number for number in range(10)], [10])]


def test_only_connectors_that_can_write_in_transactions() -> None:
    class Can(SourceConnector):
        @classmethod
        def task_class(cls) -> Any:
            return Source

        @classmethod
        def exactly_once_support(cls, props: Any) -> bool:
            return props.get("can") != "no"

    enabled = WorkerSettings.from_env({"CONNECTORS_EXACTLY_ONCE_SOURCE_SUPPORT": "enabled"})
    assert not is_exactly_once(Can, {}, SETTINGS)
    assert is_exactly_once(Can, {"exactly.once.support": "required"}, SETTINGS)
    assert is_exactly_once(Can, {}, enabled)
    assert not is_exactly_once(Can, {"can": "no"}, enabled)
    with pytest.raises(ConfigError, match="CONNECTORS_EXACTLY_ONCE_SOURCE_SUPPORT"):
        WorkerSettings.from_env({"CONNECTORS_EXACTLY_ONCE_SOURCE_SUPPORT": "yes"})
