"""Connections to the server: PyMySQL's errors become the connector's, with one sentence for the user."""

from __future__ import annotations

import re
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pymysql
from pymysql.constants import COMMAND
from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.event import RotateEvent

from connectors.api.config import Password
from connectors.api.errors import ConfigError, ConnectError, FatalError, RetriableError
from connectors.sources.mysql.gtids import MySqlGtids
from connectors.sources.mysql.position import Position

__all__ = ["Address", "BinlogChannel", "PacketBuffer", "PurgedError", "Tls", "connect", "cut", "translate"]

CONNECT_TIMEOUT_S: Final = 10.0
SILENCE_S: Final = 10.0
"""The server sends a heartbeat every third of this; a connection that is silent for longer is dead."""

_DENIED: Final = frozenset({1044, 1045, 1142, 1227, 1698, 3118, 3955})
_HOST_DENIED: Final = frozenset({1129, 1130})
_READ_ERROR: Final = 1236
_PURGED: Final = re.compile(
    r"purged|could not find first log|not found in the binary log index|older than", re.IGNORECASE
)
_ANY_GTID: Final = "00000000-0000-0000-0000-000000000001:1"
_GTIDS_AT: Final = 4 + 1 + 2 + 4 + 4 + 3 + 8
"""Where the size of the GTIDs stands in the library's request: after packet head, command, flags, server id, name."""
_FLAGS_AT: Final = 4 + 1 + 4
"""Where the flags stand in the request by file or of MariaDB: after packet head, command, position."""
_ANNOTATIONS: Final = 2
_BUFFER_BYTES: Final = 1 << 18


class PurgedError(FatalError):
    """The server no longer has the binlog at the position that is asked for."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Encryption of connections.

    Attributes:
        mode: disabled, required, verify_ca or verify_identity.
        ca: File of the authorities' certificates; None: the system's.
        cert: File of this client's certificate, or None.
        key: File of its key, or None.
    """

    mode: str = "disabled"
    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def context(self) -> ssl.SSLContext | None:
        """Return what connections are encrypted with; None: they are not.

        Raises:
            ConfigError: A file cannot be used.
        """
        if self.mode == "disabled":
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca)
            context.check_hostname = self.mode == "verify_identity"
            if self.mode == "required":
                context.verify_mode = ssl.CERT_NONE
            if self.cert:
                context.load_cert_chain(self.cert, self.key)
        except OSError as error:
            raise ConfigError(
                f"A file of database.ssl.ca, .cert or .key cannot be used: {error}", key="database.ssl.ca"
            ) from None
        return context


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is and who asks.

    Attributes:
        host: Host name or address.
        port: TCP port.
        user: User name.
        password: Its password.
        tls: Encryption.
    """

    host: str
    port: int
    user: str
    password: Password
    tls: Tls = field(default_factory=Tls)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def translate(error: Exception, address: Address) -> ConnectError:
    """Return the connector's error for one of the driver; the message has no secret in it."""
    code, text = (*error.args, 0, "")[:2]
    if not isinstance(code, int):
        code, text = 0, str(error)
    if code in _DENIED:
        return ConfigError(
            f"MySQL at {address} refuses user {address.user!r} (error {code}):"
            " check database.user, database.password and the user's grants",
            key="database.user",
        )
    if code in _HOST_DENIED:
        return ConfigError(f"MySQL at {address} refuses connections from this host (error {code}): {text}")
    if code == _READ_ERROR:
        return _reading_failed(str(text), address)
    if isinstance(error, pymysql.err.ProgrammingError | pymysql.err.NotSupportedError | pymysql.err.DataError):
        return FatalError(f"MySQL at {address}: error {code}: {text}")
    return RetriableError(f"MySQL at {address} is out of reach: {text or repr(error)}")


def _reading_failed(text: str, address: Address) -> ConnectError:
    if _PURGED.search(text):
        return PurgedError(
            f"MySQL at {address} no longer has the binlog at the stored position: {text}."
            " Changes since then are lost to this source. Delete the connector's offsets and take a new snapshot"
            " (snapshot.mode=initial), or have it done (snapshot.mode=when_needed), and keep binlogs for longer"
            " (binlog_expire_logs_seconds)",
        )
    if "same server_uuid" in text or "same server_id" in text:
        return FatalError(
            f"MySQL at {address}: another reader has the same server id: give this connector its own"
            " with database.server.id",
        )
    return FatalError(f"MySQL at {address} cannot send the binlog: {text}")


@contextmanager
def translated(address: Address) -> Iterator[None]:
    """Turn the driver's errors inside the block into the connector's."""
    try:
        yield
    except (pymysql.err.Error, OSError, RuntimeError) as error:
        raise translate(error, address) from error


def settings(address: Address) -> dict[str, Any]:
    """Return PyMySQL's arguments."""
    return {
        "host": address.host,
        "port": address.port,
        "user": address.user,
        "password": address.password.value,
        "charset": "utf8mb4",
        "connect_timeout": CONNECT_TIMEOUT_S,
        **({"ssl": context} if (context := address.tls.context()) is not None else {"ssl_disabled": True}),
    }


def connect(address: Address, **options: Any) -> pymysql.Connection[Any]:
    """Open a connection for queries.

    Args:
        address: The server.
        **options: More arguments of `pymysql.connect`.

    Raises:
        ConfigError: The user is refused.
        RetriableError: The server is out of reach.
    """
    with translated(address):
        return pymysql.connect(**settings(address), **options)


class PacketBuffer:
    """Stands in for PyMySQL's read file: reads much at once, and knows whether a whole packet is here already."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._data = bytearray()
        self._at = 0

    def read(self, size: int) -> bytes:
        """Return so many bytes; fewer where the connection ended."""
        end = self._at + size
        while len(self._data) < end:
            chunk = self._sock.recv(max(_BUFFER_BYTES, end - len(self._data)))
            if not chunk:
                break
            if self._at:
                del self._data[: self._at]
                end -= self._at
                self._at = 0
            self._data += chunk
        result = bytes(self._data[self._at : end])
        self._at = min(end, len(self._data))
        return result

    def rest(self) -> bytes:
        """Return what was received and not read yet."""
        data = bytes(self._data[self._at :])
        self.close()
        return data

    def more(self, size: int) -> bytes:
        """Receive at least so many bytes; to be called when nothing waits to be read.

        Raises:
            OperationalError: The connection ended.
        """
        parts, received = [], 0
        while received < size:
            part = self._sock.recv(max(_BUFFER_BYTES, size - received))
            if not part:
                raise pymysql.err.OperationalError(2013, "Lost connection to MySQL server during query")
            parts.append(part)
            received += len(part)
        return b"".join(parts)

    @property
    def has_packet(self) -> bool:
        """Whether a read of the next packet would not wait."""
        ready = len(self._data) - self._at
        return ready >= 4 and ready >= 4 + int.from_bytes(self._data[self._at : self._at + 3], "little")

    def close(self) -> None:
        """Let go of what was read; PyMySQL closes the socket."""
        self._data.clear()
        self._at = 0


def _send_gtids(connection: Any, gtids: bytes) -> None:
    """Put our GTIDs into the library's request, as its own cannot have tags."""
    write = connection._write_bytes

    def write_bytes(packet: bytes) -> None:
        if len(packet) > _GTIDS_AT and packet[4] == COMMAND.COM_BINLOG_DUMP_GTID:
            request = packet[4:_GTIDS_AT] + struct.pack("<I", len(gtids)) + gtids
            packet = struct.pack("<I", len(request)) + request
        write(packet)

    connection._write_bytes = write_bytes


def _send_flag(connection: Any) -> None:
    """Ask for MariaDB's annotations in the library's request, which it does only where it starts by GTIDs."""
    write = connection._write_bytes

    def write_bytes(packet: bytes) -> None:
        if len(packet) > _FLAGS_AT and packet[4] == COMMAND.COM_BINLOG_DUMP:
            packet = packet[:_FLAGS_AT] + bytes([packet[_FLAGS_AT] | _ANNOTATIONS]) + packet[_FLAGS_AT + 1 :]
        write(packet)

    connection._write_bytes = write_bytes


class BinlogChannel:
    """Events of the binlog as bytes.

    mysql-replication logs in, agrees on checksums and heartbeats and asks for the binlog; after its first event the
    packets are read from its connection directly, because its own event objects cost more than all the rest, and its
    reconnecting replays or loses events (P2, P3).

    Args:
        address: The server.
        server_id: Id of this reader among the server's replicas.
        position: Where to start; only its boundary is used, and where it names no file, its GTIDs.
        flavor: `mysql` or `mariadb`.
        annotations: Whether MariaDB sends the texts of statements beside their rows.
    """

    def __init__(
        self, address: Address, server_id: int, position: Position, flavor: str, *, annotations: bool = False
    ) -> None:
        self._address = address
        self._annotations = annotations and flavor == "mariadb"
        self._buffer: PacketBuffer | None = None
        self._connection: Any = None
        self._opened: list[Any] = []
        self._closed = False
        arguments: dict[str, Any] = {"log_file": position.file, "log_pos": position.pos, "resume_stream": True}
        self._gtids: bytes | None = None
        if not position.file and flavor == "mariadb":
            arguments = {"auto_position": position.gtids, "is_mariadb": True}
        elif not position.file:
            arguments = {"auto_position": _ANY_GTID}
            self._gtids = MySqlGtids(position.gtids).encoded()
        self._stream = BinLogStreamReader(
            connection_settings={**settings(address), "read_timeout": SILENCE_S},
            server_id=server_id,
            blocking=True,
            slave_heartbeat=SILENCE_S / 3,
            only_events=[RotateEvent],
            enable_logging=False,
            pymysql_wrapper=self._connect,
            **arguments,
        )

    def open(self) -> tuple[str, int]:
        """Ask for the binlog.

        Returns:
            File and position of what comes next.

        Raises:
            ConfigError: The user is refused.
            FatalError: The server does not have that position.
            RetriableError: The server is out of reach.
        """
        with translated(self._address):
            first: Any = self._stream.fetchone()
            self._connection = self._stream._stream_connection
            self._buffer = self._connection._rfile
            self._stream._ctl_connection.close()
        return first.next_binlog, first.position

    def _connect(self, **arguments: Any) -> Any:
        if "db" in arguments:
            arguments["database"] = arguments.pop("db")  # the library uses the old name, which PyMySQL warns about
        connection: Any = pymysql.connect(**arguments)
        connection._rfile = PacketBuffer(connection._sock)
        if self._gtids is not None:
            _send_gtids(connection, self._gtids)
        if self._annotations:
            _send_flag(connection)
        self._opened.append(connection)
        if self._closed:
            raise RetriableError("stopped")
        return connection

    @property
    def has_event(self) -> bool:
        """Whether `read` would not wait."""
        return self._buffer is not None and self._buffer.has_packet

    def read(self) -> bytes:
        """Return the next event, header and checksum included.

        Raises:
            FatalError: The server cannot go on.
            RetriableError: The connection is lost.
        """
        with translated(self._address):
            packet = self._connection._read_packet()
        data: bytes = packet.get_all_data()
        if data[0] == 0xFE:
            raise RetriableError(f"MySQL at {self._address} ended the binlog stream")
        return data[1:]

    def interrupt(self) -> None:
        """End a waiting `open` or `read`. May be called from another thread."""
        self._closed = True
        for connection in list(self._opened):
            cut(connection)

    def close(self) -> None:
        """Release the connections; to be called by the thread that reads."""
        self.interrupt()
        for connection in self._opened:
            connection._force_close()


def cut(connection: Any) -> None:
    """Shut a connection's socket down: unlike closing, that wakes a thread that waits in it."""
    sock: socket.socket | None = connection._sock
    if sock is None:
        return
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other side was faster
