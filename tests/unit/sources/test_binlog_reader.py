"""What the reader of the binlog hands on, and when; with a channel that plays events built by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from connectors import FatalError, RetriableError
from connectors.sources.mysql.binlog_reader import BinlogReader
from connectors.sources.mysql.plan import Plan
from connectors.sources.mysql.position import Position
from tests.unit.sources.binlog import Log


class Channel:
    """Gives its events, then the error; without an error it waits until it is interrupted."""

    def __init__(self, events: Iterator[bytes], error: Exception | None = None, *, together: bool = True) -> None:
        self._events, self._error, self._together = events, error, together
        self._next = next(events, None)
        self._interrupted = threading.Event()

    def open(self) -> tuple[str, int]:
        return "binlog.000001", 4

    @property
    def has_event(self) -> bool:
        return self._together and self._next is not None

    def read(self) -> bytes:
        if self._next is None:
            if self._error is not None:
                raise self._error
            self._interrupted.wait()
            raise RetriableError("interrupted")
        event, self._next = self._next, next(self._events, None)
        return event

    def interrupt(self) -> None:
        self._interrupted.set()

    def close(self) -> None:
        self._interrupted.set()


@pytest.fixture
def reading(request: pytest.FixtureRequest) -> Any:
    def start(channel: Channel, *, max_batch: int = 100) -> BinlogReader:
        plan, position = Plan({"server": "s"}), Position("binlog.000001", 4)
        made: Any = lambda _: channel  # noqa: E731
        reader = BinlogReader(plan, position, made, max_batch=max_batch, max_queue_bytes=1000)
        request.addfinalizer(reader.stop)
        reader.start()
        return reader

    return start


def transactions(log: Log, count: int) -> Iterator[bytes]:
    yield log.format()
    for number in range(count):
        yield from (
            log.gtid(number + 1, 1),
            log.query("BEGIN"),
            log.table_map("t"),
            log.insert((number, "a")),
            log.xid(),
        )


def keys(records: Any) -> list[bytes]:
    return [record.key for record in records or () if record.topic]


def test_records_before_an_error_come_before_it_and_the_position_is_behind_them(reading: Any) -> None:
    log = Log()
    reader = reading(Channel(transactions(log, 3), RetriableError("gone")))
    found: list[bytes] = []
    while len(found) < 3:
        found += keys(reader.get(5))
    with pytest.raises(RetriableError, match="gone"):
        reader.get(5)
    assert found == [b'{"id":"0"}', b'{"id":"1"}', b'{"id":"2"}']
    assert (reader.position.pos, reader.position.events) == (log.pos, 0)
    with pytest.raises(RetriableError, match="gone"):
        reader.get(5)


def test_an_event_that_cannot_be_read_ends_the_reader_behind_the_records_before_it(reading: Any) -> None:
    log = Log()
    events = [*transactions(log, 1), log.event(200, b""), *transactions(log, 1)]
    reader = reading(Channel(iter(events)))
    assert keys(reader.get(5)) == [b'{"id":"0"}']
    with pytest.raises(FatalError, match="event type 200 is not known"):
        reader.get(5)


def test_what_is_there_is_returned_up_to_the_largest_batch(reading: Any) -> None:
    reader = reading(Channel(transactions(Log(), 7)), max_batch=3)
    batches = []
    while sum(map(len, batches)) < 7:
        batches.append(keys(reader.get(5)))
    assert max(map(len, batches)) == 3
    assert [key for batch in batches for key in batch] == [b'{"id":"%d"}' % n for n in range(7)]


def test_a_change_goes_on_while_the_next_event_is_waited_for(reading: Any) -> None:
    reader = reading(Channel(transactions(Log(), 1), together=False))
    began = time.monotonic()
    while not keys(reader.get(30)):
        assert time.monotonic() - began < 20
    assert time.monotonic() - began < 20
    assert reader.get(0.01) is None


def test_it_returns_in_time_while_events_without_records_come_on_and_on(reading: Any) -> None:
    log = Log()

    def endless() -> Iterator[bytes]:
        yield log.format()
        while True:
            yield log.query("SAVEPOINT a")

    reader = reading(Channel(endless()))
    assert reader.get(0.05) is None
    assert reader.figures()["events_total"] > 1
