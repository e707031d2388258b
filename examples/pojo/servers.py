"""The servers of the job, as the environment names them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import pymysql
import redis
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import DCAwareRoundRobinPolicy, TokenAwarePolicy
from cassandra.query import tuple_factory
from pymysql.cursors import Cursor

from connectors.clients.kafka import KafkaSettings
from connectors.clients.kudu.jvm_client import JvmKuduClient
from connectors.clients.kudu.settings import KuduSettings

__all__ = ["NAMES", "Servers"]

NAMES = ("kafka", "mysql", "redis", "cassandra", "kudu")
"""What `stack` has to start for the job."""


@dataclass(frozen=True, slots=True)
class Servers:
    """Opens connections.

    Attributes:
        env: The variables that `python -m stack env` prints.
    """

    env: Mapping[str, str]

    @classmethod
    def from_env(cls) -> Self:
        """Take this process's environment."""
        return cls(dict(os.environ))

    @property
    def kafka(self) -> KafkaSettings:
        """Where Kafka is."""
        return KafkaSettings.from_env(self.env)

    def mysql(self, cursor: type[Cursor] = Cursor) -> pymysql.Connection[Any]:
        """Connect to MySQL, without autocommit."""
        return pymysql.connect(
            host=self.env.get("MYSQL_HOST", "127.0.0.1"),
            port=int(self.env.get("MYSQL_PORT", "3306")),
            user=self.env.get("MYSQL_USER", "root"),
            password=self.env.get("MYSQL_PASSWORD", ""),
            charset="utf8mb4",
            cursorclass=cursor,
        )

    def redis(self) -> redis.Redis:
        """Connect to Redis."""
        return redis.Redis.from_url(self.env["REDIS_URL"])

    @contextmanager
    def cassandra(self) -> Iterator[Any]:
        """Open a session of the driver that returns tuples."""
        policy = TokenAwarePolicy(DCAwareRoundRobinPolicy(self.env.get("CASSANDRA_LOCAL_DATACENTER", "")))
        profile = ExecutionProfile(load_balancing_policy=policy, row_factory=tuple_factory, request_timeout=30.0)
        hosts = self.env.get("CASSANDRA_CONTACT_POINTS", "127.0.0.1").split(",")
        cluster = Cluster(
            hosts,
            port=int(self.env.get("CASSANDRA_PORT", "9042")),
            execution_profiles={EXEC_PROFILE_DEFAULT: profile},
            connect_timeout=10.0,
            control_connection_timeout=10.0,
        )
        try:
            yield cluster.connect()
        finally:
            cluster.shutdown()

    @contextmanager
    def kudu(self) -> Iterator[JvmKuduClient]:
        """Open a Kudu client; its JVM stays in this process."""
        client = JvmKuduClient(KuduSettings(self.env["KUDU_MASTERS"], jars=self.env.get("KUDU_CLIENT_JARS")))
        try:
            yield client
        finally:
            client.close()
