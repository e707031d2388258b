"""What MySQL and MariaDB have in common: flags, users, probe, variables."""

from __future__ import annotations

import os
from abc import abstractmethod
from typing import ClassVar

import pymysql

from stack.packages import Unpacked, unpack
from stack.process import Spec
from stack.servers.base import Say, Server

__all__ = ["SqlServer"]

USER = "connect"
PASSWORD = "connect"  # a test server on 127.0.0.1

_USER_SQL = (
    f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}'",
    f"GRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION",
)


class SqlServer(Server):
    """A server that speaks MySQL's protocol and writes a row-based binlog with full metadata."""

    prefix: ClassVar[str]

    def __init_subclass__(cls) -> None:
        cls.port_names = ("sql",)
        cls.process_names = (cls.name,)

    package: ClassVar[tuple[str, str]]

    def program(self, say: Say | None = None) -> Unpacked:
        """Return the unpacked server."""
        return unpack(self.home, *self.package, say)

    @abstractmethod
    def binary(self) -> str:
        """Return the path of the server's program in its folder."""

    @abstractmethod
    def extra_flags(self) -> list[str]:
        """Return flags of this server alone."""

    def download(self, say: Say) -> None:
        self.program(say)

    def flags(self) -> list[str]:
        """Return the flags that both need."""
        return [
            "--no-defaults",
            f"--datadir={self.data}/db",
            f"--socket={self.data}/mysql.sock",
            f"--pid-file={self.data}/mysql.pid",
            "--bind-address=127.0.0.1",
            f"--port={self.ports['sql']}",
            "--secure-file-priv=",
            # Refused for root otherwise; the stack binds to 127.0.0.1 and holds test data.
            *(["--user=root"] if os.geteuid() == 0 else []),
            "--server-id=1",
            "--log-bin=binlog",
            "--binlog-format=ROW",
            "--binlog-row-image=FULL",
            "--binlog-row-metadata=FULL",
            "--innodb-buffer-pool-size=128M",
            "--innodb-flush-log-at-trx-commit=2",
            "--sync-binlog=0",
            "--performance-schema=OFF",
            "--character-set-server=utf8mb4",
            "--max-connections=100",
            *self.extra_flags(),
        ]

    def specs(self) -> list[Spec]:
        return [Spec(self.name, self.program().argv(self.binary(), *self.flags()), os.environ, self.data)]

    def probe(self) -> None:
        pymysql.connect(host="127.0.0.1", port=self.ports["sql"], user="root", connect_timeout=2).close()

    def after_start(self) -> None:
        with pymysql.connect(host="127.0.0.1", port=self.ports["sql"], user="root") as connection:
            for statement in _USER_SQL:
                connection.cursor().execute(statement)

    def environment(self) -> dict[str, str]:
        values = {"HOST": "127.0.0.1", "PORT": str(self.ports["sql"]), "USER": USER, "PASSWORD": PASSWORD}
        return {f"{self.prefix}_{key}": value for key, value in values.items()}
