"""Outputs, dead letters and pending rows on their way to Kafka.

librdkafka costs about 3 µs a record with a delivery callback, where Faust's send path costs 60 and more.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import confluent_kafka as ck

__all__ = ["ANY_PARTITION", "DeliveryCallback", "Producer", "is_purged"]

log = logging.getLogger(__name__)

DeliveryCallback = Callable[[ck.KafkaError | None, Any], None]

ANY_PARTITION: Final = -1
_POLL_S: Final = 0.005
_IDLE_POLL_S: Final = 0.25
_FULL: Final = 20_000


def is_purged(error: ck.KafkaError) -> bool:
    """Tell whether a record was dropped by us, after its partition went to another owner."""
    return error.code() in (ck.KafkaError._PURGE_QUEUE, ck.KafkaError._PURGE_INFLIGHT)


class Producer:
    """An idempotent producer that lives on the event loop: delivery callbacks run there.

    Args:
        client: Connection options for librdkafka.
        linger_ms: How long to wait for more records of a batch, milliseconds.
    """

    def __init__(self, client: Mapping[str, Any], *, linger_ms: int = 5) -> None:
        self._options = {
            **client,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": linger_ms,
            "compression.type": "lz4",
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 200_000,
            "queue.buffering.max.kbytes": 65_536,
            # A broker may be away for minutes; back-pressure holds the stage meanwhile, nothing is given up.
            "message.timeout.ms": 600_000,
        }
        self._producer: ck.Producer | None = None
        self._overflow: deque[dict[str, Any]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._busy = False
        self._on_room: Callable[[], None] = lambda: None

    def start(self, on_room: Callable[[], None]) -> None:
        """Connect.

        Args:
            on_room: Called after deliveries, when there was no room before.
        """
        self._producer = ck.Producer(self._options, logger=log)
        self._on_room = on_room
        self._timer = asyncio.get_running_loop().call_later(_IDLE_POLL_S, self._poll)

    async def open(self, on_room: Callable[[], None]) -> None:
        """Connect; a coroutine because the transactional producer has to wait here."""
        self.start(on_room)

    @property
    def outstanding(self) -> int:
        """Records handed over and not yet delivered."""
        return len(self._overflow) + (0 if self._producer is None else len(self._producer))

    @property
    def has_room(self) -> bool:
        """Whether the stage may go on producing outputs."""
        return not self._overflow and (self._producer is None or len(self._producer) < _FULL)

    def send(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None,
        headers: Sequence[tuple[str, bytes]],
        on_delivery: DeliveryCallback,
        *,
        partition: int = ANY_PARTITION,
        timestamp_ms: int = 0,
    ) -> None:
        """Hand a record over; never waits.

        Args:
            topic: Where to.
            value: Value, or None for a tombstone.
            key: Key, or None.
            headers: Headers.
            on_delivery: Called on the event loop with an error or None, and librdkafka's message.
            partition: Which, or -1 for the partitioner's choice.
            timestamp_ms: Kafka timestamp, 0 for now.

        Raises:
            KafkaException: librdkafka refuses the record itself, e.g. because it is too large.
        """
        record = {
            "topic": topic,
            "value": value,
            "key": key,
            "headers": headers or None,
            "partition": partition,
            "timestamp": timestamp_ms,
            "on_delivery": on_delivery,
        }
        self._enqueue(record)

    async def flush(self, timeout_s: float) -> bool:
        """Wait until everything handed over so far is answered; false if the time is up first."""
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while self.outstanding:
            if loop.time() > end:
                return False
            if self._producer is not None:
                # Runs no callback by itself that _poll would not run; linger is cut short.
                self._producer.flush(0)
            self._drain()
            await asyncio.sleep(_POLL_S)
        return True

    def purge(self) -> None:
        """Drop what is not delivered; its callbacks get an error for which `is_purged` is true."""
        self._overflow.clear()
        if self._producer is not None:
            self._producer.purge()

    def close(self) -> None:
        """Stop; what is not delivered is dropped, for the next owner to do again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.purge()
        if self._producer is not None:
            self._producer.flush(0)
            self._producer = None

    def _enqueue(self, record: dict[str, Any]) -> None:
        if self._overflow:
            self._overflow.append(record)
        else:
            self._hand_over(record)
        if not self._busy:
            self._poll_soon()

    def _hand_over(self, record: dict[str, Any]) -> None:
        assert self._producer is not None, "start comes before send"
        try:
            self._producer.produce(**record)
        except BufferError:
            self._overflow.append(record)

    def _poll_soon(self) -> None:
        if self._timer is not None:
            self._busy = True
            self._timer.cancel()
            self._timer = asyncio.get_running_loop().call_later(_POLL_S, self._poll)

    def _poll(self) -> None:
        had_room = self.has_room
        self._drain()
        self._busy = self.outstanding > 0
        self._timer = asyncio.get_running_loop().call_later(_POLL_S if self._busy else _IDLE_POLL_S, self._poll)
        if not had_room and self.has_room:
            self._on_room()

    def _serve(self, producer: ck.Producer) -> None:
        """Have delivery callbacks called."""
        producer.poll(0)

    def _drain(self) -> None:
        if self._producer is None:
            return
        self._serve(self._producer)
        for _ in range(len(self._overflow)):
            before = len(self._overflow)
            record = self._overflow.popleft()
            self._hand_over(record)
            if len(self._overflow) == before:
                self._overflow.rotate(1)  # still full: back to the head, order kept
                return
