"""MySQL 9 from Debian sid, whose packages run on any Debian through their own dynamic loader."""

from __future__ import annotations

import os
import subprocess
from typing import ClassVar

from stack.errors import StackError
from stack.servers.sql import SqlServer

__all__ = ["MySql"]


class MySql(SqlServer):
    """MySQL with GTIDs on."""

    name = "mysql"
    prefix: ClassVar = "MYSQL"
    package: ClassVar = ("sid", "mysql-server-core")

    def binary(self) -> str:
        return "usr/sbin/mysqld"

    def extra_flags(self) -> list[str]:
        share = self.program().root / "usr/share"
        messages = next(file.parent.parent for file in share.glob("mysql*/english/errmsg.sys"))
        gtid = ["--gtid-mode=ON", "--enforce-gtid-consistency=ON"]
        return ["--mysqlx=0", f"--lc-messages-dir={messages}", f"--character-sets-dir={messages}/charsets", *gtid]

    def initialise(self) -> None:
        argv = self.program().argv(self.binary(), *self.flags(), "--initialize-insecure")
        done = subprocess.run(argv, env=os.environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StackError(f"mysql: making the data folder failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
