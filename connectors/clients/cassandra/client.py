"""An asynchronous client over the DataStax driver.

The driver blocks on connecting and preparing, so those run in a thread. Requests go out with `execute_async`, which
blocks only when a connection has no stream left: the limit of requests on their way keeps far below that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
from cassandra.policies import ConstantReconnectionPolicy, DCAwareRoundRobinPolicy, TokenAwarePolicy
from cassandra.query import tuple_factory

from connectors.api.errors import ConfigError, ConnectError, FatalError, did_you_mean
from connectors.clients.cassandra.bridge import Bridge, Permits
from connectors.clients.cassandra.direct import DirectPath, Request
from connectors.clients.cassandra.errors import translate, translated
from connectors.clients.cassandra.ring import Replicas, Ring
from connectors.clients.cassandra.schema import TableSchema
from connectors.clients.cassandra.settings import CassandraSettings

__all__ = ["CassandraClient"]

T = TypeVar("T")

_DEFINE_S: Final = 60.0
"""Schema changes wait until all hosts agree."""


def _is_news(record: logging.LogRecord) -> bool:
    """Drop the driver's warnings that it tries newer protocols first, several at each start."""
    return not str(record.msg).startswith("Downgrading core protocol version")


logging.getLogger("cassandra.cluster").addFilter(_is_news)


class CassandraClient:
    """A session with a cluster, for one event loop.

    Args:
        settings: Where and how. Nothing is opened before `connect`.
    """

    def __init__(self, settings: CassandraSettings) -> None:
        self.settings = settings
        self._cluster: Any = None
        self._session: Any = None
        self._bridge: Bridge | None = None
        self._direct: DirectPath | None = None
        self._ring: Ring | None = None
        self._permits = Permits(settings.max_in_flight)
        self._closing: asyncio.Future[None] | None = None

    async def __aenter__(self) -> CassandraClient:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self) -> None:
        """Open the session.

        Raises:
            RetriableError: No host answers.
            ConfigError: The credentials are refused, or there is no such datacenter.
        """
        loop, where = asyncio.get_running_loop(), self.settings.where
        self._bridge = Bridge(loop, self._permits.release, lambda error: translate(error, where))
        opening = asyncio.ensure_future(asyncio.to_thread(self._open))
        try:
            self._cluster, self._session = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_shut_down)  # the thread cannot be stopped; what it opens must not stay open
            raise
        self._ring = Ring(self._cluster.metadata)
        self._direct = DirectPath(
            self._session,
            self._permits.release,
            self._again,
            lambda error: translate(error, where),
            self.settings.request_timeout_s,
        )

    async def close(self) -> None:
        """Close the session. May be called again, and without `connect`."""
        cluster, self._cluster, self._session = self._cluster, None, None
        self._direct = self._ring = None
        if cluster is not None:
            self._closing = asyncio.ensure_future(asyncio.to_thread(cluster.shutdown))
        if self._closing is not None:
            await asyncio.shield(self._closing)

    async def prepare(self, cql: str) -> Any:
        """Prepare a statement that may be repeated without harm.

        Args:
            cql: Text with `?` for values; must be idempotent, as the driver may send it twice.

        Raises:
            ConnectError: By what the caller must do, see `translate`.
        """
        statement = await self._in_thread(lambda: self._open_session().prepare(cql))
        statement.is_idempotent = True
        statement.consistency_level = self.settings.consistency_level
        return statement

    async def table(self, keyspace: str, table: str) -> TableSchema:
        """Read the present schema of a table; names are found without regard to case.

        Raises:
            ConfigError: There is no such keyspace or table.
            RetriableError: No host answers.
        """
        return await self._in_thread(lambda: self._read_schema(keyspace, table))

    def keyspace(self, name: str) -> str | None:
        """Return the exact name of a keyspace, found without regard to case; None if there is none."""
        return _find(self._cluster.metadata.keyspaces, name) if self._cluster is not None else None

    def version(self, schema: TableSchema) -> object:
        """Return a token that is another one when the driver has heard of a change of the table; None if it is gone."""
        space = self._cluster.metadata.keyspaces.get(schema.keyspace) if self._cluster is not None else None
        return space.tables.get(schema.name) if space is not None else None

    async def define(self, cql: str) -> None:
        """Carry out a statement that changes the schema.

        Raises:
            ConnectError: By what the caller must do, see `translate`.
        """
        await self._in_thread(lambda: self._open_session().execute(cql, timeout=_DEFINE_S))

    async def execute(self, statement: Any) -> list[tuple[Any, ...]]:
        """Send a statement and return its rows; none for a write, whose rows are durable then.

        Args:
            statement: A bound or batch statement of the driver, idempotent.

        Raises:
            ConnectError: By what the caller must do, see `translate`.
        """
        return await (await self.send(statement))

    async def send(self, statement: Any) -> asyncio.Future[list[tuple[Any, ...]]]:
        """Send a statement as soon as a permit is free; the future returned stands for its rows.

        Raises:
            FatalError: The client is not connected.
        """
        await self._permits.acquire()
        return self._submit(statement)

    async def write(self, request: Request) -> asyncio.Future[Any]:
        """Send writes as soon as a permit is free; the future returned is done when they are durable.

        Raises:
            FatalError: The client is not connected.
        """
        await self._permits.acquire()
        direct = self._direct.send(request) if self._direct is not None else None
        return self._submit(request.statement()) if direct is None else direct

    def replicas(self, keyspace: str, routing_key: bytes) -> Replicas | None:
        """Return the hosts that hold a partition; None where the driver does not know."""
        return self._ring.replicas(keyspace, routing_key) if self._ring is not None else None

    def _again(self, request: Request, future: asyncio.Future[Any]) -> None:
        """Send writes the driver's own way; their permit is held already."""
        try:
            self._submit(request.statement(), future)
        except Exception as error:  # it belongs to the one who waits
            future.set_exception(error)

    def _submit(
        self, statement: Any, future: asyncio.Future[Any] | None = None
    ) -> asyncio.Future[list[tuple[Any, ...]]]:
        try:
            response = self._open_session().execute_async(statement, timeout=self.settings.request_timeout_s)
        except BaseException as error:
            self._permits.release()
            if isinstance(error, ConnectError) or not isinstance(error, Exception):
                raise
            raise translate(error, self.settings.where) from error
        assert self._bridge is not None
        return self._bridge.submit(response, future)

    def _open_session(self) -> Any:
        if self._session is None:
            raise FatalError("the Cassandra client is not connected")
        return self._session

    async def _in_thread(self, call: Callable[[], T]) -> T:
        def guarded() -> T:
            with translated(self.settings.where):
                return call()

        return await asyncio.to_thread(guarded)

    def _open(self) -> tuple[Any, Any]:
        settings = self.settings
        cluster = _new_cluster(settings)
        try:
            with translated(settings.where):
                session = cluster.connect()
        except BaseException as error:
            known = {host.datacenter for host in cluster.metadata.all_hosts() if host.datacenter}
            cluster.shutdown()
            if isinstance(error.__cause__, NoHostAvailable):
                _check_datacenter(settings.local_datacenter, known)
            raise
        # Every statement of ours carries its own timestamp; the driver's clock must never decide which is newer.
        session.use_client_timestamp = False
        return cluster, session

    def _read_schema(self, keyspace: str, table: str) -> TableSchema:
        metadata = self._cluster.metadata
        space = _find(metadata.keyspaces, keyspace)
        if space is None:
            near = did_you_mean(keyspace, metadata.keyspaces)
            raise ConfigError(f"Cassandra at {self.settings.where} has no keyspace {keyspace}{near}")
        name = _find(metadata.keyspaces[space].tables, table) or table.lower()
        # Schema events may be on their way still; what counts is the table as it is now.
        self._cluster.refresh_table_metadata(space, name)
        tables = metadata.keyspaces[space].tables
        if name not in tables:
            near = did_you_mean(table, tables)
            raise ConfigError(f"Keyspace {space} of Cassandra at {self.settings.where} has no table {table}{near}")
        return TableSchema.of(tables[name], metadata.keyspaces[space].user_types)


def _new_cluster(settings: CassandraSettings) -> Any:
    profile = ExecutionProfile(
        load_balancing_policy=TokenAwarePolicy(DCAwareRoundRobinPolicy(settings.local_datacenter)),
        consistency_level=settings.consistency_level,
        row_factory=tuple_factory,
        request_timeout=settings.request_timeout_s,
    )
    credentials = PlainTextAuthProvider(settings.username, settings.password.value) if settings.username else None
    return Cluster(
        contact_points=list(settings.contact_points),
        port=settings.port,
        auth_provider=credentials,
        ssl_context=settings.tls.context() if settings.tls is not None else None,
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        # The driver's default waits up to ten minutes between attempts after a long outage.
        reconnection_policy=ConstantReconnectionPolicy(1.0, max_attempts=None),
        connect_timeout=settings.connect_timeout_s,
        control_connection_timeout=settings.connect_timeout_s,
    )


def _check_datacenter(wanted: str, known: set[str]) -> None:
    if wanted and known and wanted not in known:
        raise ConfigError(
            f"Cassandra has no datacenter {wanted}{did_you_mean(wanted, known)}; there is {', '.join(sorted(known))}",
            key="cassandra.local.datacenter",
        )


def _find(names: Iterable[str], wanted: str) -> str | None:
    """Return the name as it is: as written, else without regard to case."""
    listed = list(names)
    if wanted in listed:
        return wanted
    return next((name for name in listed if name.lower() == wanted.lower()), None)


def _shut_down(opening: asyncio.Future[tuple[Any, Any]]) -> None:
    if opening.cancelled() or opening.exception() is not None:
        return
    cluster, _ = opening.result()
    asyncio.get_running_loop().run_in_executor(None, cluster.shutdown)
