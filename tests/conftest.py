"""Real servers for the tests, started once through `stack` and shared by all."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from xdist.scheduler import LoadScopeScheduling

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


# Folders whose tests change a server that others of them read: all of a name run in one process, one after the other.
_ONE_BY_ONE = {"sources": "binlog", "plugins": "binlog", "sinks": "tables", "stack": "tables"}


class _ByServer(LoadScopeScheduling):  # type: ignore[misc]
    """Deals the tests out by file, but for those that share a server."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        return _ONE_BY_ONE.get(file.split("/")[-2], file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Tell `pytest -n 2` which tests may run at the same time."""
    return _ByServer(config, log)
