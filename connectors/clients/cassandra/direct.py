"""The short way of a write: onto the driver's connection, past its bookkeeping for each request.

The driver spends most of a request on what a plain write does not need: a query plan, a timer, an event, policies for
retries. Here a frame goes to a replica's connection at once, and one sweep looks after the time limits of all. Only
success ends here. Whatever else comes back (an error, a statement to be prepared again, a connection lost), the same
write takes the driver's own way once more, with all its care; every write may be repeated.

Source: cassandra-driver 3.30, `ResponseFuture._query`, `_set_result` and `_on_timeout`, whose dealings with pools and
connections these are.
"""

from __future__ import annotations

import asyncio
import logging
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from cassandra import OperationTimedOut
from cassandra.policies import HostDistance
from cassandra.protocol import ProtocolHandler

from connectors.clients.cassandra.ring import Replicas

__all__ = ["DirectPath", "Request"]

logger = logging.getLogger(__name__)

_RESULT: Final = 0x08
_VOID: Final = b"\0\0\0\1"
_COMPRESSED: Final = 0x01
_CHECKSUMS_SINCE: Final = 5
_SWEEP_S: Final = 0.5

_header = struct.Struct(">BBhBI").pack


class Request(Protocol):
    """What can be sent both ways; may be repeated without harm."""

    replicas: Replicas | None
    """Who holds it, if known."""

    def encode(self, version: int) -> tuple[int, bytes]:
        """Return opcode and body of a frame of the protocol version."""

    def statement(self) -> Any:
        """Return the driver's statement of the same."""


Again = Callable[[Request, asyncio.Future[Any]], None]
"""Sends a request the driver's own way and completes the future."""


@dataclass(slots=True, eq=False)
class _Sent:
    request: Request
    future: asyncio.Future[Any]
    pool: Any
    connection: Any
    stream: int
    until: float


class DirectPath:
    """Sends writes of one session, for one event loop.

    Args:
        session: The driver's session.
        settled: Called on the loop for each request that ended here.
        again: Takes the requests that did not; called on the loop.
        failed: Makes our error of the driver's.
        timeout_s: Limit of a request, seconds.
    """

    def __init__(
        self,
        session: Any,
        settled: Callable[[], None],
        again: Again,
        failed: Callable[[BaseException], BaseException],
        timeout_s: float,
    ) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._settled, self._again, self._failed = settled, again, failed
        self._timeout_s = timeout_s
        self._turn = 0
        self._open: dict[_Sent, None] = {}
        self._replies: deque[tuple[_Sent, bool]] = deque()
        self._woken = False
        self._sweeping = False

    def send(self, request: Request) -> asyncio.Future[Any] | None:
        """Send a request. Called on the loop only.

        Returns:
            Done when it is durable by the consistency level; None where the driver must send it.
        """
        place = self._borrow(request)
        if place is None:
            return None
        pool, connection, stream = place
        future: asyncio.Future[Any] = self._loop.create_future()
        sent = _Sent(request, future, pool, connection, stream, time.monotonic() + self._timeout_s)
        self._open[sent] = None
        try:
            connection.send_msg(request, stream, partial(self._answered, sent), _encode, _decode, None)
        except Exception as error:  # closed or overloaded just now: the driver knows what to do
            logger.debug("a write takes the driver's own way: %s", error)
            del self._open[sent]
            pool.return_connection(connection)
            return None
        if not self._sweeping:
            self._sweeping = True
            self._loop.call_later(_SWEEP_S, self._sweep)
        return future

    def _borrow(self, request: Request) -> tuple[Any, Any, int] | None:
        """Return pool, connection and stream of a replica in the local datacenter."""
        hosts = request.replicas.hosts if request.replicas is not None else ()
        self._turn += 1
        for i in range(len(hosts)):
            pool = self._session._pools.get(hosts[(self._turn + i) % len(hosts)])
            if pool is None or pool.is_shutdown or pool.host_distance != HostDistance.LOCAL:
                continue
            connection = pool._connection
            if connection is None or connection.is_closed or connection.is_defunct or not connection._socket_writable:
                continue
            with connection.lock:
                if connection.orphaned_threshold_reached or connection.in_flight >= connection.max_request_id:
                    continue
                connection.in_flight += 1
                return pool, connection, connection.get_request_id()
        return None

    def _answered(self, sent: _Sent, response: Any) -> None:
        """Take the reply, in the driver's thread."""
        sent.pool.return_connection(sent.connection)
        self._replies.append((sent, response is _DONE))
        # As in `Bridge`: appended first, looked at after.
        if self._woken:
            return
        self._woken = True
        try:
            self._loop.call_soon_threadsafe(self._drain)
        except RuntimeError:
            logger.debug("a reply of Cassandra came after its event loop was closed: nobody waits for it")

    def _drain(self) -> None:
        self._woken = False
        replies = self._replies
        while replies:
            sent, done = replies.popleft()
            self._open.pop(sent, None)
            if not done and not sent.future.done():
                self._again(sent.request, sent.future)
                continue
            self._settled()
            if not sent.future.done():  # else its caller was cancelled
                sent.future.set_result(None)

    def _sweep(self) -> None:
        """End the requests whose time is over: those that were sent first stand first."""
        now = time.monotonic()
        for sent in list(self._open):
            if sent.until > now:
                break
            if not _orphan(sent):
                continue  # its reply is on its way to `_drain`
            del self._open[sent]
            self._settled()
            if not sent.future.done():
                where = str(sent.pool.host.endpoint)
                text = f"no answer within {self._timeout_s:g} s"
                sent.future.set_exception(self._failed(OperationTimedOut({where: text}, where)))
        self._sweeping = bool(self._open)
        if self._sweeping:
            self._loop.call_later(_SWEEP_S, self._sweep)


def _orphan(sent: _Sent) -> bool:
    """Give a request up; its stream may not be used again before the late reply. False if the reply is there."""
    connection = sent.connection
    with connection.lock:
        if connection._requests.pop(sent.stream, None) is None:
            return False
        connection.orphaned_request_ids.add(sent.stream)
        if len(connection.orphaned_request_ids) >= connection.orphaned_threshold:
            connection.orphaned_threshold_reached = True
    sent.pool.return_connection(connection, stream_was_orphaned=True)
    return True


_DONE: Final = object()


def _encode(request: Request, stream: int, version: int, compressor: Any, **_: Any) -> bytes:
    opcode, body = request.encode(version)
    flags = 0
    if compressor is not None and version < _CHECKSUMS_SINCE:
        body, flags = compressor(body), _COMPRESSED
    return _header(version, flags, stream, opcode, len(body)) + body


def _decode(version: int, types: Any, stream: int, flags: int, opcode: int, body: bytes, *rest: Any) -> Any:
    if opcode == _RESULT and not flags and body == _VOID:
        return _DONE
    response = ProtocolHandler.decode_message(version, types, stream, flags, opcode, body, *rest)
    # A write has no rows: any result means that it was done, also one with warnings.
    return _DONE if opcode == _RESULT else response
