"""Redis: look-ups gathered into few requests."""

from __future__ import annotations

from connectors.clients.redis.address import redis_address
from connectors.clients.redis.client import RedisClient
from connectors.clients.redis.settings import RedisSettings

__all__ = ["RedisClient", "RedisSettings", "redis_address"]
