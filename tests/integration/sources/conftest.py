from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.integration.sources.harness import Database


@pytest.fixture(scope="session", params=["mysql", "mariadb"])
def database(request: pytest.FixtureRequest, servers: Callable[..., dict[str, str]]) -> Database:
    """Each of the real servers in turn."""
    flavor = str(request.param)
    env = servers(flavor)
    prefix = flavor.upper()
    return Database(
        flavor,
        env[f"{prefix}_HOST"],
        int(env[f"{prefix}_PORT"]),
        env[f"{prefix}_USER"],
        env[f"{prefix}_PASSWORD"],
    )


@pytest.fixture
def schema(database: Database, unique: str) -> Iterator[str]:
    """A database of the test's own on that server."""
    database.run(f"CREATE DATABASE {unique}")
    yield unique
    database.run(f"DROP DATABASE {unique}")
