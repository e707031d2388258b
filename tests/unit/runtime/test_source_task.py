from __future__ import annotations

import json
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from connectors import ConfigError, RecordMetadata, RetriableError, SourceRecord, SourceTask
from connectors.formats.text import BytesConverter
from connectors.runtime import source_letters, source_task, topic_creation
from connectors.runtime.source_context import StoredOffsets
from connectors.runtime.source_task import SourceTaskRunner
from connectors.runtime.state import State
from connectors.runtime.threads import DaemonThread
from tests.unit.runtime.fakes import FakeProducer, Reports, ended, spec, until

OFFSETS = "unit-offsets"


class Source(SourceTask):
    """Counts; every second record of a batch carries no offset."""

    def __init__(self) -> None:
        self.next = 0
        self.limit = 10
        self.failures: list[Exception] = []
        self.start_failures: list[Exception] = []
        self.value: Any = None
        self.commits = 0
        self.hang = threading.Event()
        self.hangs = False
        self.stopped = False

    def start(self, props: Mapping[str, str]) -> None:
        if self.start_failures:
            raise self.start_failures.pop(0)
        stored = self.context.offset_storage_reader.offset({"p": 1})
        self.next = 0 if stored is None else stored["n"]

    def poll(self) -> list[SourceRecord] | None:
        if self.hangs:
            self.hang.wait(30)
        if self.failures:
            raise self.failures.pop(0)
        if self.next >= self.limit:
            time.sleep(0.005)
            return None
        number = self.next
        self.next += 2
        value = self.value if self.value is not None and number == 4 else b"%d" % number
        return [
            SourceRecord("t", value, source_partition={"p": 1}),
            SourceRecord("t", b"%d" % (number + 1), source_partition={"p": 1}, source_offset={"n": self.next}),
        ]

    def commit(self) -> None:
        self.commits += 1

    def stop(self) -> None:
        self.stopped = True


class Acked(Source):
    """Wants to know what was acknowledged."""

    def __init__(self) -> None:
        super().__init__()
        self.acked: list[tuple[Any, RecordMetadata | None]] = []

    def commit_record(self, record: SourceRecord, metadata: RecordMetadata | None) -> None:
        self.acked.append((record.value, metadata))


class Running:
    def __init__(self, kind: type[Source], stored: StoredOffsets, **props: str) -> None:
        given = {"offset.flush.interval.ms": "20", "errors.retry.delay.max.ms": "50"} | props
        self.reports = Reports()
        self.runner = SourceTaskRunner(spec(kind, **given), self.reports, stored)
        task = self.runner.task
        assert isinstance(task, Source)
        self.task = task
        self.numbers = [b"%d" % number for number in range(10)]

    @property
    def producer(self) -> FakeProducer:
        return FakeProducer.made

    def start(self) -> Running:
        self.runner.start()
        until(lambda: bool(self.reports.states))
        return self

    def stored(self) -> list[int]:
        return [json.loads(value)["n"] for value in self.producer.values(OFFSETS)]


class Admin:
    def __init__(self, _options: dict[str, Any]) -> None:
        self.topics = {"t": None}

    def list_topics(self, timeout: float) -> Admin:
        assert timeout > 0
        return self


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(source_task, "Producer", FakeProducer)
    monkeypatch.setattr(topic_creation, "AdminClient", Admin)
    made: list[Running] = []

    def make(kind: type[Source] = Source, stored: StoredOffsets | None = None, **props: str) -> Running:
        made.append(Running(kind, stored or StoredOffsets([]), **props))
        return made[-1]

    yield make
    for each in made:
        each.task.hang.set()
        ended(each.runner)


def test_records_are_sent_in_order_and_the_last_offset_is_stored(running: Any) -> None:
    run = running().start()
    until(lambda: run.stored()[-1:] == [10])
    assert run.producer.values() == run.numbers
    assert ended(run.runner)
    assert run.task.commits == len(run.stored())
    assert run.task.stopped
    assert run.reports.states == [State.RUNNING, State.UNASSIGNED]
    keys = {key for topic, _value, key in run.producer.sent if topic == OFFSETS}
    assert [json.loads(key) for key in keys] == [["c", {"p": 1}]]


def test_no_offset_is_stored_before_all_records_up_to_it_are_acknowledged(running: Any) -> None:
    run = running()
    run.task.limit = 0
    run.start()
    run.producer.acks = False
    run.task.limit = 10
    until(lambda: len(run.producer.waiting) == 10)
    with run.producer.lock:
        late = run.producer.waiting[5:]
        del run.producer.waiting[5:]
    for *_record, delivered in late:  # the later half is acknowledged first
        delivered(None, None)
    time.sleep(0.1)
    assert not [topic for topic, *_ in run.producer.waiting if topic == OFFSETS]
    run.producer.acks = True
    until(lambda: run.stored()[-1:] == [10])


def test_many_small_batches_are_polled_and_sent_without_a_change_of_thread(
    running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit, poll = DaemonThread.submit, Source.poll
    changes, polls = [], []
    monkeypatch.setattr(DaemonThread, "submit", lambda self, *call: (changes.append(call), submit(self, *call))[1])
    monkeypatch.setattr(Source, "poll", lambda self: (polls.append(self.next), time.sleep(0.001), poll(self))[-1])
    run = running(**{"offset.flush.interval.ms": "300"})
    run.task.limit = 400
    run.start()
    until(lambda: run.stored()[-1:] == [400])
    assert run.producer.values() == [b"%d" % number for number in range(400)]
    assert len(polls) > 10 * len(changes)


def test_a_refused_record_ends_the_polls_and_what_follows_it_is_not_stored(running: Any) -> None:
    run = running(**{"offset.flush.interval.ms": "60000"})
    run.task.limit = 1_000_000
    run.start()
    until(lambda: run.producer.sent)
    run.runner.refused("t", KafkaError(KafkaError.INVALID_RECORD))
    until(lambda: run.reports.states[-1] is State.FAILED)
    assert run.stored() == []
    assert run.task.next < 1_000_000


def test_the_task_goes_on_where_the_stored_offset_says(running: Any) -> None:
    run = running(stored=StoredOffsets([({"p": 1}, {"n": 6})])).start()
    until(lambda: run.stored()[-1:] == [10])
    assert run.producer.values() == run.numbers[6:]


def test_a_record_that_kafka_refuses_fails_the_task_and_its_offset_is_not_stored(running: Any) -> None:
    run = running()
    run.task.limit = 0
    run.start()
    run.producer.error = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
    run.task.limit = 2
    until(lambda: run.reports.states[-1] is State.FAILED)
    assert "topic t: Kafka refused a record" in run.reports.seen[-1][1]
    assert run.stored() == []


def test_a_full_queue_holds_the_task_back_and_loses_nothing(running: Any) -> None:
    run = running()
    run.task.limit = 0
    run.start()
    run.producer.room = 3
    run.task.limit = 10
    until(lambda: run.stored()[-1:] == [10])
    assert run.producer.values() == run.numbers


def stopped_while_kafka_was_away(run: Running) -> None:
    """Stop a task with three records on their way and no room for more."""
    run.task.limit = 0
    run.start()
    run.producer.acks, run.producer.room = False, 3
    run.task.limit = 10
    until(lambda: len(run.producer.waiting) == 3)
    assert ended(run.runner, 6)


def test_a_stop_while_kafka_is_away_ends_in_time_and_stores_nothing(running: Any) -> None:
    run = running()
    stopped_while_kafka_was_away(run)
    assert run.stored() == []


def test_a_task_that_has_stopped_holds_neither_its_producer_nor_records(running: Any) -> None:
    run = running()
    stopped_while_kafka_was_away(run)
    producer = weakref.ref(run.producer)
    del FakeProducer.made
    assert producer() is None  # with no help of the garbage collector
    assert not run.runner._inflight


def test_a_source_that_is_away_is_polled_again(running: Any) -> None:
    run = running()
    run.task.failures = [RetriableError("waits for MySQL at h:1")]
    run.start()
    until(lambda: run.stored()[-1:] == [10])
    assert (State.RUNNING, "waits for MySQL at h:1") in run.reports.seen


def test_a_start_that_fails_for_now_is_made_again_and_the_status_tells(running: Any) -> None:
    run = running()
    run.task.start_failures = [RetriableError("waits for MySQL at h:1")]
    run.start()
    until(lambda: run.stored()[-1:] == [10])
    assert run.reports.seen[:2] == [(State.UNASSIGNED, "waits for MySQL at h:1"), (State.RUNNING, "")]


def test_a_wrong_configuration_is_one_sentence(running: Any) -> None:
    run = running()
    run.task.start_failures = [ConfigError("log_bin is OFF")]
    run.start()
    assert run.reports.seen == [(State.FAILED, "log_bin is OFF")]
    until(lambda: run.task.stopped)


def test_a_value_that_cannot_be_converted_fails_the_task(running: Any) -> None:
    run = running()
    run.task.value = "no bytes"
    run.start()
    until(lambda: run.reports.states[-1] is State.FAILED)
    assert "topic t" in run.reports.seen[-1][1]
    assert run.stored() in ([], [2], [4], [2, 4])


def test_with_tolerance_it_is_left_out_and_the_rest_goes_on(running: Any) -> None:
    run = running(Acked, **{"errors.tolerance": "all"})
    run.task.value = "no bytes"
    run.start()
    until(lambda: run.stored()[-1:] == [10])
    assert run.producer.values() == [value for value in run.numbers if value != b"4"]
    until(lambda: len(run.task.acked) == 10)
    assert [value for value, place in run.task.acked if place is None] == ["no bytes"]


def test_a_conversion_that_fails_for_now_is_made_again_and_loses_nothing(
    running: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [RetriableError("the registry is away")] * 2

    def from_connect(_self: Any, _topic: str, _headers: Any, value: Any) -> Any:
        if value == b"4" and failures:
            raise failures.pop()
        return value

    monkeypatch.setattr(BytesConverter, "from_connect", from_connect)
    monkeypatch.setattr(BytesConverter, "passes_bytes", False)
    run = running(**{"errors.tolerance": "all"}).start()
    until(lambda: run.stored()[-1:] == [10])
    assert run.producer.values() == run.numbers
    assert not failures


def test_a_converter_made_of_one_that_passes_bytes_is_asked_unless_it_says_that_it_passes_them_too() -> None:
    class Upper(BytesConverter):
        def from_connect(self, topic: str, headers: Any, value: Any) -> bytes | None:
            return bytes(value).upper()

    class Named(BytesConverter):
        pass

    assert [each.passes_bytes for each in (BytesConverter, Upper, Named)] == [True, False, True]


def test_a_poll_that_hangs_is_left_behind_and_what_is_acknowledged_is_stored(running: Any) -> None:
    run = running()
    run.task.limit = 0
    run.start()
    run.task.limit = 4
    until(lambda: run.producer.values() == run.numbers[:4])
    run.task.hangs = True
    begun = time.monotonic()
    run.runner.stop()
    run.runner.join(5)
    assert time.monotonic() - begun < 5.5
    assert run.stored()[-1:] == [4]
    run.task.hang.set()
    time.sleep(0.1)
    assert run.producer.values() == run.numbers[:4]


def test_nothing_is_sent_while_paused(running: Any) -> None:
    run = running()
    run.runner.start(paused=True)
    until(lambda: run.reports.states == [State.PAUSED])
    time.sleep(0.05)
    assert run.task.next == 0
    run.runner.pause(False)
    until(lambda: run.stored()[-1:] == [10])


def too_large(limit: int, produce: Any) -> Any:
    """Return what refuses values of more bytes, as librdkafka does before it sends them."""

    def checked(topic: str, value: Any = None, *given: Any, **options: Any) -> None:
        if value is not None and len(value) > limit:
            raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        produce(topic, value, *given, **options)

    return checked


@pytest.mark.parametrize("topic", ["", "dead"])
def test_with_tolerance_a_record_that_is_too_large_is_left_out_and_the_rest_goes_on(
    running: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, topic: str
) -> None:
    monkeypatch.setattr(source_letters, "create_topic", lambda *_: None)
    policy = {"errors.tolerance": "all"} | ({"errors.deadletterqueue.topic.name": topic} if topic else {})
    run = running(Acked, **policy)
    run.task.limit = 0
    run.task.value = b"x" * 100
    run.start()
    run.producer.produce = too_large(50, run.producer.produce)
    run.task.limit = 10
    until(lambda: run.stored()[-1:] == [10])
    assert run.producer.values() == [value for value in run.numbers if value != b"4"]
    assert run.producer.values("dead") == []
    until(lambda: len(run.task.acked) == 10)
    assert [value for value, place in run.task.acked if place is None] == [b"x" * 100]
    assert "too large for Kafka" in caplog.text


def test_without_tolerance_a_record_that_is_too_large_fails_the_task(running: Any) -> None:
    run = running()
    run.task.limit = 0
    run.task.value = b"x" * 100
    run.start()
    run.producer.produce = too_large(50, run.producer.produce)
    run.task.limit = 10
    until(lambda: run.reports.states[-1] is State.FAILED)
    assert "producer.override.message.max.bytes" in run.reports.seen[-1][1]
    assert run.stored() in ([], [2], [4], [2, 4])


class Mixed(Source):
    """Sends a record that must be converted, and one of which nothing is sent, between others."""

    def poll(self) -> list[SourceRecord] | None:
        found = super().poll()
        for record in found or ():
            if record.value == b"4":
                record.key = "4"
            if record.value == b"6":
                record.topic = ""
        return found


def test_records_of_all_kinds_in_a_batch_keep_their_order(running: Any) -> None:
    run = running(Mixed, **{"key.converter": "string"}).start()
    until(lambda: run.stored()[-1:] == [10])
    assert run.producer.values() == [number for number in run.numbers if number != b"6"]
    assert {key for topic, value, key in run.producer.sent if value == b"4"} == {b"4"}


def test_a_plugin_learns_of_its_commits_while_it_is_polled_on_and_on(running: Any) -> None:
    run = running().start()
    for limit in (10, 20, 30):
        run.task.limit = limit
        until(lambda limit=limit: run.stored()[-1:] == [limit], 2)
        until(lambda: run.task.commits == len(run.stored()), 2)
