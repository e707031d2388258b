"""Writes sent together: fewer requests per row are what makes Cassandra's Python client fast.

Batches are unlogged: every statement in them stands for itself, has its own timestamp and may be repeated, so a batch
promises nothing more than its statements do one by one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, Protocol

from connectors.api.errors import DataError, RetriableError
from connectors.clients.cassandra.client import CassandraClient
from connectors.clients.cassandra.errors import SchemaChangedError
from connectors.clients.cassandra.requests import WriteRequest
from connectors.clients.cassandra.ring import Replicas
from connectors.clients.cassandra.statements import Write, copied

__all__ = ["BATCHING", "Batching", "Pending", "WriteBatches", "group"]

Batching = Literal["none", "partition", "replica"]

BATCHING: Final[tuple[Batching, ...]] = ("none", "partition", "replica")
"""One row a request; rows of one partition together; also rows with the same replicas together."""

MAX_ROWS: Final[dict[Batching, int]] = {"none": 1, "partition": 50, "replica": 10}
MAX_BYTES: Final[dict[Batching, int]] = {"none": 0, "partition": 65_536, "replica": 4_800}
"""Over several partitions the server warns, in its log and ours, above 10 partitions and 5 KiB, and refuses above
50 KiB. Larger batches were hardly faster."""

_OWN_BATCH: Final = 4
"""From this many waiting rows a partition gets batches of its own, which may be larger and cost the server less."""

Answered = Callable[[Sequence[Write], float], None]
"""Takes the writes of a request that was answered, and the seconds that it took."""


class _Owner(Protocol):
    def settle(self, index: int, error: BaseException | None) -> None: ...


@dataclass(slots=True)
class Pending:
    """A write, and who is told of its end under which number."""

    write: Write
    owner: _Owner
    index: int = 0


class WriteBatches:
    """Sends writes, several in a request where that is allowed.

    What is submitted in one tick of the loop, or while all permits are taken, goes out together.

    Args:
        client: Client to send with.
        batching: What may go into one request.
        answered: Told of each request that succeeded.
    """

    def __init__(self, client: CassandraClient, batching: Batching, answered: Answered | None = None) -> None:
        self._client = client
        self._batching = batching
        self._answered = answered
        self._queue: list[Pending] = []
        self._singles: deque[Pending] = deque()
        self._pump: asyncio.Task[None] | None = None
        # When the last success came, and the error of a request since whose sending nothing was heard.
        self._heard = 0.0
        self._silence: BaseException | None = None

    def submit(self, write: Write) -> asyncio.Future[None]:
        """Send a write soon. Called on the client's event loop.

        Returns:
            Done once the write is durable by the consistency level; fails with the error of `translate`.
        """
        one = _One(asyncio.get_running_loop().create_future())
        self._queue.append(Pending(write, one))
        self._wake()
        return one.done

    def submit_all(self, writes: Sequence[Write]) -> asyncio.Future[dict[int, BaseException]]:
        """Send writes soon. Called on the client's event loop.

        Returns:
            Done once each is durable or failed: the errors, by the place of the write.
        """
        owner = _Many(len(writes), asyncio.get_running_loop().create_future())
        self._queue += [Pending(write, owner, index) for index, write in enumerate(writes)]
        self._wake()
        return owner.done

    def _wake(self) -> None:
        # The task starts in the next tick, so that it finds all that this one submits.
        if self._pump is None or self._pump.done():
            self._pump = asyncio.get_running_loop().create_task(self._send_all())

    async def _send_all(self) -> None:
        while self._queue or self._singles:
            waiting, self._queue = self._queue, []
            self._silence = None
            try:
                batches = group(waiting, self._replicas, self._batching)
            except Exception as error:  # whatever it is, nobody may wait for ever
                _fail(waiting, error)
                continue
            for batch in batches:
                await self._send(batch)
            while self._singles:
                await self._send([self._singles.popleft()])

    async def _send(self, batch: list[Pending]) -> None:
        if self._silence is not None:
            # Each would wait for the same answer in vain; together, longer than Kafka waits for a consumer.
            _fail(batch, self._silence)
            return
        writes = [pending.write for pending in batch]
        request = WriteRequest(writes, self._client.settings.consistency_level, self._replicas(batch[0]))
        try:
            reply = await self._client.write(request)
        except Exception as error:  # it belongs to those who wait; the pump must go on
            _fail(batch, error)
        else:
            reply.add_done_callback(partial(self._settle, batch, writes, time.monotonic()))

    def _settle(self, batch: list[Pending], writes: list[Write], sent: float, reply: asyncio.Future[Any]) -> None:
        error = asyncio.CancelledError() if reply.cancelled() else reply.exception()
        if error is None:
            self._heard = time.monotonic()
            if self._answered is not None:
                self._answered(writes, self._heard - sent)
            for pending in batch:
                pending.owner.settle(pending.index, None)
        elif isinstance(error, DataError) and len(batch) > 1:
            # The server refused the whole batch for one of its rows: one by one, the others are stored.
            self._singles.extend(batch)
            self._wake()
        else:
            if self._heard < sent and isinstance(error, RetriableError) and not isinstance(error, SchemaChangedError):
                self._silence = error
            _fail(batch, error)

    def _replicas(self, pending: Pending) -> Replicas | None:
        write = pending.write
        return self._client.replicas(write.table.schema.keyspace, write.partition)


def group(
    pending: Iterable[Pending], replicas: Callable[[Pending], Replicas | None], batching: Batching
) -> list[list[Pending]]:
    """Return batches within the limits of rows and bytes; a row above the limit stands alone.

    Args:
        pending: What waits.
        replicas: Tells who holds a write.
        batching: What may go together.
    """
    if batching == "none":
        return [[one] for one in pending]
    partitions: dict[tuple[int, bytes], list[Pending]] = {}
    for one in pending:
        write = one.write
        where = id(write.table), write.partition
        same = partitions.get(where)
        if same is None:
            partitions[where] = [one]
        else:
            same.append(one)
    batches = _Filling("partition")
    shared = _Filling("replica")
    for where, rows in partitions.items():
        held_by = replicas(rows[0]) if batching == "replica" and len(rows) < _OWN_BATCH else None
        for one in rows:
            if held_by is None:
                batches.add(where, one)
            else:
                shared.add((one.write.table.schema.keyspace, held_by), one)
    return batches.full + shared.full


class _Filling:
    """Batches that are being filled, one for each place at a time."""

    def __init__(self, batching: Batching) -> None:
        self.full: list[list[Pending]] = []
        self._most, self._limit = MAX_ROWS[batching], MAX_BYTES[batching]
        self._open: dict[Hashable, tuple[list[Pending], int]] = {}

    def add(self, where: Hashable, one: Pending) -> None:
        size = one.write.size
        batch, used = self._open.get(where, (None, 0))
        if batch is None or len(batch) >= self._most or used + size > self._limit:
            batch, used = [], 0
            self.full.append(batch)
        batch.append(one)
        self._open[where] = batch, used + size


class _One:
    """Waits for one write."""

    __slots__ = ("done",)

    def __init__(self, done: asyncio.Future[None]) -> None:
        self.done = done

    def settle(self, _index: int, error: BaseException | None) -> None:
        if self.done.done():
            return  # its caller was cancelled
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class _Many:
    """Waits for many writes."""

    __slots__ = ("_errors", "_left", "done")

    def __init__(self, count: int, done: asyncio.Future[dict[int, BaseException]]) -> None:
        self.done = done
        self._left = count
        self._errors: dict[int, BaseException] = {}
        if not count:
            done.set_result({})

    def settle(self, index: int, error: BaseException | None) -> None:
        self._left -= 1
        if error is not None:
            self._errors[index] = error
        if not self._left and not self.done.done():
            self.done.set_result(self._errors)


def _fail(batch: list[Pending], error: BaseException) -> None:
    for pending in batch:
        pending.owner.settle(pending.index, copied(error))
