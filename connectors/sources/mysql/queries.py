"""A connection for queries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from connectors.sources.mysql.connection import Address, connect, translated
from connectors.sources.mysql.preflight import Ask

__all__ = ["queries"]


@contextmanager
def queries(address: Address) -> Iterator[Ask]:
    """Open a connection for queries, for the length of the block.

    Raises:
        ConfigError: The user is refused.
        RetriableError: The server is out of reach.
    """
    with closing(connect(address)) as connection, connection.cursor() as cursor:

        def ask(sql: str, *values: Any) -> Sequence[Sequence[Any]]:
            with translated(address):
                cursor.execute(sql, values or None)
                return list(cursor.fetchall())

        yield ask
