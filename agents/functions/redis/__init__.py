"""`AsyncRedisRequest`: columns from Redis for every row, and a guard that lets only the latest change of a key pass."""

from __future__ import annotations

from agents.functions.redis.function import AsyncRedisRequest

__all__ = ["AsyncRedisRequest"]
