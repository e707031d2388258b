"""URLs of a Redis server, a cluster or a set of sentinels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from connectors.api.errors import ConfigError

__all__ = ["Hosts", "Topology", "parse_hosts", "redis_address", "topology_of"]

Topology = Literal["single", "cluster", "sentinel"]

_TOPOLOGIES: Final[dict[str, Topology]] = {
    "redis": "single",
    "rediss": "single",
    "unix": "single",
    "redis+cluster": "cluster",
    "rediss+cluster": "cluster",
    "redis+sentinel": "sentinel",
    "rediss+sentinel": "sentinel",
}
_PORTS: Final[dict[Topology, int]] = {"single": 6379, "cluster": 6379, "sentinel": 26379}


@dataclass(frozen=True, slots=True)
class Hosts:
    """What the URL of a cluster or of sentinels says.

    Attributes:
        hosts: Host and port of each node or sentinel that is asked for the others.
        tls: Whether they speak TLS.
        path: The parts after the hosts: none for a cluster; service and database for sentinels.
        username: User of the data nodes, if any.
        password: Its password, if any.
    """

    hosts: tuple[tuple[str, int], ...]
    tls: bool
    path: tuple[str, ...]
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def topology_of(url: str) -> Topology:
    """Return what the scheme of a URL stands for.

    Raises:
        ConfigError: It is no scheme of ours.
    """
    topology = _TOPOLOGIES.get(_split(url).scheme)
    if topology is None:
        raise ConfigError(
            f"the Redis URL must begin with one of {', '.join(f'{s}://' for s in _TOPOLOGIES)}", key="url"
        )
    return topology


def parse_hosts(url: str, topology: Topology) -> Hosts:
    """Read `scheme://[user:password@]host[:port],.../path`.

    Raises:
        ConfigError: It cannot be read, or has options after a question mark.
    """
    parts = _split(url)
    login, _, names = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    if parts.query:
        raise ConfigError("the Redis URL of a cluster or of sentinels takes no ?options", key="url")
    return Hosts(
        tuple(_host(name, _PORTS[topology]) for name in names.split(",")),
        parts.scheme.startswith("rediss"),
        tuple(unquote(part) for part in parts.path.split("/") if part),
        unquote(user) or None,
        unquote(password) or None,
    )


def redis_address(url: str) -> str:
    """Return a Redis URL without user, password and options, for messages.

    Raises:
        ConfigError: It is no such URL.
    """
    topology, parts = topology_of(url), _split(url)
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    names = parts.netloc.rpartition("@")[2].split(",")
    hosts = ",".join(
        f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        for host, port in (_host(name, _PORTS[topology]) for name in names)
    )
    return f"{parts.scheme}://{hosts}{parts.path}"


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise _unreadable() from None


def _host(text: str, default_port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text.strip()}")
        host, port = parts.hostname or "localhost", parts.port or default_port
    except ValueError:
        raise _unreadable() from None
    return host, port


def _unreadable() -> ConfigError:
    return ConfigError("the Redis URL cannot be read; write redis://host:port/database", key="url")
