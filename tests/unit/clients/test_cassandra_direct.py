"""The short way of a write, with a connection that the test plays, and the bytes beside the driver's own."""

from __future__ import annotations

import asyncio
import io
import struct
from datetime import UTC
from threading import Lock
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from cassandra.connection import Connection
from cassandra.metadata import Metadata, Murmur3Token, TokenMap
from cassandra.policies import HostDistance
from cassandra.pool import HostConnection
from cassandra.protocol import BatchMessage, ExecuteMessage
from cassandra.query import BatchType

from connectors.api.errors import RetriableError
from connectors.clients.cassandra import UNSET, TableSchema, TableStatements, Write
from connectors.clients.cassandra.direct import DirectPath, _decode, _encode
from connectors.clients.cassandra.errors import translate
from connectors.clients.cassandra.requests import WriteRequest
from connectors.clients.cassandra.ring import Replicas, Ring
from connectors.formats.temporal import TimestampParser

SCHEMA = TableSchema("k", "t", {"a": "text", "b": "int", "v": "text"}, ("a",), ("b",))
HOST = Mock(endpoint="h:1")
HERE = Replicas((HOST,))
VOID = b"\0\0\0\1"
QUORUM = 6


class Line:
    """A connection of the driver, with its pool."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.is_closed = self.is_defunct = self.orphaned_threshold_reached = False
        self._socket_writable = True
        self.in_flight, self.max_request_id, self.orphaned_threshold = 0, 100, 75
        self.orphaned_request_ids: set[int] = set()
        self._requests: dict[int, Any] = {}
        self.returned: list[bool] = []
        self.is_shutdown, self.host_distance, self.host = False, HostDistance.LOCAL, HOST
        self._connection = self

    def get_request_id(self) -> int:
        return self.in_flight

    def send_msg(self, message: Any, stream: int, callback: Any, encoder: Any, decoder: Any, meta: Any) -> None:
        self._requests[stream] = callback, encoder(message, stream, 5, compressor=None), decoder

    def return_connection(self, connection: Any, stream_was_orphaned: bool = False) -> None:
        self.returned.append(stream_was_orphaned)

    def reply(self, stream: int, opcode: int = 8, body: bytes = VOID) -> None:
        callback, _, decoder = self._requests.pop(stream)
        callback(decoder(5, None, stream, 0, opcode, body, None, None))


class Path:
    """A direct path over one line."""

    def __init__(self, timeout_s: float = 10.0) -> None:
        self.line = Line()
        self.settled: list[int] = []
        self.again: list[WriteRequest] = []
        session = SimpleNamespace(_pools={HOST: self.line})
        self.path = DirectPath(session, lambda: self.settled.append(1), self._again, translated, timeout_s)

    def _again(self, request: Any, future: asyncio.Future[Any]) -> None:
        self.again.append(request)
        future.set_result(None)

    def send(self, request: WriteRequest) -> asyncio.Future[Any] | None:
        return self.path.send(request)


def translated(error: BaseException) -> BaseException:
    return translate(error, "h:1")


async def table() -> TableStatements:
    made = TableStatements(SCHEMA, ["a", "b", "v"], TimestampParser(UTC).micros)

    async def prepare(cql: str) -> Any:
        return SimpleNamespace(query_id=cql.encode()[:6], result_metadata_id=b"result")

    await made.prepare(SimpleNamespace(prepare=prepare))  # type: ignore[arg-type]
    return made


async def request(*values: Any, replicas: Replicas | None = HERE) -> WriteRequest:
    made = await table()
    writes = [made.upsert(made.encode(["a", 1, value]), 7) for value in values or ("v",)]
    return WriteRequest(writes, QUORUM, replicas)


def by_driver(write: Write) -> tuple[bytes, list[Any]]:
    stamp = struct.pack(">q", write.ts_us)
    if write.cells is None:
        return b"DELETE", [stamp, *write.key]
    ttl = [] if write.ttl_s is None else [struct.pack(">i", write.ttl_s)]
    return b"INSERT", [*write.cells, stamp, *ttl]


@pytest.mark.parametrize("version", [4, 5])
async def test_frames_are_those_of_the_driver(version: int) -> None:
    made = await table()
    writes = [
        made.upsert(made.encode(["a", 1, "v"]), 7),
        made.upsert(made.encode(["b", 2, None]), -7, 60),
        made.upsert(made.encode(["c", 3, UNSET]), 9),
        made.delete((b"d", b"\0\0\0\4"), 8),
    ]
    for write in writes:
        name, values = by_driver(write)
        body = io.BytesIO()
        ExecuteMessage(name, values, QUORUM, result_metadata_id=b"result").send_body(body, version)
        assert WriteRequest([write], QUORUM, None).encode(version) == (ExecuteMessage.opcode, body.getvalue())
    body = io.BytesIO()
    queries = [(True, *by_driver(write)) for write in writes]
    BatchMessage(BatchType.UNLOGGED, queries, QUORUM).send_body(body, version)
    assert WriteRequest(writes, QUORUM, None).encode(version) == (BatchMessage.opcode, body.getvalue())


async def test_a_frame_has_the_header_of_the_protocol() -> None:
    made = await request()
    opcode, body = made.encode(4)
    assert _encode(made, 3, 4, None) == struct.pack(">BBhBI", 4, 0, 3, opcode, len(body)) + body
    packed = _encode(made, 3, 4, lambda data: b"packed")
    assert packed == struct.pack(">BBhBI", 4, 1, 3, opcode, 6) + b"packed"


async def test_success_ends_here() -> None:
    under_test = Path()
    future = under_test.send(await request())
    assert future is not None
    under_test.line.reply(1)
    await future
    assert (under_test.settled, under_test.again, under_test.line.returned) == ([1], [], [False])


async def test_whatever_else_comes_back_takes_the_drivers_way() -> None:
    under_test = Path()
    made = await request()
    future = under_test.send(made)
    assert future is not None
    under_test.line.reply(1, opcode=0, body=struct.pack(">IH", 0x2500, 1) + b"x" + struct.pack(">H", 1) + b"i")
    await future
    assert under_test.again == [made]
    assert under_test.settled == []  # the permit is held until the driver's answer


async def test_a_lost_connection_takes_the_drivers_way() -> None:
    under_test = Path()
    future = under_test.send(await request())
    assert future is not None
    under_test.line._requests.pop(1)[0](ConnectionError("lost"))
    await future
    assert len(under_test.again) == 1


@pytest.mark.parametrize(
    "state", ["is_closed", "is_defunct", "orphaned_threshold_reached", "is_shutdown", "full", "far"]
)
async def test_a_connection_in_trouble_is_left_to_the_driver(state: str) -> None:
    under_test = Path()
    if state == "full":
        under_test.line.in_flight = 100
    elif state == "far":
        under_test.line.host_distance = HostDistance.REMOTE
    else:
        setattr(under_test.line, state, True)
    assert under_test.send(await request()) is None
    assert under_test.send(await request(replicas=None)) is None


async def test_a_send_that_fails_is_left_to_the_driver() -> None:
    under_test = Path()
    under_test.line.send_msg = Mock(side_effect=ConnectionError("closed"))  # type: ignore[method-assign]
    assert under_test.send(await request()) is None
    assert under_test.line.returned == [False]


async def test_silence_ends_in_an_error_that_passes() -> None:
    under_test = Path(timeout_s=0)
    future = under_test.send(await request())
    assert future is not None
    with pytest.raises(RetriableError, match="no answer within 0 s"):
        await asyncio.wait_for(future, 5)
    line = under_test.line
    assert (under_test.settled, line.orphaned_request_ids, line.returned) == ([1], {1}, [True])


async def test_a_cancelled_caller_frees_its_permit() -> None:
    under_test = Path()
    future = under_test.send(await request())
    assert future is not None
    future.cancel()
    under_test.line.reply(1)
    await asyncio.sleep(0)
    assert under_test.settled == [1]


def test_an_answer_with_warnings_is_a_success() -> None:
    warned = struct.pack(">HH", 1, 2) + b"hm" + VOID
    assert _decode(5, None, 1, 8, 8, warned, None, None) is _decode(5, None, 1, 0, 8, VOID, None, None)


def test_the_ring_knows_what_the_driver_knows() -> None:
    metadata = Metadata()
    hosts = ["one", "two", "three"]
    tokens = [Murmur3Token(value) for value in (-(1 << 62), 0, 1 << 62)]
    metadata.token_map = TokenMap(Murmur3Token, dict(zip(tokens, hosts, strict=True)), tokens, metadata)
    ring = Ring(metadata)
    assert ring.replicas("k", b"x") is None
    metadata.token_map.tokens_to_hosts_by_ks["k"] = {token: [host] for token, host in zip(tokens, hosts, strict=True)}
    for number in range(200):
        key = str(number).encode()
        found = ring.replicas("k", key)
        assert found is not None
        assert found.hosts == tuple(metadata.get_replicas("k", key))
        assert ring.replicas("k", key) is found
    metadata.token_map.tokens_to_hosts_by_ks["k"] = dict.fromkeys(tokens, hosts)
    changed = ring.replicas("k", b"1")
    assert changed is not None
    assert changed.hosts == tuple(hosts)


def test_the_driver_has_what_the_short_way_uses() -> None:
    pool = HostConnection(HOST, HostDistance.IGNORED, Mock())
    assert pool._connection is None
    assert (pool.is_shutdown, pool.host_distance) == (False, HostDistance.IGNORED)
    connection = Connection("h")
    for name in ("lock", "in_flight", "max_request_id", "orphaned_threshold", "orphaned_request_ids", "_requests"):
        assert hasattr(connection, name), name
    for name in ("_socket_writable", "orphaned_threshold_reached", "is_closed", "is_defunct", "get_request_id"):
        assert hasattr(connection, name), name
