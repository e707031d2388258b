"""The function itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, cast

from agents.async_io.function import AsyncFunction, ResultFuture
from agents.functions.cassandra.lookup import Lookup
from agents.functions.cassandra.texts import TIME_FORMATS, Renderer, TimeFormat
from agents.functions.cassandra.upsert import Upsert
from agents.functions.cassandra.upsert_options import parse_upsert
from agents.message import Message
from connectors.api.config import Password
from connectors.api.errors import ConfigError, did_you_mean
from connectors.api.validators import time_zone as check_time_zone
from connectors.clients.cassandra import BATCHING, Batching, CassandraClient, CassandraSettings
from connectors.formats.temporal import TimestampParser, zone_of

__all__ = ["AsyncCassandraRequest"]


class AsyncCassandraRequest(AsyncFunction[Message, Message]):
    """Adds columns from Cassandra to the rows of a message, or stores the rows there and keeps their creation times.

    Rows of INSERT, UPDATE and DELETE and plain objects are handled; DDL, others and tombstones pass unchanged. The
    requests of all records of one turn of the event loop go out together.

    >>> request = AsyncCassandraRequest(
    ...     mode="lookup", table="m.style", key={"style": "astyle"}, columns={"style_name": "name"}
    ... )

    Args:
        mode: lookup (read only) or upsert (read, keep, write).
        table: `keyspace.table`.
        contact_points: Hosts, as a list or comma-separated; `CASSANDRA_CONTACT_POINTS` when left out.
        port: Port of the native protocol; `CASSANDRA_PORT` when left out.
        local_datacenter: `CASSANDRA_LOCAL_DATACENTER` when left out, else that of the contact points.
        username: User, if the cluster asks for one.
        password: Its password.
        consistency: Level of reads and writes; an upsert finds what the one before it wrote only with quorums.
        max_in_flight: Most requests on their way.
        request_timeout_s: Limit for one request, seconds.
        batch: Rows that may share a request: replica, partition or none. A lookup gathers keys unless it is none.
        time_zone: Zone of times in messages that name none, and of times written into messages.
        emit_as: How times are written: text (`yyyy-MM-dd HH:mm:ss.SSS`), iso (with offset) or millis.
        key: lookup: key column -> field of the row.
        columns: lookup: field to add -> column.
        on_miss: lookup: keep (the row stays as it is), drop, error, or defaults by field.
        mapping: upsert: `column = value.field | header.name | key | timestamp`, comma-separated.
        keep: upsert: columns whose present value stays.
        generate: upsert: time column -> `change_time` (the change's place in the order) or `value.<field>`. Columns
            that the table does not have are only added to the message.
        read: upsert: always, or updates: a Canal INSERT begins a new life of its row, whatever is stored.
        deletes: upsert: whether a DELETE deletes the row, at the time of the change.
        delete_after_s: upsert: seconds for which a deleted row is still kept, so that a replayed DELETE carries the
            same kept values; for tables that hold nothing but these, together with `read: updates`.
        emit: upsert: fields to add: columns or generated times, as a list or as field -> column; all kept and
            generated ones when left out.
        client: Client to use instead of one built from the options; for tests.

    Raises:
        ConfigError: An option cannot be used.
    """

    def __init__(
        self,
        *,
        mode: str,
        table: str,
        contact_points: str | Sequence[str] | None = None,
        port: int | None = None,
        local_datacenter: str | None = None,
        username: str = "",
        password: str = "",
        consistency: str = "LOCAL_QUORUM",
        max_in_flight: int = 128,
        request_timeout_s: float = 10.0,
        batch: str = "replica",
        time_zone: str = "UTC",
        emit_as: str = "text",
        key: Mapping[str, str] | None = None,
        columns: Mapping[str, str] | None = None,
        on_miss: str | Mapping[str, Any] = "keep",
        mapping: str | None = None,
        keep: Sequence[str] = (),
        generate: Mapping[str, str] | None = None,
        read: str = "always",
        deletes: bool = True,
        delete_after_s: int = 0,
        emit: Sequence[str] | Mapping[str, str] | None = None,
        client: CassandraClient | None = None,
    ) -> None:
        self._keyspace, self._table = _keyspace_and_table(table)
        self._batching = cast(Batching, _one_of("batch", batch, BATCHING))
        check_time_zone("time_zone", time_zone)
        zone = zone_of(time_zone)
        self._micros = TimestampParser(zone).micros
        self._renderer = Renderer(zone, cast(TimeFormat, _one_of("emit_as", emit_as, TIME_FORMATS)))
        self._mode: Lookup | Upsert
        if _one_of("mode", mode, ("lookup", "upsert")) == "lookup":
            _reject("lookup", mapping=mapping, keep=keep, generate=generate, emit=emit)
            self._mode = Lookup(key or {}, columns or {}, on_miss)
        else:
            _reject("upsert", key=key, columns=columns)
            self._mode = Upsert(parse_upsert(mapping, keep, generate, read, deletes, delete_after_s, emit))
        settings = _settings(contact_points, port, local_datacenter)
        self._client = client or CassandraClient(
            replace(
                settings,
                username=username,
                password=Password(password),
                consistency=consistency,
                max_in_flight=max_in_flight,
                request_timeout_s=request_timeout_s,
            )
        )

    async def open(self) -> None:
        """Connect and check the options against the live schema.

        Raises:
            RetriableError: No host answers.
            ConfigError: Credentials, table or columns do not fit; a line for each error.
        """
        await self._client.connect()
        try:
            schema = await self._client.table(self._keyspace, self._table)
            if isinstance(self._mode, Lookup):
                gather = self._batching != "none"
                await self._mode.open(self._client, schema, self._micros, self._renderer, gather=gather)
            else:
                await self._mode.open(self._client, schema, self._micros, self._renderer, self._batching)
        except BaseException:
            await self._client.close()
            raise

    async def async_invoke(self, value: Message, result_future: ResultFuture[Message]) -> None:
        """Handle all rows of one message; what is stored is durable before the future is completed.

        Raises:
            DataError: A row does not fit the table.
            RetriableError: Cassandra is out of reach; the same message may be given again.
        """
        if (value.raw is None and not value.value) or value.op in ("DDL", "OTHER"):
            result_future.complete([value])
            return
        result_future.complete(await self._mode.invoke(value))

    async def close(self) -> None:
        """Disconnect."""
        await self._client.close()


def _keyspace_and_table(table: str) -> tuple[str, str]:
    keyspace, _, name = table.partition(".")
    if not keyspace or not name or "." in name:
        raise ConfigError(f"Option table: {table!r} is not keyspace.table", key="table")
    return keyspace, name


def _one_of(option: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        near = did_you_mean(value, allowed)
        raise ConfigError(f"Option {option}: {value!r} is not one of {', '.join(allowed)}{near}", key=option)
    return value


def _reject(mode: Literal["lookup", "upsert"], **foreign: Any) -> None:
    given = [name for name, value in foreign.items() if value]
    if given:
        raise ConfigError(f"Option {given[0]} does not belong to mode {mode}", key=given[0])


def _settings(
    contact_points: str | Sequence[str] | None, port: int | None, local_datacenter: str | None
) -> CassandraSettings:
    settings = CassandraSettings.from_env()
    if contact_points:
        hosts = contact_points.split(",") if isinstance(contact_points, str) else contact_points
        settings = replace(settings, contact_points=tuple(host.strip() for host in hosts))
    if port is not None:
        settings = replace(settings, port=port)
    if local_datacenter is not None:
        settings = replace(settings, local_datacenter=local_datacenter)
    return settings
