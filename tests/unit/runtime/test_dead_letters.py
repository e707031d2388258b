"""What becomes of a sink's bad records, and what the log tells of them."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from confluent_kafka import KafkaError

from connectors import ConnectError, DataError, SinkRecord
from connectors.runtime import dead_letters
from connectors.runtime.dead_letters import DeadLetters
from connectors.runtime.metrics import REGISTRY, TaskMetrics
from connectors.runtime.state import TaskId
from tests.unit.runtime.fakes import SETTINGS, FakeProducer
from tests.unit.runtime.test_base_config import ToyTask

TASK = TaskId("letters", 0)
TO_TOPIC = {"errors.tolerance": "all", "errors.deadletterqueue.topic.name": "dead"}


def record() -> SinkRecord:
    headers = [("h", b"\xff1")]
    return SinkRecord("t", 3, 7, "k", None, headers, 1_700_000_000_000, b"key-bytes", b"value-bytes", "t")


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(dead_letters, "Producer", FakeProducer)
    monkeypatch.setattr(dead_letters, "create_topic", lambda *_: None)

    def make(**props: str) -> DeadLetters:
        made = DeadLetters(TASK, ToyTask(), props, SETTINGS, TaskMetrics(*TASK))
        made.open()
        return made

    return make


def count(name: str) -> float:
    return REGISTRY.get_sample_value(f"connect_task_error_{name}_total", {"connector": "letters", "task": "0"}) or 0


def test_the_log_names_the_place_and_not_the_record(letters: Any, caplog: pytest.LogCaptureFixture) -> None:
    letters(**TO_TOPIC).report(record(), DataError("bad cheese"))
    assert "t-3@7: bad cheese" in caplog.text
    assert "bytes" not in caplog.text


def test_the_log_shows_the_record_where_it_is_told_to(letters: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    letters(**TO_TOPIC, **{"errors.log.include.messages": "true"}).report(record(), DataError("bad cheese"))
    shown = r"timestamp 1700000000000, key b'key-bytes', value b'value-bytes', headers [('h', b'\xff1')]"
    assert shown in caplog.text


def test_a_record_of_great_length_is_cut_in_the_log(letters: Any, caplog: pytest.LogCaptureFixture) -> None:
    long = record()
    long.raw_value = b"x" * 100_000
    letters(**TO_TOPIC, **{"errors.log.include.messages": "true"}).report(long, DataError("bad cheese"))
    assert len(caplog.text) < 3000
    assert "(100000 bytes)" in caplog.text


def test_tolerated_records_count_as_skipped_and_others_as_failures(letters: Any) -> None:
    skipped, failed = count("total_records_skipped"), count("total_record_failures")
    letters(**TO_TOPIC).report(record(), DataError("bad"))
    assert (count("total_records_skipped"), count("total_record_failures")) == (skipped + 1, failed)
    letters().report(record(), DataError("bad"))
    assert (count("total_records_skipped"), count("total_record_failures")) == (skipped + 1, failed + 1)


def test_a_letter_that_kafka_refuses_counts_and_ends_the_task(letters: Any) -> None:
    refused = count("deadletterqueue_produce_failures")
    made = letters(**TO_TOPIC)
    FakeProducer.made.error = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    made.report(record(), DataError("bad"))
    with pytest.raises(ConnectError, match="dead-letter topic dead: Kafka refused a record"):
        made.settle()
    assert count("deadletterqueue_produce_failures") == refused + 1


def test_without_tolerance_a_letter_is_written_before_the_task_fails(letters: Any) -> None:
    made = letters(**TO_TOPIC | {"errors.tolerance": "none"})
    made.report(record(), DataError("bad"))
    with pytest.raises(DataError, match=r"t-3@7: bad \(errors.tolerance is none\)"):
        made.settle()
    assert FakeProducer.made.sent == [("dead", b"value-bytes", b"key-bytes")]
