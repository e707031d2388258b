"""Which writes share a request, and what becomes of each, with a client that the test plays itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC
from typing import Any
from unittest.mock import Mock

import pytest
from cassandra.query import BatchStatement

from connectors.api.errors import DataError, RetriableError
from connectors.clients.cassandra import UNSET, CassandraSettings, TableSchema, TableStatements, Write, WriteBatches
from connectors.clients.cassandra.batches import MAX_BYTES, MAX_ROWS, Pending, group
from connectors.clients.cassandra.reader import RowReader
from connectors.clients.cassandra.requests import WriteRequest
from connectors.clients.cassandra.ring import Replicas
from connectors.formats.temporal import TimestampParser

SCHEMA = TableSchema("k", "t", {"a": "text", "b": "int", "v": "text"}, ("a",), ("b",))
COMPOSITE = TableSchema("k", "u", {"a": "text", "b": "int", "v": "text"}, ("a", "b"))
REPLICAS = Replicas(("h",))


class Prepared:
    """The driver's prepared statement."""

    retry_policy = consistency_level = serial_consistency_level = custom_payload = None
    fetch_size = 1
    is_idempotent = True
    column_metadata: tuple[Any, ...] = ()
    routing_key_indexes = (0,)
    result_metadata = None
    result_metadata_id = b"r"

    def __init__(self, cql: str) -> None:
        self.query_string = cql
        self.query_id = cql.encode()


class Client:
    """Answers each statement with what `answer` returns or raises."""

    def __init__(self, answer: Callable[[Any], Any] = lambda _: []) -> None:
        self.settings = CassandraSettings()
        self.answer = answer
        self.sent: list[Any] = []

    async def prepare(self, cql: str) -> Prepared:
        return Prepared(cql)

    def replicas(self, keyspace: str, routing_key: bytes) -> Replicas:
        return REPLICAS

    async def write(self, request: WriteRequest) -> asyncio.Future[Any]:
        return await self.send(request.statement())

    async def send(self, statement: Any) -> asyncio.Future[Any]:
        self.sent.append(statement)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            future.set_result(self.answer(statement))
        except Exception as error:
            future.set_exception(error)
        return future


async def statements(client: Client, schema: TableSchema = SCHEMA) -> TableStatements:
    result = TableStatements(schema, ["a", "b", "v"], TimestampParser(UTC).micros)
    await result.prepare(client)  # type: ignore[arg-type]
    return result


def sizes(client: Client) -> list[int]:
    return [len(s) if isinstance(s, BatchStatement) else 1 for s in client.sent]


async def submitted(client: Client, batching: Any, rows: list[tuple[Any, ...]]) -> list[Any]:
    table = await statements(client)
    batches = WriteBatches(client, batching)  # type: ignore[arg-type]
    futures = [batches.submit(table.upsert(table.encode(row), 1)) for row in rows]
    return await asyncio.gather(*futures, return_exceptions=True)


async def test_rows_with_the_same_replicas_go_together() -> None:
    client = Client()
    assert await submitted(client, "replica", [(f"a{i}", i, "v") for i in range(25)]) == [None] * 25
    assert sizes(client) == [10, 10, 5]


async def test_rows_of_a_partition_go_together() -> None:
    client = Client()
    await submitted(client, "partition", [(f"a{i % 2}", i, "v") for i in range(120)])
    assert sorted(sizes(client)) == [10, 10, 50, 50]


async def test_many_rows_of_a_partition_get_batches_of_their_own() -> None:
    client = Client()
    await submitted(client, "replica", [("a" if i % 2 else f"b{i}", i, "v") for i in range(100)])
    assert sorted(sizes(client)) == [10, 10, 10, 10, 10, 50]


async def test_errors_of_many_writes_come_by_their_place() -> None:
    def answer(statement: Any) -> list[Any]:
        if statement.values[2] == b"bad":
            raise DataError("refused")
        return []

    client = Client(answer)
    table = await statements(client)
    batches = WriteBatches(client, "none")  # type: ignore[arg-type]
    rows = [("a", 1, "v"), ("b", 2, "bad"), ("c", 3, "v")]
    outcome = await batches.submit_all([table.upsert(table.encode(row), 1) for row in rows])
    assert [(place, str(error)) for place, error in outcome.items()] == [(1, "refused")]
    assert await batches.submit_all([]) == {}


async def test_no_batches() -> None:
    client = Client()
    await submitted(client, "none", [("a", i, "v") for i in range(3)])
    assert sizes(client) == [1, 1, 1]


async def test_a_large_row_goes_alone() -> None:
    client = Client()
    await submitted(client, "replica", [("a", 1, "v"), ("b", 1, "x" * 100_000), ("c", 1, UNSET)])
    assert sizes(client) == [1, 1, 1]


async def test_only_the_refused_row_of_a_batch_fails() -> None:
    def answer(statement: Any) -> list[Any]:
        rows = statement._statements_and_parameters if isinstance(statement, BatchStatement) else [statement]
        values = [row[2] if isinstance(row, tuple) else row.values for row in rows]
        if any(value[2] == b"bad" for value in values):
            raise DataError("refused")
        return []

    client = Client(answer)
    outcome = await submitted(client, "replica", [(f"a{i}", i, "bad" if i == 3 else "v") for i in range(6)])
    assert [isinstance(error, DataError) for error in outcome] == [False, False, False, True, False, False]
    assert sizes(client) == [6, 1, 1, 1, 1, 1, 1]


async def test_a_failure_that_passes_is_told_to_each() -> None:
    def answer(_: Any) -> Any:
        raise RetriableError("down")

    outcome = await submitted(Client(answer), "replica", [("a", i, "v") for i in range(3)])
    assert all(isinstance(error, RetriableError) and str(error) == "down" for error in outcome)
    assert len(set(map(id, outcome))) == 3


class SlowClient(Client):
    """Has one permit, as long as a reply is awaited."""

    def __init__(self, answer: Callable[[Any], Any]) -> None:
        super().__init__(answer)
        self.permit = asyncio.Semaphore(1)

    async def write(self, request: WriteRequest) -> asyncio.Future[Any]:
        await self.permit.acquire()
        reply = await super().write(request)
        reply.add_done_callback(lambda _: self.permit.release())
        return reply


async def test_what_waits_fails_at_once_when_nothing_is_heard() -> None:
    """With one request at a time, each of 50 rows would wait for its time-out."""

    def answer(_: Any) -> Any:
        raise RetriableError("silent")

    client = SlowClient(answer)
    outcome = await submitted(client, "none", [(f"a{i}", i, "v") for i in range(50)])
    assert [str(error) for error in outcome] == ["silent"] * 50
    assert len(client.sent) <= 3


async def test_one_that_fails_among_others_that_are_answered_stops_nobody() -> None:
    def answer(statement: Any) -> list[Any]:
        if statement.values[0] == b"a7":
            raise RetriableError("its replicas are down")
        return []

    client = Client(answer)
    outcome = await submitted(client, "none", [(f"a{i}", i, "v") for i in range(50)])
    assert [i for i, error in enumerate(outcome) if error is not None] == [7]


async def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Write, "size", property(lambda _: 1 / 0))
    outcome = await asyncio.wait_for(submitted(Client(), "replica", [("a", 1, "v"), ("b", 1, "v")]), 5)
    assert all(isinstance(error, ZeroDivisionError) for error in outcome)


async def test_a_cancelled_waiter_leaves_its_neighbours_alone() -> None:
    client = Client()
    table = await statements(client)
    batches = WriteBatches(client, "replica")  # type: ignore[arg-type]
    first, second = (batches.submit(table.upsert(table.encode((a, 1, "v")), 1)) for a in "ab")
    first.cancel()
    await second
    assert sizes(client) == [2]


async def test_groups_respect_both_limits() -> None:
    table = await statements(Client())
    pending = [Pending(table.upsert(table.encode((f"a{i}", i, "v" * (i % 7) * 300)), 1), Mock(), i) for i in range(500)]
    batches = group(pending, lambda _: REPLICAS, "replica")
    assert [one for batch in batches for one in batch] == pending
    assert all(len(batch) <= MAX_ROWS["replica"] for batch in batches)
    assert all(len(batch) == 1 or sum(one.write.size for one in batch) <= MAX_BYTES["replica"] for batch in batches)


async def test_a_tie_is_settled_for_the_whole_row() -> None:
    table = await statements(Client())
    earlier = table.upsert(table.encode(("a", 1, "z")), 5)
    assert earlier.absorb(table.upsert(table.encode(("a", 1, "b")), 5)).cells == table.encode(("a", 1, "b"))
    assert earlier.absorb(table.upsert(table.encode(("a", 1, UNSET)), 5)).cells == table.encode(("a", 1, "z"))
    assert earlier.absorb(table.delete(earlier.key, 5)).cells is None


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ((None, 1, "v"), "key column k.t.a is null"),
        ((UNSET, 1, "v"), "key column k.t.a is missing"),
        (("", 1, "v"), "key column k.t.a is empty"),
        (("x" * 65536, 1, "v"), "65536 bytes"),
        (("a", None, "v"), "key column k.t.b is null"),
    ],
)
async def test_keys_are_checked(row: tuple[Any, ...], text: str) -> None:
    table = await statements(Client())
    with pytest.raises(DataError, match=text):
        table.upsert(table.encode(row), 1)
    with pytest.raises(DataError, match=text):
        table.encode_key(row)


async def test_equal_keys_are_read_once_and_others_together() -> None:
    def answer(statement: Any) -> list[Any]:
        return [(f"a{i}", 7, f"v{i}") for i in range(3)] if b" IN " in statement.prepared_statement.query_id else []

    client = Client(answer)
    reader = RowReader(client, COMPOSITE, ["v"], COMPOSITE.partition_key)  # type: ignore[arg-type]
    await reader.prepare()
    seven, eight = (7).to_bytes(4, "big"), (8).to_bytes(4, "big")
    keys = [(b"a0", seven), (b"a1", seven), (b"a1", seven), (b"a9", seven), (b"a2", eight)]
    assert await asyncio.gather(*map(reader.read, keys)) == [("v0",), ("v1",), ("v1",), None, None]
    assert len(client.sent) == 2


async def test_a_failed_read_is_told_to_each() -> None:
    def answer(_: Any) -> Any:
        raise RetriableError("down")

    reader = RowReader(Client(answer), COMPOSITE, ["v"], COMPOSITE.partition_key)  # type: ignore[arg-type]
    await reader.prepare()
    keys = [(name, (7).to_bytes(4, "big")) for name in (b"a", b"b", b"a")]
    outcome = await asyncio.gather(*map(reader.read, keys), return_exceptions=True)
    assert all(isinstance(error, RetriableError) for error in outcome)


async def test_a_key_that_the_server_refuses_fails_alone() -> None:
    seven = (7).to_bytes(4, "big")

    def answer(statement: Any) -> list[Any]:
        if any(b"bad" in value for value in statement.values):
            raise DataError("refused")
        return [(f"v{len(client.sent)}",)]

    client = Client(answer)
    reader = RowReader(client, COMPOSITE, ["v"], COMPOSITE.partition_key)  # type: ignore[arg-type]
    await reader.prepare()
    keys = [(name, seven) for name in (b"a", b"bad", b"b", b"a")]
    async with asyncio.timeout(5):
        found = await asyncio.gather(*map(reader.read, keys), return_exceptions=True)
    assert isinstance(found[1], DataError)
    assert found[0] == found[3]
    assert not isinstance(found[2], Exception)
    assert len(client.sent) == 4, "together once, then each alone"


async def test_keys_are_read_one_by_one_where_gathering_is_off() -> None:
    client = Client(lambda _: [("v",)])
    reader = RowReader(client, COMPOSITE, ["v"], COMPOSITE.partition_key, gather=False)  # type: ignore[arg-type]
    await reader.prepare()
    keys = [(name, (7).to_bytes(4, "big")) for name in (b"a", b"b", b"a")]
    assert await asyncio.gather(*map(reader.read, keys)) == [("v",)] * 3
    assert len(client.sent) == 2
