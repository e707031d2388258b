"""Redis from Debian."""

from __future__ import annotations

import os
from typing import ClassVar

import redis

from stack.packages import unpack
from stack.process import Spec
from stack.servers.base import Say, Server

__all__ = ["Redis"]


class Redis(Server):
    """Redis 7, appending to a file so that data outlives a restart."""

    name = "redis"
    port_names: ClassVar = ("redis",)
    process_names: ClassVar = ("redis",)

    def download(self, say: Say) -> None:
        unpack(self.home, "bookworm", "redis-server", say)

    def initialise(self) -> None:
        return

    def specs(self) -> list[Spec]:
        options = {"bind": "127.0.0.1", "port": str(self.ports["redis"]), "dir": str(self.data), "appendonly": "yes"}
        flags = [word for key, value in options.items() for word in (f"--{key}", value)]
        argv = unpack(self.home, "bookworm", "redis-server").argv("usr/bin/redis-server", *flags)
        return [Spec("redis", argv, os.environ, self.data)]

    def probe(self) -> None:
        with redis.Redis(port=self.ports["redis"], socket_timeout=1, socket_connect_timeout=1) as client:
            client.ping()

    def environment(self) -> dict[str, str]:
        return {"REDIS_URL": f"redis://127.0.0.1:{self.ports['redis']}/0"}
