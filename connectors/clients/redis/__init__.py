"""Redis: look-ups gathered into few requests."""

from __future__ import annotations

from connectors.clients.redis.client import RedisClient
from connectors.clients.redis.settings import RedisSettings, redis_address

__all__ = ["RedisClient", "RedisSettings", "redis_address"]
