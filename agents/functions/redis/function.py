"""The function itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from agents.async_io.function import AsyncFunction, ResultFuture
from agents.functions.redis.cache import CacheOptions, LookupCache
from agents.functions.redis.guard import LATE_HEADER, Guard, parse_guard
from agents.functions.redis.lookup import Lookup, parse_lookup
from agents.functions.redis.rows import add_columns, keep_rows
from agents.message import Message
from connectors.api.errors import ConfigError
from connectors.clients.redis import RedisClient, RedisSettings

__all__ = ["AsyncRedisRequest"]


class AsyncRedisRequest(AsyncFunction[Message, Message]):
    """Adds columns from Redis to every row of a message, or keeps late changes out, or both.

    Rows of INSERT, UPDATE and DELETE and plain objects are looked up; DDL, others and tombstones pass unchanged.
    The commands of all records of one turn of the event loop go out together, equal ones once.

    >>> request = AsyncRedisRequest(
    ...     url="redis://localhost", key="dim:style:{astyle}", shape="hash", columns={"style_name": "name"}
    ... )

    Args:
        url: `redis://`, `rediss://` or `unix://`, `redis+cluster://host:port,...` or
            `redis+sentinel://host:port,.../service[/database]`; the environment's `REDIS_URL` when left out.
        cluster: Whether the hosts of a `redis://` or `rediss://` URL are nodes of a cluster.
        key: Key of the look-up, fields of the row in braces. A null field is a miss, a missing one an error.
        shape: What is stored there: string, json (an object in a string) or hash.
        columns: Column to add -> field of the hash or object; for a string, the name of the one column.
        on_miss: keep (the row stays as it is), drop, error, or defaults by column, which also replace null fields.
        cache: Options of `CacheOptions`; no cache when left out.
        guard: Options of `Guard`: `key`, `ttl_s`, `on_late` = drop | mark; no guard when left out.
        tls_verify: Whether the certificate must be trusted; false for Heroku's self-signed ones.
        tls_ca: File with the certificates to trust, PEM; those of the system when left out.
        connections: Most connections; in a cluster, to each node.
        connect_timeout_s: Time to connect, seconds.
        timeout_s: Time for one answer of Redis, seconds.
        retries: How often a broken request is sent again before the stage's own retry strategy is asked.
        client: Client to use instead of one built from the options; for tests.

    Raises:
        ConfigError: An option cannot be used.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        key: str | None = None,
        shape: str = "string",
        columns: str | Mapping[str, str | None] | None = None,
        on_miss: str | Mapping[str, Any] = "keep",
        cache: Mapping[str, Any] | None = None,
        guard: Mapping[str, Any] | None = None,
        cluster: bool = False,
        tls_verify: bool = True,
        tls_ca: str = "",
        connections: int = 4,
        connect_timeout_s: float = 2.0,
        timeout_s: float = 2.0,
        retries: int = 1,
        client: RedisClient | None = None,
    ) -> None:
        if (key is None) != (columns is None) or (key is None and guard is None):
            raise ConfigError(
                "a look-up needs the options key and columns; without a look-up, guard is needed", key="key"
            )
        self._lookup: Lookup | None = None
        if key is not None and columns is not None:
            self._lookup = parse_lookup(key, shape, columns, on_miss)
        self._guard: Guard | None = _options("guard", parse_guard, guard)
        cache_options: CacheOptions | None = _options("cache", CacheOptions, cache)
        self._cache = LookupCache(cache_options, self._fetch) if cache_options else None
        self._client = client or RedisClient(
            RedisSettings(
                _url(url),
                cluster=cluster,
                tls_verify=tls_verify,
                tls_ca=tls_ca,
                connections=connections,
                connect_timeout_s=connect_timeout_s,
                timeout_s=timeout_s,
                retries=retries,
            )
        )

    async def open(self) -> None:
        """Check that Redis answers."""
        await self._client.open()

    async def async_invoke(self, value: Message, result_future: ResultFuture[Message]) -> None:
        """Look up and guard all rows of one message."""
        if value.raw is None or value.op in ("DDL", "OTHER"):
            result_future.complete([value])
            return
        rows = value.rows
        if self._guard is None:
            added = await self._find_all(rows)
            kept = [columns is not None for columns in added]
        else:
            added, passed = await self._find_and_guard(self._guard, value, rows)
            kept = [columns is not None for columns in added]
            if self._guard.on_late == "drop":
                kept = [found and fine for found, fine in zip(kept, passed, strict=True)]
            elif not all(passed):
                late = ",".join(str(i) for i, fine in enumerate(passed) if not fine)
                value.headers.append((LATE_HEADER, late.encode()))
        add_columns(value, added)
        result_future.complete(keep_rows(value, kept))

    async def close(self) -> None:
        """Disconnect."""
        await self._client.close()
        if self._cache is not None:
            await self._cache.close()

    async def _find_and_guard(
        self, guard: Guard, message: Message, rows: list[dict[str, Any]]
    ) -> tuple[list[dict[str, Any] | None], list[bool]]:
        if self._lookup is None:
            return await self._find_all(rows), await self._guard_all(guard, message, rows)
        added, passed = await asyncio.gather(self._find_all(rows), self._guard_all(guard, message, rows))
        return added, passed

    async def _find_all(self, rows: list[dict[str, Any]]) -> list[dict[str, Any] | None]:
        if self._lookup is None:
            return [{} for _ in rows]
        if len(rows) == 1:
            return [await self._find(self._lookup, rows[0])]
        return await asyncio.gather(*(self._find(self._lookup, row) for row in rows))

    async def _find(self, lookup: Lookup, row: dict[str, Any]) -> dict[str, Any] | None:
        key = lookup.template.key(row)
        if key is None:
            return lookup.on_no_answer(None)
        found = await (self._cache.find(key) if self._cache is not None else lookup.fetch(self._client, key))
        return lookup.on_no_answer(key) if found is None else lookup.complete(found)

    async def _fetch(self, key: str) -> dict[str, Any] | None:
        return None if self._lookup is None else await self._lookup.fetch(self._client, key)

    async def _guard_all(self, guard: Guard, message: Message, rows: list[dict[str, Any]]) -> list[bool]:
        ts_us = message.ts_us
        if len(rows) == 1:
            return [await guard.passes(self._client, rows[0], ts_us)]
        return await asyncio.gather(*(guard.passes(self._client, row, ts_us + i) for i, row in enumerate(rows)))


def _options(name: str, build: Any, given: Mapping[str, Any] | None) -> Any:
    """Call `build` with the options of one group; a wrong name in it becomes a `ConfigError`."""
    if given is None:
        return None
    try:
        return build(**given)
    except TypeError as error:
        raise ConfigError(f"Option {name}: {error}", key=name) from None


def _url(given: str | None) -> str:
    url = given or os.environ.get("REDIS_URL")
    if not url:
        raise ConfigError("Missing option url, and REDIS_URL is not set", key="url")
    return url
