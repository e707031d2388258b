"""Real servers for the tests, started once through `stack` and shared by all."""

from __future__ import annotations

import os
from collections.abc import Callable
from uuid import uuid4

import pytest

import stack


@pytest.fixture(scope="session")
def servers() -> Callable[..., dict[str, str]]:
    """Start servers by name and put their addresses into the environment; returns those variables."""

    def start(*names: str) -> dict[str, str]:
        env = stack.up(list(names))
        os.environ.update(env)
        return env

    return start


@pytest.fixture(scope="session")
def kafka(servers: Callable[..., dict[str, str]]) -> str:
    """Bootstrap servers of a real Kafka."""
    return servers("kafka")["KAFKA_BOOTSTRAP_SERVERS"]


@pytest.fixture(scope="session")
def redis_url(servers: Callable[..., dict[str, str]]) -> str:
    """URL of a real Redis."""
    return servers("redis")["REDIS_URL"]


@pytest.fixture(scope="session")
def cassandra(servers: Callable[..., dict[str, str]]) -> tuple[str, int]:
    """Host and port of a real Cassandra."""
    env = servers("cassandra")
    return env["CASSANDRA_CONTACT_POINTS"], int(env["CASSANDRA_PORT"])


@pytest.fixture(scope="session")
def kudu(servers: Callable[..., dict[str, str]]) -> str:
    """Masters of a real Kudu."""
    return servers("kudu")["KUDU_MASTERS"]


@pytest.fixture
def unique() -> str:
    """A short name that no other test uses."""
    return f"t{uuid4().hex[:8]}"
