"""Writes sent together: fewer requests per row are what makes Cassandra's Python client fast.

A single request costs this client 100 to 200 microseconds of CPU, a row in a batch a third of it. Batches are unlogged:
every statement in them stands for itself, has its own timestamp and may be repeated, so a batch promises nothing more
than its statements do one by one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

from cassandra.query import BatchStatement, BatchType

from connectors.api.errors import DataError
from connectors.clients.cassandra.client import CassandraClient
from connectors.clients.cassandra.statements import Write, copied

__all__ = ["BATCHING", "Batching", "Pending", "WriteBatches", "group"]

Batching = Literal["none", "partition", "replica"]

BATCHING: Final[tuple[Batching, ...]] = ("none", "partition", "replica")
"""One row a request; rows of one partition together; rows with the same replicas together."""

MAX_ROWS: Final[dict[Batching, int]] = {"none": 1, "partition": 50, "replica": 10}
MAX_BYTES: Final[dict[Batching, int]] = {"none": 0, "partition": 65_536, "replica": 4_800}
"""Over several partitions the server warns, in its log and ours, above 10 partitions and 5 KiB, and refuses above
50 KiB. Larger batches were hardly faster."""


@dataclass(slots=True)
class Pending:
    """A write and who waits for it."""

    write: Write
    done: asyncio.Future[None]


class WriteBatches:
    """Sends writes, several in a request where that is allowed.

    What is submitted in one tick of the loop, or while all permits are taken, goes out together.

    Args:
        client: Client to send with.
        batching: What may go into one request.
    """

    def __init__(self, client: CassandraClient, batching: Batching) -> None:
        self._client = client
        self._batching = batching
        self._queue: list[Pending] = []
        self._singles: deque[Pending] = deque()
        self._pump: asyncio.Task[None] | None = None

    def submit(self, write: Write) -> asyncio.Future[None]:
        """Send a write soon. Called on the client's event loop.

        Returns:
            Done once the write is durable by the consistency level; fails with the error of `translate`.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(Pending(write, done))
        self._wake()
        return done

    def _wake(self) -> None:
        # The task starts in the next tick, so that it finds all that this one submits.
        if self._pump is None or self._pump.done():
            self._pump = asyncio.get_running_loop().create_task(self._send_all())

    async def _send_all(self) -> None:
        while self._queue or self._singles:
            waiting, self._queue = self._queue, []
            try:
                batches = group(waiting, self._place, self._batching)
            except Exception as error:  # whatever it is, nobody may wait for ever
                _fail(waiting, error)
                continue
            for batch in batches:
                await self._send(batch)
            while self._singles:
                await self._send([self._singles.popleft()])

    async def _send(self, batch: list[Pending]) -> None:
        try:
            reply = await self._client.send(self._statement(batch))
        except Exception as error:  # it belongs to those who wait; the pump must go on
            _fail(batch, error)
        else:
            reply.add_done_callback(partial(self._settle, batch))

    def _settle(self, batch: list[Pending], reply: asyncio.Future[Any]) -> None:
        error = asyncio.CancelledError() if reply.cancelled() else reply.exception()
        if error is None:
            for pending in batch:
                if not pending.done.done():
                    pending.done.set_result(None)
        elif isinstance(error, DataError) and len(batch) > 1:
            # The server refused the whole batch for one of its rows: one by one, the others are stored.
            self._singles.extend(batch)
            self._wake()
        else:
            _fail(batch, error)

    def _statement(self, batch: list[Pending]) -> Any:
        if len(batch) == 1:
            return batch[0].write.statement()
        settings = self._client.settings
        statement = BatchStatement(BatchType.UNLOGGED, consistency_level=settings.consistency_level)
        statement.is_idempotent = True
        for pending in batch:
            statement.add(pending.write.statement())
        return statement

    def _place(self, pending: Pending) -> Hashable:
        write = pending.write
        if self._batching == "replica":
            keyspace = write.table.schema.keyspace
            replicas = self._client.replicas(keyspace, write.partition)
            if replicas:
                return keyspace, replicas
        return id(write.table), write.partition


def group(pending: Iterable[Pending], place: Callable[[Pending], Hashable], batching: Batching) -> list[list[Pending]]:
    """Return batches within the limits of rows and bytes, each of one place; a row above the limit stands alone."""
    if batching == "none":
        return [[one] for one in pending]
    most, limit = MAX_ROWS[batching], MAX_BYTES[batching]
    batches: list[list[Pending]] = []
    filling: dict[Hashable, tuple[list[Pending], int]] = {}
    for one in pending:
        where, size = place(one), one.write.size
        batch, used = filling.get(where, (None, 0))
        if batch is None or len(batch) >= most or used + size > limit:
            batch, used = [], 0
            batches.append(batch)
        batch.append(one)
        filling[where] = batch, used + size
    return batches


def _fail(batch: list[Pending], error: BaseException) -> None:
    for pending in batch:
        if not pending.done.done():
            pending.done.set_exception(copied(error))
