"""The one seam where the driver's errors become ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cassandra import (
    AlreadyExists,
    AuthenticationFailed,
    ConfigurationException,
    DriverException,
    InvalidRequest,
    Unauthorized,
    UnsupportedOperation,
)
from cassandra.cluster import NoHostAvailable
from cassandra.connection import ConnectionException
from cassandra.protocol import ErrorMessage, SyntaxException

from connectors.api.errors import ConfigError, ConnectError, DataError, FatalError, RetriableError

__all__ = ["ReasonError", "SchemaChangedError", "translate", "translated"]

DRIVER_ERRORS: Final = (DriverException, NoHostAvailable, ConnectionException, ErrorMessage, OSError)

_SCHEMA_SIGNS: Final = (
    "undefined column",
    "unknown identifier",
    "unconfigured table",
    "unknown keyspace",
    "does not exist",
    "was dropped",
)


class ReasonError(ValueError):
    """A value that does not fit, with a text that helps the reader."""


class SchemaChangedError(RetriableError):
    """The table is not what it was when the statement was prepared: read its schema again, then try again."""


def translate(error: BaseException, where: str) -> ConnectError:
    """Return what the caller must do about a driver's error.

    Args:
        error: As the driver raised it.
        where: Host and port, for messages.
    """
    if isinstance(error, ConnectError):
        return error
    refused = _credentials(error)
    if refused is not None:
        return refused
    if isinstance(error, InvalidRequest):
        text = str(error)
        if any(sign in text.lower() for sign in _SCHEMA_SIGNS):
            return SchemaChangedError(f"Cassandra at {where}: {_one_line(text)}")
        return DataError(f"Cassandra refused the row: {_one_line(text)}")
    if isinstance(error, Unauthorized | AlreadyExists | ConfigurationException):
        return ConfigError(f"Cassandra at {where}: {_one_line(str(error))}")
    if isinstance(error, SyntaxException | UnsupportedOperation):
        return FatalError(f"Cassandra at {where}: {_one_line(str(error))}")
    if isinstance(error, DriverException) and "decoding" in str(error).lower():
        return DataError(f"Cassandra holds a value that cannot be read: {_one_line(str(error))}")
    if isinstance(error, NoHostAvailable):
        return RetriableError(f"Cassandra at {where} cannot be reached: {_reasons(error)}")
    if not isinstance(error, DRIVER_ERRORS):
        return FatalError(f"Cassandra at {where}: {type(error).__name__}: {_one_line(str(error))}")
    # Time-outs, missing replicas, overload, lost connections: the driver has a class for each, all of them pass.
    return RetriableError(f"Cassandra at {where}: {type(error).__name__}: {_one_line(str(error))}")


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Raise our errors for the driver's within the block."""
    try:
        yield
    except DRIVER_ERRORS as error:
        # The cause is left out on purpose where it could quote credentials; the sentence holds what is known.
        raise translate(error, where) from (None if _credentials(error) else error)


def _credentials(error: BaseException) -> ConfigError | None:
    # The driver gives a dict of host to error, or the bare list of hosts where it tried none of them.
    tried = error.errors if isinstance(error, NoHostAvailable) and isinstance(error.errors, dict) else {}
    causes = [error, *tried.values()]
    if any(isinstance(cause, AuthenticationFailed) for cause in causes):
        return ConfigError(
            "Cassandra refused the user name or the password; check cassandra.username and cassandra.password",
            key="cassandra.username",
        )
    return None


def _reasons(error: NoHostAvailable) -> str:
    errors = error.errors if isinstance(error.errors, dict) else {}
    texts = {_one_line(f"{type(cause).__name__} {cause}") for cause in errors.values()}
    return "; ".join(sorted(texts)) or "no host is up in the local datacenter"


def _one_line(text: str, limit: int = 300) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[:limit]}..."
