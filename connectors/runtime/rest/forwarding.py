"""Calls of other workers: changes go to the leader, and each worker tells what its own tasks are doing.

Signed as Kafka Connect's inter-worker calls are (KIP-507), so that they need no user's credentials.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import asdict
from typing import Any

import orjson
from aiohttp import ClientConnectorError, ClientError, ClientSession, ClientTimeout, TCPConnector, web
from yarl import URL

from connectors.runtime.herder import Herder
from connectors.runtime.rest.answers import RestError
from connectors.runtime.state import Progress, TaskId

__all__ = ["Forwarder", "NotReachedError", "hops", "signed_text"]

log = logging.getLogger(__name__)

SIGNATURE = "X-Connect-Signature"
MADE_AT = "X-Connect-Made-At"
HOPS = "X-Connect-Hops"
MOST_HOPS = 2


class NotReachedError(Exception):
    """The other worker did not take the call; nothing was sent."""


def signed_text(method: str, path: str, made_at: str, hops: str, body: bytes) -> bytes:
    """Return what a signature is about."""
    return b"\n".join([method.encode(), path.encode(), made_at.encode(), hops.encode(), body])


def hops(request: web.Request) -> int:
    """Return how often a request was passed on."""
    text = request.headers.get(HOPS, "0")
    return int(text) if text.isdigit() and len(text) < 3 else MOST_HOPS


class Forwarder:
    """Makes signed calls.

    Args:
        herder: Knows the other workers and the session key.
    """

    LIMIT_S = 75.0
    PROGRESS_LIMIT_S = 1.0
    # What other workers said of their tasks may be so old, which bounds the calls under many status requests.
    PROGRESS_AGE_S = 1.0

    def __init__(self, herder: Herder) -> None:
        self._herder = herder
        self._session: ClientSession | None = None
        self._others: dict[TaskId, Progress] = {}
        self._asked = 0.0
        self._asking = asyncio.Lock()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def to_leader(self, request: web.Request) -> web.Response:
        """Have the leader carry out a request, and return its answer.

        Raises:
            NotReachedError: The leader does not take calls.
            RestError: It did not answer; what it did is not known.
        """
        leader = self._herder.members.leader
        url = self._herder.members.urls.get(leader, "")
        if hops(request) >= MOST_HOPS:
            text = "The workers do not agree on a leader just now; try again"
            raise RestError(409, text, {"Retry-After": "1"})
        body = await request.read()
        headers = {name: request.headers[name] for name in ("Content-Type", "Host") if name in request.headers}
        try:
            status, own, content = await self._call(
                request.method, url, request.rel_url.raw_path_qs, body, headers, hops(request) + 1, self.LIMIT_S
            )
        except (ClientError, TimeoutError) as error:
            log.warning("The leader %s at %s did not answer: %s", leader, url, type(error).__name__)
            raise RestError(503, f"The leader {leader} did not answer; what it did is not known") from None
        kept = {name: own[name] for name in ("Location", "X-Connect-Change", "Retry-After") if name in own}
        kind = own.get("Content-Type", "application/json").partition(";")[0]
        return web.Response(body=content, status=status, headers=kept, content_type=kind if content else None)

    async def progress(self) -> dict[TaskId, Progress]:
        """Return what the tasks of all workers are doing; of a worker that does not answer in time, nothing."""
        others = [(name, url) for name, url in self._herder.members.urls.items() if name != self._herder.me]
        if others:
            async with self._asking:
                if time.monotonic() - self._asked > self.PROGRESS_AGE_S:
                    found = await asyncio.gather(*(self._progress_of(name, url) for name, url in others))
                    self._others = {task: each for part in found for task, each in part.items()}
                    self._asked = time.monotonic()
        return (self._others if others else {}) | self._herder.progress()

    async def _progress_of(self, name: str, url: str) -> dict[TaskId, Progress]:
        try:
            status, _, content = await self._call("GET", url, "/internal/progress", b"", {}, 1, self.PROGRESS_LIMIT_S)
        except (ClientError, TimeoutError, NotReachedError) as error:
            log.debug("Worker %s at %s does not tell what its tasks do: %s", name, url, type(error).__name__)
            return {}
        return read_progress(content) if status == 200 else {}

    async def _call(
        self, method: str, url: str, path: str, body: bytes, headers: dict[str, str], number: int, limit_s: float
    ) -> tuple[int, Any, bytes]:
        made_at, passed = str(int(time.time() * 1000)), str(number)
        signature = self._herder.session.sign(signed_text(method, path, made_at, passed, body))
        if signature is None or not url:
            raise NotReachedError("There is no session key or no address yet")
        signed = headers | {SIGNATURE: signature, MADE_AT: made_at, HOPS: passed}
        try:
            async with self._opened().request(
                method, _url(url, path), data=body or None, headers=signed, timeout=ClientTimeout(limit_s),
                allow_redirects=False,
            ) as answer:  # fmt: skip
                return answer.status, answer.headers, await answer.read()
        except ClientConnectorError as error:
            raise NotReachedError(str(error)) from None

    def _opened(self) -> ClientSession:
        if self._session is None:
            tls = self._herder.settings.rest.client_tls()
            self._session = ClientSession(connector=TCPConnector(ssl=tls), auto_decompress=False)
        return self._session


def progress_body(progress: dict[TaskId, Progress]) -> list[dict[str, Any]]:
    """Return what `/internal/progress` answers."""
    return [{"connector": task.connector, "task": task.number} | asdict(each) for task, each in progress.items()]


def read_progress(content: bytes) -> dict[TaskId, Progress]:
    """Read what `progress_body` made."""
    return {
        TaskId(each["connector"], each["task"]): Progress(each["stage"], each["since"], each["moved"])
        for each in orjson.loads(content)
    }


def _url(base: str, path: str) -> URL:
    return URL(base + path, encoded=True)  # as the client wrote it, or the signature would be about another path
