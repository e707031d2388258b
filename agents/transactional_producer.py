"""A producer whose records reach readers all together at a commit, or not at all."""

from __future__ import annotations

import asyncio
import logging
import struct
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import uuid4

import confluent_kafka as ck

from agents.producer import Producer
from connectors.api.errors import ConnectError, RetriableError

__all__ = ["AbortedError", "Offsets", "TransactionalProducer", "end_transactions", "group_metadata"]

log = logging.getLogger(__name__)

Offsets = Mapping[tuple[str, int], int]

_CALL_S: Final = 5.0
_PAUSE_S: Final = 0.2
_HANG_S: Final = 30.0
_SLICES: Final = 30
_END_S: Final = 30.0
_LATER_LIMIT: Final = 20_000
_LOST: Final = frozenset(
    {
        ck.KafkaError.ILLEGAL_GENERATION,
        ck.KafkaError.UNKNOWN_MEMBER_ID,
        ck.KafkaError.REBALANCE_IN_PROGRESS,
        ck.KafkaError.FENCED_INSTANCE_ID,
        ck.KafkaError._FENCED,
        ck.KafkaError.PRODUCER_FENCED,
        ck.KafkaError.INVALID_PRODUCER_EPOCH,
    }
)


def group_metadata(group: str, generation: int, member: str) -> bytes:
    """Return a member of a consumer group as librdkafka writes it down.

    Faust's consumer is aiokafka's; librdkafka takes the metadata of its own consumers alone. It keeps them as text,
    which is put together here; `tests/integration/agents/test_exactly_once.py` compares it with librdkafka's own.

    Source: librdkafka, `rd_kafka_consumer_group_metadata_write`.
    """
    return b"CGMDv2:" + struct.pack("=i", generation) + group.encode() + b"\0" + member.encode() + b"\0\x01"


class AbortedError(ConnectError):
    """A transaction cannot be committed.

    Attributes:
        lost_membership: Whether the consumer group has gone on without us.
    """

    def __init__(self, message: str, *, lost_membership: bool = False) -> None:
        super().__init__(message)
        self.lost_membership = lost_membership


class TransactionalProducer(Producer):
    """See `Producer`; there is always an open transaction, except while one is being ended.

    Records handed over between `seal` and the end of the commit wait for the next transaction; the stages go on.

    Args:
        client: Connection options for librdkafka.
        name: First part of the transactional id. What follows is unique for this process and producer, so that no
            other process ends its transactions by chance.
        timeout_s: How long a transaction may stay open before the broker aborts it; so long may Kafka be away.
    """

    def __init__(self, client: Mapping[str, Any], name: str, *, timeout_s: float = 60.0) -> None:
        super().__init__(client)
        self._options |= {
            "transaction.timeout.ms": int(timeout_s * 1000),
            # Not above the transaction's own, as librdkafka demands.
            "message.timeout.ms": int(timeout_s * 1000),
        }
        self._name = name
        self.transactional_id = ""
        self._later: deque[dict[str, Any]] = deque()
        self._sealed = False
        self.dirty = False
        self._fenced = False
        self._stuck = False

    async def open(self, on_room: Callable[[], None]) -> None:
        """Connect and begin the first transaction.

        Raises:
            KafkaException: The broker does not let us.
        """
        self._new_identity()
        self.start(on_room)
        await self._begin_first()

    @property
    def has_room(self) -> bool:
        """Whether the stage may go on producing outputs."""
        return len(self._later) < _LATER_LIMIT if self._sealed else super().has_room

    def seal(self) -> None:
        """Close the transaction to records that are handed over from now on."""
        self._sealed = True

    def check_open(self) -> None:
        """See that a transaction is open and takes records.

        Raises:
            AbortedError: A commit before did not end: what waits for the next transaction would be left out of this
                one, though the ledgers count it as done.
        """
        if self._sealed:
            raise AbortedError("the commit before did not end")

    def unseal(self) -> None:
        """Begin the next transaction with what waits for it."""
        self._sealed = False
        self.dirty = False
        later, self._later = self._later, deque()
        for record in later:
            self._put(record)
        self._on_room()

    async def commit(self, offsets: Offsets, metadata: bytes) -> None:
        """Commit what was sealed, with source offsets, and begin the next transaction.

        Args:
            offsets: (topic, partition) -> next offset to read.
            metadata: Our place in the consumer group, of `group_metadata`.

        Raises:
            AbortedError: It cannot be; `abort` is to be called.
        """
        # With our name: whoever owns the partition next can end a transaction that we leave open (`end_transactions`).
        places = [
            ck.TopicPartition(topic, number, offset, metadata=self.transactional_id)
            for (topic, number), offset in offsets.items()
        ]
        if self._stuck:
            raise AbortedError("Kafka's client has not come back from ending a transaction")
        if self._fenced:
            raise AbortedError("another worker has ended it", lost_membership=True)
        try:
            while not await self.flush(_CALL_S):
                log.warning("Waiting for Kafka to take the records of a transaction")
            if places:
                await self._insist(lambda client: client.send_offsets_to_transaction(places, metadata, _CALL_S))
            await self._insist(lambda client: client.commit_transaction(_CALL_S))
            self._client.begin_transaction()
        except ck.KafkaException as error:
            reason = error.args[0]
            raise AbortedError(reason.str(), lost_membership=reason.code() in _LOST) from None
        self.unseal()

    async def abort(self) -> None:
        """Undo everything since the last commit, also what waits for the next one, and begin anew.

        A producer that was fenced, as the partitions' next owner has ended its transaction, is replaced.
        """
        self._later.clear()
        if self._stuck:
            return  # nothing can be done with this client; the transaction ends by its time-out, or by a successor
        self.purge()
        try:
            await self._insist(lambda client: client.abort_transaction(_CALL_S))
            self._client.begin_transaction()
        except ck.KafkaException as error:
            log.warning("This worker goes on with a new producer: %s", error.args[0].str())
            self._serve(self._client)  # callbacks of what was purged
            self._new_identity()
            self._producer = ck.Producer(self._options, logger=log)
            await self._begin_first()
        self._sealed = False
        self.dirty = False

    def _serve(self, producer: ck.Producer) -> None:
        try:
            super()._serve(producer)
        except ck.KafkaException as error:  # fatal, e.g. fenced: the commit says so too, and there it is handled
            log.debug("The transactional producer: %s", error)

    def _hand_over(self, record: dict[str, Any]) -> None:
        try:
            super()._hand_over(record)
        except ck.KafkaException as error:
            if error.args[0].code() not in (ck.KafkaError._FATAL, ck.KafkaError._FENCED, ck.KafkaError._STATE):
                raise
            # Not the record's fault. It is dropped with the whole transaction, and done again.
            self._fenced = True

    def _new_identity(self) -> None:
        self._fenced = False
        self.transactional_id = f"{self._name}-{uuid4().hex[:12]}"
        self._options["transactional.id"] = self.transactional_id

    async def _begin_first(self) -> None:
        await self._insist(lambda client: client.init_transactions(_CALL_S))
        self._client.begin_transaction()

    def _enqueue(self, record: dict[str, Any]) -> None:
        if self._sealed:
            self._later.append(record)
        else:
            self._put(record)

    def _put(self, record: dict[str, Any]) -> None:
        self.dirty = True
        super()._enqueue(record)

    @property
    def _client(self) -> ck.Producer:
        assert self._producer is not None, "open comes first"
        return self._producer

    async def _called(self, call: Callable[[ck.Producer], Any]) -> None:
        """Make a call in a thread.

        Raises:
            TimeoutError: It does not come back.
        """
        calling = asyncio.ensure_future(asyncio.to_thread(call, self._client))
        # In slices, as a process that was frozen must not take the time that it stood still for the call's.
        for _ in range(_SLICES):
            await asyncio.wait([calling], timeout=_HANG_S / _SLICES)
            if calling.done():
                calling.result()
                return
        raise TimeoutError

    async def _insist(self, call: Callable[[ck.Producer], Any]) -> None:
        """Make a call of the transactional interface, again while Kafka is away; it blocks, so in a thread."""
        while True:
            try:
                await self._called(call)
            except TimeoutError:
                # Seen after a broker was away: the call outlasts its own time limit. Its thread cannot be ended.
                self._stuck = True
                raise AbortedError("Kafka's client does not come back from ending a transaction") from None
            except ck.KafkaException as error:
                reason: ck.KafkaError = error.args[0]
                if not reason.retriable() or reason.txn_requires_abort() or reason.fatal():
                    raise
                log.warning("Waiting for Kafka to end a transaction: %s", reason.str())
                await asyncio.sleep(_PAUSE_S)
            else:
                return


def end_transactions(client: Mapping[str, Any], transactional_id: str) -> None:
    """Abort what a producer has left open, and fence it. Blocks.

    Raises:
        RetriableError: Kafka does not do so now.
    """
    producer = ck.Producer({**client, "transactional.id": transactional_id}, logger=log)
    try:
        producer.init_transactions(_END_S)
    except ck.KafkaException as error:
        raise RetriableError(f"transactions of {transactional_id}: {error.args[0].str()}") from None
