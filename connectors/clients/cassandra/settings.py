"""How to reach a Cassandra cluster."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cassandra import ConsistencyLevel

from connectors.api.config import Password
from connectors.api.errors import ConfigError, did_you_mean
from connectors.clients.cassandra.tls import TlsSettings

__all__ = ["CONSISTENCY_LEVELS", "MAX_IN_FLIGHT_LIMIT", "CassandraSettings"]

CONSISTENCY_LEVELS: Final = ("ANY", "ONE", "TWO", "THREE", "QUORUM", "ALL", "LOCAL_QUORUM", "EACH_QUORUM", "LOCAL_ONE")
"""Levels of plain writes and reads; the serial ones belong to conditional statements, which take no timestamp."""

MAX_IN_FLIGHT_LIMIT: Final = 1024
"""Past a few hundred requests only latency grows, and at 32768 the driver would block the event loop."""


@dataclass(frozen=True, slots=True)
class CassandraSettings:
    """Addresses, credentials and limits.

    Attributes:
        contact_points: Hosts to ask first.
        port: Port of the native protocol on every host.
        local_datacenter: Datacenter to talk to; empty to take that of the contact points.
        username: User, or empty for none.
        password: Its password.
        consistency: Level of every read and write.
        max_in_flight: Most requests on their way at a time.
        connect_timeout_s: Limit for opening a connection, in seconds.
        request_timeout_s: Limit for one request, in seconds.
        tls: How connections are encrypted; None for plain ones.
    """

    contact_points: tuple[str, ...] = ("127.0.0.1",)
    port: int = 9042
    local_datacenter: str = ""
    username: str = ""
    password: Password = field(default_factory=lambda: Password(""))
    consistency: str = "LOCAL_QUORUM"
    max_in_flight: int = 128
    connect_timeout_s: float = 5.0
    request_timeout_s: float = 10.0
    tls: TlsSettings | None = None

    def __post_init__(self) -> None:
        if self.consistency not in CONSISTENCY_LEVELS:
            near = did_you_mean(self.consistency, CONSISTENCY_LEVELS)
            raise ConfigError(f"consistency {self.consistency!r} is not one of {', '.join(CONSISTENCY_LEVELS)}{near}")
        if not 1 <= self.max_in_flight <= MAX_IN_FLIGHT_LIMIT:
            raise ConfigError(f"max in flight {self.max_in_flight} is not between 1 and {MAX_IN_FLIGHT_LIMIT}")

    @property
    def where(self) -> str:
        """Hosts and port for messages."""
        return ",".join(f"{host}:{self.port}" for host in self.contact_points)

    @property
    def consistency_level(self) -> int:
        """The driver's number of the level."""
        return int(ConsistencyLevel.name_to_value[self.consistency])

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> CassandraSettings:
        """Read `CASSANDRA_CONTACT_POINTS`, `CASSANDRA_PORT` and `CASSANDRA_LOCAL_DATACENTER`.

        Raises:
            ConfigError: The port is no number.
        """
        env = os.environ if env is None else env
        port = env.get("CASSANDRA_PORT", "9042")
        if not port.isdigit():
            raise ConfigError(f"CASSANDRA_PORT: {port!r} is no port", key="CASSANDRA_PORT")
        hosts = tuple(host.strip() for host in env.get("CASSANDRA_CONTACT_POINTS", "").split(",") if host.strip())
        return cls(hosts or ("127.0.0.1",), int(port), env.get("CASSANDRA_LOCAL_DATACENTER", ""))
