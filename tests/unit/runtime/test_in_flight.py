"""The queue of records that Kafka has not acknowledged yet."""

from __future__ import annotations

from typing import Any

from confluent_kafka import KafkaError
from hypothesis import given
from hypothesis import strategies as st

from connectors.api.record import RecordMetadata, SourceRecord
from connectors.runtime.in_flight import InFlight, Sent

PARTITION = {"p": 1}


class Owner:
    """Keeps what it is told."""

    def __init__(self, *, wants_records: bool = False) -> None:
        self.wants_records = wants_records
        self.acked: list[tuple[SourceRecord, RecordMetadata | None]] = []
        self.failures: list[str] = []

    def refused(self, topic: str, error: KafkaError) -> None:
        self.failures.append(f"{topic}: {error.name()}")


class Delivered:
    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return 2

    def offset(self) -> int:
        return 3


def records(first: int, count: int) -> list[SourceRecord]:
    return [
        SourceRecord("t", b"", source_partition=PARTITION, source_offset={"n": n}) for n in range(first, first + count)
    ]


def offsets(taken: dict[int, SourceRecord]) -> list[Any]:
    return [record.source_offset for record in taken.values()]


def sent(queue: InFlight, owner: Owner, first: int, count: int) -> Sent:
    entry = queue.open(owner)
    hand_over(queue, entry, records(first, count), count)
    return entry


def hand_over(queue: InFlight, entry: Sent, some: list[SourceRecord], count: int) -> None:
    entry.last.update({id(record.source_partition): record for record in some})
    queue.close(entry, len(some), count)


def test_an_entry_that_is_answered_before_it_is_closed_is_taken_after_that() -> None:
    queue, owner = InFlight(), Owner()
    entry = queue.open(owner)
    entry(None, Delivered())
    assert queue.take() == {}
    hand_over(queue, entry, records(0, 2), 2)
    assert queue.take() == {}
    entry(None, Delivered())
    assert offsets(queue.take()) == [{"n": 1}]
    assert (len(queue), queue.taken) == (0, 2)


def test_records_of_which_nothing_is_sent_move_the_offset_with_those_before_them() -> None:
    queue, owner = InFlight(), Owner()
    entry = queue.open(owner)
    hand_over(queue, entry, records(0, 3), 1)
    assert queue.take() == {}
    entry(None, Delivered())
    assert offsets(queue.take()) == [{"n": 2}]


def test_a_refused_record_holds_back_all_that_follows() -> None:
    queue, owner = InFlight(), Owner()
    first, second = sent(queue, owner, 0, 2), sent(queue, owner, 2, 1)
    first(KafkaError(KafkaError.INVALID_RECORD), Delivered())
    for answer in (first, second):
        answer(None, Delivered())
    assert queue.take() == {}
    assert owner.failures == ["t: INVALID_RECORD"]


def test_each_partition_of_the_source_keeps_its_own_offset() -> None:
    queue, owner = InFlight(), Owner()
    other = SourceRecord("t", b"", source_partition={"p": 2}, source_offset={"n": 9})
    entry = queue.open(owner)
    hand_over(queue, entry, [*records(0, 1), other], 0)
    assert offsets(queue.last()) == [{"n": 0}, {"n": 9}]
    assert offsets(queue.take()) == [{"n": 0}, {"n": 9}]
    assert queue.last() == {}


def test_an_owner_that_wants_records_learns_where_they_are() -> None:
    queue, owner = InFlight(), Owner(wants_records=True)
    (record,) = records(0, 1)
    queue.add(owner, record)(None, Delivered())
    assert owner.acked == [(record, RecordMetadata("t", 2, 3))]


@given(st.lists(st.integers(1, 4), max_size=8), st.data())
def test_no_offset_passes_a_record_without_its_answer(sizes: list[int], data: st.DataObject) -> None:
    queue, owner = InFlight(), Owner()
    first = 0
    answers: list[tuple[int, Sent]] = []
    entries: list[tuple[int, Sent]] = []
    for size in sizes:
        entry = sent(queue, owner, first, size)
        entries.append((first + size, entry))
        answers += [(first, entry)] * size
        first += size
    missing = {id(entry): size for size, (_, entry) in zip(sizes, entries, strict=True)}
    stored = 0
    for _, entry in data.draw(st.permutations(answers)):
        entry(None, Delivered())
        missing[id(entry)] -= 1
        whole = 0
        for end, each in entries:
            if missing[id(each)]:
                break
            whole = end
        found = offsets(queue.take())
        assert found == ([{"n": whole - 1}] if whole > stored else [])
        stored = max(stored, whole)
    assert len(queue) == 0
