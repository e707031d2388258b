"""`AsyncCassandraRequest`: look-ups in Cassandra and its insert-style update."""

from __future__ import annotations

from agents.functions.cassandra.function import AsyncCassandraRequest

__all__ = ["AsyncCassandraRequest"]
