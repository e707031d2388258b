from __future__ import annotations

import threading

import pytest

from connectors import RetriableError, SourceRecord
from connectors.sources.mysql.reader import RecordQueue


def batch(count: int) -> list[SourceRecord]:
    return [SourceRecord("t", b"v") for _ in range(count)]


def test_batches_are_joined_up_to_the_limit() -> None:
    queue = RecordQueue(1000)
    for count in (2, 2, 2):
        queue.put(batch(count), 1)
    sizes = [len(queue.get(0, 4) or []) for _ in range(2)]
    assert sizes == [4, 2]
    assert queue.get(0, 4) is None


def test_a_full_queue_holds_the_writer_until_something_is_taken() -> None:
    queue = RecordQueue(10)
    queue.put(batch(1), 10)
    passed = threading.Event()

    def put() -> None:
        queue.put(batch(2), 10)
        passed.set()

    writer = threading.Thread(target=put)
    writer.start()
    assert not passed.wait(0.1)
    assert len(queue.get(0, 1) or []) == 1
    assert passed.wait(5)
    writer.join()
    assert len(queue.get(0, 1) or []) == 2


def test_closing_wakes_a_waiting_writer() -> None:
    queue = RecordQueue(1)
    queue.put(batch(1), 1)
    writer = threading.Thread(target=queue.put, args=(batch(1), 1))
    writer.start()
    queue.close()
    writer.join(5)
    assert not writer.is_alive()


def test_an_error_comes_after_what_was_put_before_it() -> None:
    queue = RecordQueue(10)
    queue.put(batch(1), 1)
    queue.fail(RetriableError("gone"))
    assert len(queue.get(0, 1) or []) == 1
    with pytest.raises(RetriableError, match="gone"):
        queue.get(0, 1)
