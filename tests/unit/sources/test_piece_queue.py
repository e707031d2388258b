from __future__ import annotations

import threading

import pytest

from connectors import RetriableError
from connectors.sources.mysql.piece_queue import PieceQueue


def test_pieces_come_in_their_order_and_are_counted_while_they_wait() -> None:
    queue = PieceQueue[str](1000)
    assert not queue
    queue.put("a", 2, 10)
    queue.put("b", 3, 20)
    assert queue
    assert queue.waiting == (5, 30)
    assert [queue.get(0), queue.get(0), queue.get(0)] == ["a", "b", None]
    assert queue.waiting == (0, 0)


def test_a_full_queue_holds_the_writer_until_something_is_taken() -> None:
    queue = PieceQueue[str](10)
    queue.put("a", 1, 10)
    passed = threading.Event()

    def put() -> None:
        queue.put("b", 1, 10)
        passed.set()

    writer = threading.Thread(target=put)
    writer.start()
    assert not passed.wait(0.1)
    assert queue.get(0) == "a"
    assert passed.wait(5)
    writer.join()
    assert queue.get(0) == "b"


def test_closing_wakes_a_waiting_writer() -> None:
    queue = PieceQueue[str](1)
    queue.put("a", 1, 1)
    writer = threading.Thread(target=queue.put, args=("b", 1, 1))
    writer.start()
    queue.close()
    writer.join(5)
    assert not writer.is_alive()


def test_an_error_comes_after_what_was_put_before_it() -> None:
    queue = PieceQueue[str](10)
    queue.put("a", 1, 1)
    queue.fail(RetriableError("gone"))
    assert queue.get(0) == "a"
    with pytest.raises(RetriableError, match="gone"):
        queue.get(0)
