"""How to reach Redis."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff

from connectors.api.errors import ConfigError

__all__ = ["RedisSettings", "redis_address"]

_SCHEMES: Final = ("redis", "rediss", "unix")
_RETRY_PAUSE_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """How to reach Redis.

    Attributes:
        url: `redis://`, `rediss://` (TLS) or `unix://`, with user, password and database as redis-py reads them.
        tls_verify: Whether the server's certificate must be trusted; false for Heroku's self-signed ones.
        connections: Most connections, hence most requests at a time.
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

    def __post_init__(self) -> None:
        redis_address(self.url)
        for name, least in (("connections", 1), ("max_batch", 1), ("retries", 0)):
            if getattr(self, name) < least:
                raise ConfigError(f"Redis: {name} must be at least {least}", key=name)
        for name in ("connect_timeout_s", "timeout_s"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"Redis: {name} must be more than 0 seconds", key=name)

    def client(self) -> Redis:
        """Return a driver client; it connects with its first command."""
        tls: dict[str, Any] = {}
        if urlsplit(self.url).scheme == "rediss" and not self.tls_verify:
            tls = {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
        try:
            return Redis.from_url(
                self.url,
                max_connections=self.connections,
                socket_connect_timeout=self.connect_timeout_s,
                socket_timeout=self.timeout_s,
                retry=Retry(ConstantBackoff(_RETRY_PAUSE_S), self.retries),
                # RESP3 costs more round trips at connect and gives these commands nothing.
                protocol=2,
                **tls,
            )
        except ValueError as error:
            raise ConfigError(f"Redis {redis_address(self.url)}: {error}", key="url") from None


def redis_address(url: str) -> str:
    """Return a Redis URL without user and password, for messages.

    Raises:
        ConfigError: It is no such URL.
    """
    try:
        parts: SplitResult = urlsplit(url)
        port = parts.port or 6379
    except ValueError:
        raise ConfigError("the Redis URL cannot be read; write redis://host:port/database", key="url") from None
    if parts.scheme not in _SCHEMES:
        raise ConfigError("the Redis URL must begin with redis://, rediss:// or unix://", key="url")
    if parts.scheme == "unix":
        return f"unix://{parts.path}"
    return f"{parts.scheme}://{parts.hostname or 'localhost'}:{port}{parts.path}"
