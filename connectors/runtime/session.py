"""Signs the calls of one worker to another with a key that only those who may read the config topic know.

Source: Kafka Connect's KIP-507 (internal request signatures by a session key, renewed by the leader).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from typing import Any

from connectors.runtime.store import Store

__all__ = ["SessionKeys"]


class SessionKeys:
    """The present key and the one before it.

    Args:
        store: The cluster's memory; the keys are its `session-key`.
    """

    LIFE_S = 3600.0
    # Clocks of workers may differ by so much.
    SKEW_S = 60.0

    def __init__(self, store: Store) -> None:
        self._store = store

    async def renew(self) -> None:
        """Make a new key where there is none, or where it is old; the leader does that."""
        entry = self._entry()
        now = time.time()
        if entry is None or now - entry["created_ms"] / 1000 > self.LIFE_S:
            new = base64.b64encode(secrets.token_bytes(32)).decode()
            former = [] if entry is None else entry["keys"][:1]
            value = {"keys": [new, *former], "created_ms": int(now * 1000)}
            await self._store.configs.write("session-key", value)

    def sign(self, text: bytes) -> str | None:
        """Return the signature of a text, or None while there is no key."""
        keys = self._keys()
        return _signature(keys[0], text) if keys else None

    def verify(self, text: bytes, signature: str, made_at: str) -> bool | None:
        """Tell whether a signature was made by a worker of this cluster, just now; None while there is no key."""
        keys = self._keys()
        if not keys:
            return None
        recent = made_at.isdigit() and abs(time.time() - int(made_at) / 1000) <= self.SKEW_S
        given = signature.encode(errors="replace")
        return recent and any(hmac.compare_digest(_signature(key, text).encode(), given) for key in keys)

    def _entry(self) -> Any:
        return self._store.configs.data.get("session-key")

    def _keys(self) -> list[bytes]:
        entry = self._entry()
        return [] if entry is None else [base64.b64decode(key) for key in entry["keys"]]


def _signature(key: bytes, text: bytes) -> str:
    return hmac.new(key, text, hashlib.sha256).hexdigest()
