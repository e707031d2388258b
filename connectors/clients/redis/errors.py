"""The one place where the driver's errors become ours."""

from __future__ import annotations

from typing import Final

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,  # noqa: A004 - the driver's name
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    TimeoutError,  # noqa: A004 - the driver's name
    TryAgainError,
)

from connectors.api.errors import ConfigError, ConnectError, DataError, RetriableError

__all__ = ["translate"]

_DENIED: Final = (AuthenticationError, AuthorizationError, NoPermissionError)
_TRANSIENT: Final = (
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    TimeoutError,
    TryAgainError,
    OSError,
)
_TRANSIENT_WORDS: Final = ("BUSY", "LOADING", "MASTERDOWN", "MISCONF", "NOREPLICAS", "UNKILLABLE")


def translate(error: Exception, address: str) -> ConnectError:
    """Return our error for one of the driver's, which becomes its cause.

    Args:
        error: What the driver raised or answered.
        address: The server, without user and password.
    """
    if isinstance(error, ConnectError):
        return error
    ours = _ours(error, f"Redis {address}")
    ours.__cause__ = error
    return ours


def _ours(error: Exception, where: str) -> ConnectError:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        hint = "name its authority in tls_ca, or set tls_verify to false if it is meant to be self-signed"
        return ConfigError(f"{where}: the server's certificate is not trusted; {hint}", key="tls_verify")
    # The driver wraps what the last node it asked for the cluster's layout said.
    if isinstance(error, RedisClusterException) and isinstance(error.__cause__, Exception):
        error = error.__cause__
    if "Cluster mode is not enabled" in str(error):
        return ConfigError(f"{where}: this server is no cluster; write redis://host:port without cluster", key="url")
    # A refused log-in is a connection error to the driver, so this comes first.
    if isinstance(error, _DENIED):
        return ConfigError(f"{where}: {error}", key="url")
    if isinstance(error, _TRANSIENT) or str(error).startswith(_TRANSIENT_WORDS):
        return RetriableError(f"{where}: {error or type(error).__name__}")
    return DataError(f"{where}: {error}")
