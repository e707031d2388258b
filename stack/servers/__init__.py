"""The servers, each in a file of its own."""

from __future__ import annotations

from stack.home import Home
from stack.servers.base import Server
from stack.servers.cassandra import Cassandra
from stack.servers.kafka import Kafka
from stack.servers.kudu import Kudu
from stack.servers.mariadb import MariaDb
from stack.servers.mysql import MySql
from stack.servers.redis import Redis

__all__ = ["NAMES", "Server", "make"]

_CLASSES: dict[str, type[Server]] = {
    "kafka": Kafka,
    "mysql": MySql,
    "mariadb": MariaDb,
    "redis": Redis,
    "cassandra": Cassandra,
    "kudu": Kudu,
}
NAMES = tuple(_CLASSES)


def make(name: str, home: Home | None = None) -> Server:
    """Return the server of that name."""
    return _CLASSES[name](home or Home.default())
