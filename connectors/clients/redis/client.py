"""Redis look-ups, gathered: all commands of one turn of the event loop go out in one request.

One command per request leaves Redis idle and the interpreter busy; a request for each turn of the loop is 4 to 14 times
faster. String look-ups become one MGET. As MGET answers None for a key of another type too, the keys it did not find
are asked for again by GET, in one pipeline: the server then says WRONGTYPE, and a wrong type is never taken for a miss.

The pool of redis-py never queues here: its blocking variant lets callers starve for seconds, and its plain variant
raises. The client counts free connections itself; what comes in meanwhile waits in order and goes out together.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisClusterException, RedisError

from connectors.api.errors import DataError, RetriableError
from connectors.clients.redis.address import redis_address
from connectors.clients.redis.errors import translate
from connectors.clients.redis.servers import SingleServer
from connectors.clients.redis.settings import RedisSettings

__all__ = ["RedisClient"]


@dataclass(slots=True, eq=False)
class _Command:
    """A command on its way, with the callers that wait for its answer."""

    words: tuple[Any, ...]
    waiters: list[asyncio.Future[Any]]

    def answer(self, reply: Any) -> None:
        for waiter in self.waiters:
            if waiter.done():  # its caller was cancelled, the other callers were not
                continue
            if isinstance(reply, BaseException):
                waiter.set_exception(reply)
            else:
                waiter.set_result(reply)


class RedisClient:
    """Look-ups in Redis for many callers on one event loop.

    The constructor does no I/O. Every method returns a future at once; cancelling it leaves the others of the batch
    alone. The futures fail with `RetriableError` (server away, time-out), `DataError` (the key has another type) or
    `ConfigError` (credentials, certificate).

    Args:
        settings: How to reach Redis.
        driver: Client of redis-py to use instead of one built from the settings; for tests.
    """

    def __init__(self, settings: RedisSettings, driver: Redis | None = None) -> None:
        self._settings = settings
        self._address = redis_address(settings.url)
        self._servers = settings.servers() if driver is None else SingleServer(driver)
        self._pending: dict[tuple[Any, ...], _Command] = {}
        self._digests: dict[str, str] = {}
        self._scripts: dict[str, str] = {}
        self._free = settings.connections
        self._scheduled = False
        self._closed = False
        # Strong references: the loop itself holds tasks weakly.
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Check that the server answers.

        Raises:
            RetriableError: It does not.
            ConfigError: It refuses the credentials, or its certificate is not trusted.
        """
        try:
            await self._servers.ping()
        except (RedisError, RedisClusterException, OSError) as error:
            raise translate(error, self._address) from error

    def get(self, key: str) -> asyncio.Future[bytes | None]:
        """Look up a string; None where there is no such key."""
        return self._submit(("GET", _encoded(key)))

    def hmget(self, key: str, fields: tuple[str, ...]) -> asyncio.Future[list[bytes | None]]:
        """Look up fields of a hash; None for each that is missing, hence all None where there is no such key."""
        return self._submit(("HMGET", _encoded(key), *fields))

    def eval(self, script: str, key: str, *arguments: str | int) -> asyncio.Future[Any]:
        """Run a Lua script on one key. The script must bear to be run twice, as a lost answer is asked for again."""
        digest = self._digests.get(script)
        if digest is None:
            digest = self._digests[script] = hashlib.sha1(script.encode()).hexdigest()
            self._scripts[digest] = script
        return self._submit(("EVALSHA", digest, 1, _encoded(key), *arguments))

    async def close(self) -> None:
        """Fail what still waits and disconnect. May be called more than once."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        pending, self._pending = self._pending, {}
        for command in pending.values():
            command.answer(self._closed_error())
        await self._servers.close()

    def _submit(self, words: tuple[Any, ...]) -> asyncio.Future[Any]:
        if self._closed:
            raise self._closed_error()
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Any] = loop.create_future()
        command = self._pending.get(words)
        if command is not None:
            command.waiters.append(waiter)
            return waiter
        self._pending[words] = _Command(words, [waiter])
        if not self._scheduled:
            self._scheduled = True
            loop.call_soon(self._send_pending)
        return waiter

    def _send_pending(self) -> None:
        self._scheduled = False
        while self._free and self._pending and not self._closed:
            first = list(islice(self._pending, self._settings.max_batch))
            batch = [self._pending.pop(words) for words in first]
            batch = [command for command in batch if not all(waiter.done() for waiter in command.waiters)]
            if batch:
                self._free -= 1
                task = asyncio.get_running_loop().create_task(self._run(batch))
                self._tasks.add(task)
                task.add_done_callback(partial(self._finished, batch))

    def _finished(self, batch: list[_Command], task: asyncio.Task[None]) -> None:
        if task.cancelled():  # by close, perhaps before it began
            for command in batch:
                command.answer(self._closed_error())
        self._tasks.discard(task)
        self._free += 1
        self._send_pending()

    async def _run(self, batch: list[_Command]) -> None:
        try:
            replies = await self._replies([command.words for command in batch])
        except Exception as error:  # whatever it is, every caller of the batch hears of it
            replies = [error] * len(batch)
        for command, reply in zip(batch, replies, strict=True):
            command.answer(translate(reply, self._address) if isinstance(reply, Exception) else reply)

    async def _replies(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        others = [words for words in commands if words[0] != "GET"]
        requests = self._servers.string_requests([words[1] for words in commands if words[0] == "GET"])
        strings = len(requests)
        requests += others
        answers = await self._load_scripts(requests, await self._servers.send(requests))
        found = await self._strings(requests[:strings], answers[:strings])
        rest = iter(answers[strings:])
        return [found[words[1]] if words[0] == "GET" else next(rest) for words in commands]

    async def _strings(self, requests: list[tuple[Any, ...]], answers: list[Any]) -> dict[bytes, Any]:
        """Return what stands under each key; a key that MGET did not find is asked for again."""
        found: dict[bytes, Any] = {}
        missing: list[bytes] = []
        for (command, *keys), answer in zip(requests, answers, strict=True):
            if command == "GET":
                found[keys[0]] = answer
            elif isinstance(answer, Exception):
                found.update(dict.fromkeys(keys, answer))
            else:
                found.update(zip(keys, answer, strict=True))
                missing += [key for key, value in zip(keys, answer, strict=True) if value is None]
        if missing:
            again = await self._servers.send([("GET", key) for key in missing])
            found.update(zip(missing, again, strict=True))
        return found

    async def _load_scripts(self, requests: list[tuple[Any, ...]], answers: list[Any]) -> list[Any]:
        """Send scripts in full that a server does not know, or no longer since its restart."""
        unknown = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            whole = [("EVAL", self._scripts[requests[i][1]], *requests[i][2:]) for i in unknown]
            for i, reply in zip(unknown, await self._servers.send(whole), strict=True):
                answers[i] = reply
        return answers

    def _closed_error(self) -> RetriableError:
        return RetriableError(f"Redis {self._address}: the client is closed")


def _encoded(key: str) -> bytes:
    try:
        return key.encode()
    except UnicodeEncodeError as error:
        # Found here it fails one caller; found by the driver it would fail the batch.
        raise DataError(f"Redis key {key!r} cannot be written as UTF-8: {error}") from None
