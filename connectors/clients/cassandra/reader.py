"""Reads of one row by its key: several in a request, equal keys once.

Keys that are asked for in one tick of the event loop, or while all permits are taken, and that differ in one column of
the partition key go out as one `IN`: a row costs a fraction of a single request then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

from connectors.api.errors import DataError
from connectors.clients.cassandra.client import CassandraClient
from connectors.clients.cassandra.schema import TableSchema, quote
from connectors.clients.cassandra.statements import bound, copied, routing_key
from connectors.clients.cassandra.types import Encode, compile_encoder

__all__ = ["Key", "Row", "RowReader"]

Key = tuple[bytes, ...]
"""Encoded key: the partition key, then clustering columns where given."""

Row = tuple[Any, ...]
"""Values of the columns read; timestamps are milliseconds since 1970."""

Waiting = dict[Key, list[asyncio.Future[Row | None]]]

_MOST_KEYS: Final = 50
# Types whose values, read back, encode to the bytes they were asked by.
_GATHERED: Final = frozenset(
    {"text", "varchar", "ascii", "tinyint", "smallint", "int", "bigint", "varint", "uuid", "timeuuid", "timestamp"}
)


class RowReader:
    """Reads the first row under a key: the only one, or the newest by the first clustering column.

    Args:
        client: Client to read with.
        schema: The table.
        columns: Columns to read, exact names.
        key: Key columns given, exact names: the partition key in its order, then clustering columns in theirs.
        gather: Whether keys may share a request.
    """

    def __init__(
        self,
        client: CassandraClient,
        schema: TableSchema,
        columns: Sequence[str],
        key: Sequence[str],
        *,
        gather: bool = True,
    ) -> None:
        self._gather = gather
        self._client = client
        self._schema = schema
        self._columns = tuple(columns)
        self._key = tuple(key)
        self._encoders: tuple[Encode, ...] = tuple(
            compile_encoder(schema.label, name, schema.columns[name], _stored_micros) for name in key
        )
        self._partition_size = len(schema.partition_key)
        self._single: Any = None
        self._gathering: list[Any] = []
        self._queue: Waiting = {}
        self._alone: Waiting = {}
        self._pump: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """Prepare the statements.

        Raises:
            ConnectError: By what the caller must do, see `translate`.
        """
        order = "" if self._in_order else f" ORDER BY {quote(self._schema.clustering[0])} DESC"
        where = [f"{quote(name)} = ?" for name in self._key]
        self._single = await self._client.prepare(
            f"SELECT {self._selected(self._columns)} FROM {self._schema.cql} WHERE {' AND '.join(where)}{order} LIMIT 1"
        )
        if (
            not self._gather
            or not self._in_order
            or any(self._schema.columns[name] not in _GATHERED for name in self._key)
        ):
            return  # what is read cannot be told apart by key, or not be sorted
        selected = self._selected(self._key + self._columns)
        for index in range(self._partition_size):
            some = [*where[:index], f"{quote(self._key[index])} IN ?", *where[index + 1 :]]
            cql = f"SELECT {selected} FROM {self._schema.cql} WHERE {' AND '.join(some)} PER PARTITION LIMIT 1"
            self._gathering.append(await self._client.prepare(cql))

    def read(self, key: Key) -> asyncio.Future[Row | None]:
        """Ask for a row soon. Called on the client's event loop.

        Args:
            key: Encoded key.

        Returns:
            The row, or None where there is none; fails with the error of `translate`.
        """
        answer: asyncio.Future[Row | None] = asyncio.get_running_loop().create_future()
        self._queue.setdefault(key, []).append(answer)
        self._start()
        return answer

    def _start(self) -> None:
        # The task starts in the next tick, so that it finds all that this one asks for.
        if self._pump is None or self._pump.done():
            self._pump = asyncio.get_running_loop().create_task(self._send_all())

    @property
    def _in_order(self) -> bool:
        return self._schema.newest_first or len(self._key) > self._partition_size

    def _selected(self, columns: Sequence[str]) -> str:
        # A timestamp may lie beyond what Python's datetime holds; the driver would drop the connection over it.
        return ", ".join(
            f"toUnixTimestamp({quote(name)})" if self._schema.columns[name] == "timestamp" else quote(name)
            for name in columns
        )

    async def _send_all(self) -> None:
        while self._queue or self._alone:
            alone, self._alone = self._alone, {}
            for key, answers in alone.items():
                await self._send(0, {key: answers})
            waiting, self._queue = self._queue, {}
            for index, keys in self._groups(list(waiting)):
                await self._send(index, {key: waiting[key] for key in keys})

    async def _send(self, index: int, waiting: Waiting) -> None:
        keys = list(waiting)
        partition = routing_key(keys[0][: self._partition_size])
        if len(keys) == 1:
            statement = bound(self._single, list(keys[0]), partition)
        else:
            values: list[bytes] = list(keys[0])
            values[index] = _list([key[index] for key in keys])
            statement = bound(self._gathering[index], values, partition)
        try:
            reply = await self._client.send(statement)
        except Exception as error:  # it belongs to those who wait; the pump must go on
            _fail(waiting, error)
        else:
            reply.add_done_callback(partial(self._settle, waiting))

    def _settle(self, waiting: Waiting, reply: asyncio.Future[list[tuple[Any, ...]]]) -> None:
        error = asyncio.CancelledError() if reply.cancelled() else reply.exception()
        if isinstance(error, DataError) and len(waiting) > 1:
            # One key is at fault, and the server does not say which: each is asked for by itself.
            for key, answers in waiting.items():
                self._alone.setdefault(key, []).extend(answers)
            self._start()
            return
        if error is not None:
            _fail(waiting, error)
            return
        try:
            found = self._by_key(waiting, reply.result())
        except Exception as unreadable:  # whatever it is, nobody may wait for ever
            _fail(waiting, unreadable)
            return
        for key, answers in waiting.items():
            for answer in answers:
                if not answer.done():
                    answer.set_result(found.get(key))

    def _by_key(self, waiting: Waiting, rows: list[tuple[Any, ...]]) -> dict[Key, Row]:
        if len(waiting) == 1:
            return dict(zip(waiting, rows, strict=False))
        size = len(self._key)
        encoders = self._encoders
        return {tuple(encode(row[i]) for i, encode in enumerate(encoders)): row[size:] for row in rows}

    def _groups(self, keys: list[Key]) -> Iterator[tuple[int, list[Key]]]:
        """Yield the keys of each request, and the column in which they differ."""
        if len(keys) <= 1 or not self._gathering:
            yield from ((0, [key]) for key in keys)
            return
        index, groups = min(
            ((i, _apart_from(keys, i)) for i in range(self._partition_size)), key=lambda item: len(item[1])
        )
        for alike in groups.values():
            yield from ((index, alike[at : at + _MOST_KEYS]) for at in range(0, len(alike), _MOST_KEYS))


def _apart_from(keys: list[Key], index: int) -> dict[Key, list[Key]]:
    """Group keys that are equal in all columns but one."""
    groups: dict[Key, list[Key]] = {}
    for key in keys:
        groups.setdefault(key[:index] + key[index + 1 :], []).append(key)
    return groups


def _list(items: list[bytes]) -> bytes:
    parts = [len(items).to_bytes(4, "big")]
    for item in items:
        parts += (len(item).to_bytes(4, "big"), item)
    return b"".join(parts)


def _stored_micros(value: Any) -> int:
    return int(value) * 1000


def _fail(waiting: Waiting, error: BaseException) -> None:
    for answers in waiting.values():
        for answer in answers:
            if not answer.done():
                answer.set_exception(copied(error))
