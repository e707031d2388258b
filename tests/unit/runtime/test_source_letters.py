from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from connectors import DataError, SourceRecord, SourceTask
from connectors.runtime import source_letters, source_task, topic_creation
from connectors.runtime.source_context import StoredOffsets
from connectors.runtime.source_task import SourceTaskRunner
from connectors.runtime.state import State
from tests.unit.runtime.fakes import FakeProducer, Reports, ended, spec, until

OFFSETS = "unit-offsets"
TO_TOPIC = {"errors.tolerance": "all", "errors.deadletterqueue.topic.name": "dead"}


class Broken(SourceTask):
    """Gives one batch: a good record, a line that is broken, a record without bytes, a good record."""

    go: threading.Event

    def start(self, props: Mapping[str, str]) -> None:
        self.done = False

    def poll(self) -> list[SourceRecord] | None:
        if self.done or not self.go.wait(0.01):
            return None
        self.done = True
        place: dict[str, Any] = {"source_partition": {"file": "a"}}
        error = DataError("a:17: malformed JSON")
        return [
            SourceRecord("t", b"first", source_offset={"n": 1}, **place),
            SourceRecord.errant(b"{brok\xff", error, position="a:17", source_offset={"n": 2}, **place),
            SourceRecord("t", "no bytes", key=b"k", source_offset={"n": 3}, **place),
            SourceRecord("t", b"last", source_offset={"n": 4}, **place),
        ]

    def stop(self) -> None:
        return


class Admin:
    def __init__(self, _options: dict[str, Any]) -> None:
        self.topics = {"t": None}

    def list_topics(self, timeout: float) -> Admin:
        assert timeout > 0
        return self


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setattr(source_task, "Producer", FakeProducer)
    monkeypatch.setattr(topic_creation, "AdminClient", Admin)
    created: list[str] = []
    monkeypatch.setattr(source_letters, "create_topic", lambda _connection, topic, _replicas: created.append(topic))
    made: list[SourceTaskRunner] = []

    def start(*, held: bool = False, **props: str) -> tuple[Reports, list[str]]:
        reports = Reports()
        runner = SourceTaskRunner(
            spec(Broken, **{"offset.flush.interval.ms": "20"} | props), reports, StoredOffsets([])
        )
        made.append(runner)
        Broken.go = threading.Event()
        runner.start()
        until(lambda: reports.states)  # the producer is made by then
        if not held:
            Broken.go.set()
        return reports, created

    yield start
    for runner in made:
        ended(runner)


def stored() -> list[int]:
    return [json.loads(value)["n"] for value in FakeProducer.made.values(OFFSETS)]


def test_bad_records_become_dead_letters_in_their_place_and_the_rest_goes_on(run: Any) -> None:
    _reports, created = run(**TO_TOPIC)
    until(lambda: stored()[-1:] == [4])
    assert created == ["dead"]
    sent = [each for each in FakeProducer.made.sent if each[0] != OFFSETS]
    assert sent == [
        ("t", b"first", None),
        ("dead", b"{brok\xff", None),
        ("dead", b'"no bytes"', b"k"),
        ("t", b"last", None),
    ]


def test_the_headers_of_a_dead_letter_tell_why_and_where(run: Any) -> None:
    run(**TO_TOPIC)
    until(lambda: stored()[-1:] == [4])
    line, value = (FakeProducer.made.headers[each] for each in (b"{brok\xff", b'"no bytes"'))
    assert line["connect.position"] == b"a:17"
    prefix = "__connect.errors."
    found = {name.removeprefix(prefix): text.decode() for name, text in line.items() if name.startswith(prefix)}
    assert "DataError: a:17: malformed JSON" in found.pop("exception.stacktrace")
    assert found == {
        "source.partition": '{"file":"a"}',
        "source.offset": '{"n":2}',
        "connector.name": "c",
        "task.id": "0",
        "stage": "TASK_POLL",
        "class.name": f"{Broken.__module__}.Broken",
        "exception.class.name": "connectors.api.errors.DataError",
        "exception.message": "a:17: malformed JSON",
    }
    assert (value[f"{prefix}stage"], value[f"{prefix}topic"]) == (b"VALUE_CONVERTER", b"t")


def test_without_a_topic_bad_records_are_left_out(run: Any) -> None:
    run(**{"errors.tolerance": "all"})
    until(lambda: stored()[-1:] == [4])
    assert FakeProducer.made.values() == [b"first", b"last"]
    assert FakeProducer.made.values("dead") == []


def test_without_tolerance_the_task_fails_with_the_plugins_sentence(run: Any) -> None:
    reports, _created = run()
    until(lambda: reports.states[-1] is State.FAILED)
    assert "a:17: malformed JSON" in reports.seen[-1][1]
    assert not stored()


def test_no_offset_behind_a_dead_letter_is_stored_before_it_is_acknowledged(run: Any) -> None:
    run(held=True, **TO_TOPIC)
    producer = FakeProducer.made
    producer.acks = False
    Broken.go.set()
    until(lambda: len(producer.waiting) == 4)
    with producer.lock:
        letter = producer.waiting.pop(1)
    producer.acks = True
    until(lambda: stored() == [1])
    with producer.lock:
        producer.waiting.append(letter)
    until(lambda: stored()[-1:] == [4])


def test_the_log_shows_the_record_where_it_is_told_to(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    run(**TO_TOPIC, **{"errors.log.include.messages": "true"})
    until(lambda: stored()[-1:] == [4])
    assert "key b'k', value 'no bytes'" in caplog.text


def test_the_log_does_not_show_it_otherwise(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    run(**TO_TOPIC)
    until(lambda: stored()[-1:] == [4])
    assert "'no bytes'" not in caplog.text
