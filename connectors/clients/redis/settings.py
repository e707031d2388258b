"""How to reach Redis."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import ConstantBackoff

from connectors.api.errors import ConfigError
from connectors.clients.redis.address import Topology, parse_hosts, redis_address, topology_of
from connectors.clients.redis.cluster import ClusterServers
from connectors.clients.redis.servers import Servers, SingleServer

__all__ = ["RedisSettings"]

_RETRY_PAUSE_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """How to reach Redis.

    Attributes:
        url: `redis://`, `rediss://` (TLS) or `unix://`, with user, password and database as redis-py reads them;
            `redis+cluster://host:port,...`, `redis+sentinel://host:port,.../service[/database]`, both with rediss too.
        cluster: Whether the hosts of a plain URL are nodes of a cluster.
        tls_verify: Whether the server's certificate must be trusted; false for Heroku's self-signed ones.
        tls_ca: File with the certificates to trust, PEM; empty for those the system trusts.
        connections: Most connections (in a cluster: to each node), hence most requests at a time.
        connect_timeout_s: Time to connect, seconds.
        timeout_s: Time for one answer, seconds.
        retries: How often a request is sent again at once after a broken connection or a time-out. All commands of
            the client may be repeated. The driver's own default of 10 makes a frozen server look merely slow.
        max_batch: Most commands in one request.

    Raises:
        ConfigError: The URL or a number cannot be used.
    """

    url: str = field(repr=False)
    tls_verify: bool = True
    connections: int = 4
    connect_timeout_s: float = 2.0
    timeout_s: float = 2.0
    retries: int = 1
    max_batch: int = 500
    cluster: bool = False
    tls_ca: str = ""

    def __post_init__(self) -> None:
        self._check_url()
        self._check_tls()
        for name, least in (("connections", 1), ("max_batch", 1), ("retries", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"Redis: {name} must be at least {least}", key=name)
        for name in ("connect_timeout_s", "timeout_s"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"Redis: {name} must be more than 0 seconds", key=name)

    @property
    def topology(self) -> Topology:
        """Return whether this is a server, a cluster or sentinels."""
        return "cluster" if self.cluster else topology_of(self.url)

    def servers(self) -> Servers:
        """Return the servers; they are connected to with the first command.

        Raises:
            ConfigError: The driver refuses the URL.
        """
        if self.topology == "cluster":
            return ClusterServers(self._cluster(), self.retries, _RETRY_PAUSE_S)
        if self.topology == "sentinel":
            return self._sentinel()
        return SingleServer(self.client())

    def client(self) -> Redis:
        """Return a driver client of a single server; it connects with its first command.

        Raises:
            ConfigError: The driver refuses the URL.
        """
        tls = self._tls() if urlsplit(self.url).scheme == "rediss" else {}
        try:
            return Redis.from_url(self.url, max_connections=self.connections, **self._common(self.retries), **tls)
        except ValueError as error:
            raise ConfigError(f"Redis {redis_address(self.url)}: {error}", key="url") from None

    def _cluster(self) -> RedisCluster:
        given = parse_hosts(self.url, "cluster")
        return RedisCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in given.hosts],
            username=given.username,
            password=given.password,
            ssl=given.tls,
            # One node that is away is no reason to stop: the server refuses what it must.
            require_full_coverage=False,
            # After MOVED only the slot is noted: to start over would break the requests of all other callers.
            reinitialize_steps=0,
            # Each batch has at most one pipeline for a node, and single commands after MOVED one at a time.
            max_connections=2 * self.connections,
            **self._common(0),
            **(self._tls() if given.tls else {}),
        )

    def _sentinel(self) -> SingleServer:
        given = parse_hosts(self.url, "sentinel")
        tls = {"ssl": True, **self._tls()} if given.tls else {}
        common = self._common(self.retries)
        sentinel: Any = Sentinel(given.hosts, sentinel_kwargs={**common, **tls})  # type: ignore[no-untyped-call]
        driver = sentinel.master_for(
            given.path[0],
            db=int(given.path[1]) if len(given.path) > 1 else 0,
            username=given.username,
            password=given.password,
            max_connections=self.connections,
            **common,
            **tls,
        )
        return SingleServer(driver, sentinel)

    def _common(self, retries: int) -> dict[str, Any]:
        return {
            "socket_connect_timeout": self.connect_timeout_s,
            "socket_timeout": self.timeout_s,
            "retry": Retry(ConstantBackoff(_RETRY_PAUSE_S), retries),
            # RESP3 costs more round trips at connect and gives these commands nothing.
            "protocol": 2,
        }

    def _tls(self) -> dict[str, Any]:
        if not self.tls_verify:
            return {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
        return {"ssl_ca_certs": self.tls_ca} if self.tls_ca else {}

    def _check_url(self) -> None:
        redis_address(self.url)
        scheme = urlsplit(self.url).scheme
        if self.cluster and scheme in ("unix", "redis+sentinel", "rediss+sentinel"):
            raise ConfigError(f"Redis: cluster does not go with {scheme}://", key="cluster")
        if self.topology == "single":
            if "," in urlsplit(self.url).netloc.rpartition("@")[2]:
                raise ConfigError("Redis: several hosts need redis+cluster:// or redis+sentinel://", key="url")
            return
        path = parse_hosts(self.url, self.topology).path
        if self.topology == "cluster" and path not in ((), ("0",)):
            raise ConfigError("Redis: a cluster has no databases but 0; leave the path of the URL out", key="url")
        if self.topology == "sentinel" and not (len(path) in (1, 2) and all(part.isdecimal() for part in path[1:])):
            raise ConfigError("Redis: write redis+sentinel://host:port,.../service or .../service/database", key="url")

    def _check_tls(self) -> None:
        if not self.tls_ca:
            return
        if not urlsplit(self.url).scheme.startswith("rediss"):
            raise ConfigError("Redis: tls_ca needs a rediss:// URL", key="tls_ca")
        if not Path(self.tls_ca).is_file():
            raise ConfigError(f"Redis: there is no file {self.tls_ca} (tls_ca)", key="tls_ca")
