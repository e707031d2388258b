"""How to reach a Kudu cluster, and the check that somebody is there."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Final, Literal

from connectors.api.errors import ConfigError, ConnectError, FatalError, RetriableError
from connectors.clients.kudu.port import AWAY, FailureKind

__all__ = ["Backend", "ExistsError", "KuduSettings", "MissingTableError", "check_masters", "error_of"]

Backend = Literal["auto", "native", "jvm"]

_DEFAULT_PORT: Final = 7051
_PROBE_S: Final = 3.0


class MissingTableError(ConfigError):
    """There is no such table."""


class ExistsError(ConfigError):
    """There is such a table or column already."""


@dataclass(frozen=True, slots=True)
class KuduSettings:
    """How to reach a Kudu cluster.

    Attributes:
        masters: Addresses of all masters, `host[:port]` with commas between them.
        backend: Client library; auto takes kudu-python where it is installed, else the Java client.
        jars: Folder of the Java client's jars; None is `KUDU_CLIENT_JARS` or the default folder.
        operation_timeout_ms: Time for a write until its rows count as timed out, milliseconds.
        admin_timeout_ms: Time to look up or create a table, milliseconds.
        heap_mb: Heap of the JVM in MiB.
    """

    masters: str
    backend: Backend = "auto"
    jars: str | None = None
    operation_timeout_ms: int = 10_000
    admin_timeout_ms: int = 8_000
    heap_mb: int = 128

    def addresses(self) -> list[tuple[str, int]]:
        """Return host and port of each master.

        Raises:
            ConfigError: An address cannot be read, or there is none.
        """
        found = [_address(part.strip()) for part in self.masters.split(",") if part.strip()]
        if not found:
            raise ConfigError("Option kudu.masters must not be empty", key="kudu.masters")
        return found


def check_masters(settings: KuduSettings) -> None:
    """Return at once when a master takes connections.

    The client libraries themselves try until their time-out when nobody is there; that makes a poor first message.

    Raises:
        RetriableError: None of them does.
    """
    refusals = []
    for host, port in settings.addresses():
        try:
            socket.create_connection((host, port), timeout=_PROBE_S).close()
            return
        except OSError as error:
            refusals.append(f"{host}:{port}: {error}")
    raise RetriableError(f"no Kudu master answers ({'; '.join(refusals)})")


def error_of(kind: FailureKind, where: str, text: str) -> ConnectError:
    """Return the error for a failed call.

    Args:
        kind: What went wrong.
        where: What was tried, on which masters.
        text: Kudu's own words.
    """
    message = f"{where}: {text}"
    if kind in AWAY:
        return RetriableError(message)
    if kind is FailureKind.NOT_FOUND:
        return MissingTableError(message)
    if kind is FailureKind.ALREADY_PRESENT:
        return ExistsError(message)
    if kind is FailureKind.INVALID:
        return ConfigError(message)
    return FatalError(message)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon:
        return text, _DEFAULT_PORT
    if not host or not port.isdecimal():
        raise ConfigError(f"Option kudu.masters: {text!r} is no address; write host:port", key="kudu.masters")
    return host, int(port)
