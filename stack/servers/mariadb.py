"""MariaDB 10.11 from Debian bookworm."""

from __future__ import annotations

import os
import subprocess
from typing import ClassVar

from stack.errors import StackError
from stack.servers.sql import SqlServer

__all__ = ["MariaDb"]

_SCRIPTS = ("mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql")


class MariaDb(SqlServer):
    """MariaDB."""

    name = "mariadb"
    prefix: ClassVar = "MARIADB"
    package: ClassVar = ("bookworm", "mariadb-server-core")

    def binary(self) -> str:
        return "usr/sbin/mariadbd"

    def extra_flags(self) -> list[str]:
        share = self.program().root / "usr/share"
        messages = next(file.parent.parent for file in share.glob("m*/english/errmsg.sys"))
        plugins = self.program().root / "usr/lib/mysql/plugin"
        return [f"--lc-messages-dir={messages}", f"--character-sets-dir={messages}/charsets", f"--plugin-dir={plugins}"]

    def initialise(self) -> None:
        # What mariadb-install-db does, with a root that needs no password on 127.0.0.1.
        (self.data / "db").mkdir()
        share = self.program().root / "usr/share/mysql"
        sql = ["CREATE DATABASE mysql;", "USE mysql;", "SET @auth_root_socket=NULL, @skip_auth_anonymous=1;"]
        sql += [(share / script).read_text() for script in _SCRIPTS]
        sql.append(_ROOT)
        flags = [flag for flag in self.flags() if not flag.startswith(("--log-bin", "--port", "--bind"))]
        argv = self.program().argv(self.binary(), *flags, "--bootstrap", "--skip-networking")
        done = subprocess.run(argv, env=os.environ, input="\n".join(sql), capture_output=True, text=True, check=False)
        if done.returncode:
            raise StackError(f"mariadb: making the data folder failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


_ROOT = """
REPLACE INTO global_priv VALUES ('127.0.0.1', 'root', '{"access":18446744073709551615}');
REPLACE INTO global_priv VALUES ('localhost', 'root', '{"access":18446744073709551615}');
"""
