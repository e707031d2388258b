"""The latest-wins guard: a change that is older than one already seen for its key does not pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from agents.functions.redis.template import KeyTemplate
from connectors.api.errors import ConfigError
from connectors.clients.redis import RedisClient

__all__ = ["LATE_HEADER", "Guard", "parse_guard"]

LATE_HEADER: Final = "connect.late"
"""Header of a message with late rows under `on_late: mark`: their comma-separated indices in `data`."""

# Compares and keeps in one step, so that two workers cannot both think they are the newest. Equal times pass: after a
# crash the same change comes again. A number of microseconds is exact in Lua until the year 2255.
_SCRIPT: Final = """\
local seen = tonumber(redis.call('GET', KEYS[1]))
if seen and tonumber(ARGV[1]) < seen then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""


@dataclass(frozen=True, slots=True)
class Guard:
    """Keeps the newest `ts_us` of each key in Redis.

    Attributes:
        template: Makes the key; it should name the key columns of the row and have a prefix of its own.
        ttl_s: How long a key is remembered after its last change, seconds.
        on_late: Whether a late row is dropped, or its message gets the header `connect.late`.
    """

    template: KeyTemplate
    ttl_s: int = 86_400
    on_late: Literal["drop", "mark"] = "drop"

    async def passes(self, client: RedisClient, row: dict[str, Any], ts_us: int) -> bool:
        """Tell whether no newer change of the row's key was seen; a key with a null field always passes."""
        key = self.template.key(row)
        return key is None or await client.eval(_SCRIPT, key, ts_us, self.ttl_s) == 1


def parse_guard(key: str | None = None, ttl_s: int = 86_400, on_late: str = "drop") -> Guard:
    """Check the options of the guard.

    Raises:
        ConfigError: One of them cannot be used.
    """
    if not key:
        raise ConfigError("Missing option guard.key, e.g. latest:pojo:{aid}", key="guard.key")
    if ttl_s < 1:
        raise ConfigError("Option guard.ttl_s must be at least 1 second", key="guard.ttl_s")
    if on_late not in ("drop", "mark"):
        raise ConfigError(f"Option guard.on_late: {on_late!r} is not drop or mark", key="guard.on_late")
    return Guard(KeyTemplate(key, "guard.key"), ttl_s, "mark" if on_late == "mark" else "drop")
