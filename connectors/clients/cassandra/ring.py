"""Which hosts hold a partition, quickly: the driver's own look-up costs several microseconds a row."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

__all__ = ["Replicas", "Ring"]


@dataclass(frozen=True, slots=True, eq=False)
class Replicas:
    """Hosts that hold the same partitions; the same object for the same hosts, so that it is compared by identity.

    Attributes:
        hosts: The driver's hosts.
    """

    hosts: tuple[Any, ...]


class Ring:
    """The replicas of partitions, as the driver's metadata has them now.

    Args:
        metadata: The driver's cluster metadata.
    """

    def __init__(self, metadata: Any) -> None:
        self._metadata = metadata
        self._known: dict[frozenset[Any], Replicas] = {}
        self._keyspaces: dict[str, _Tokens] = {}

    def replicas(self, keyspace: str, routing_key: bytes) -> Replicas | None:
        """Return who holds a partition; None where the driver does not know."""
        token_map = self._metadata.token_map
        if token_map is None:
            return None
        hosts_of = token_map.tokens_to_hosts_by_ks.get(keyspace)
        tokens = self._keyspaces.get(keyspace)
        # The driver makes new maps when the ring or the keyspace changes, and knows no keyspace before the first asks.
        if tokens is None or tokens.source is not hosts_of or hosts_of is None:
            tokens = self._read(keyspace, token_map)
        if not tokens.values:
            return None
        token = token_map.token_class.hash_fn(routing_key)
        found = bisect_left(tokens.values, token)
        return tokens.replicas[found if found < len(tokens.values) else 0]

    def _read(self, keyspace: str, token_map: Any) -> _Tokens:
        self._metadata.get_replicas(keyspace, b"")
        source = token_map.tokens_to_hosts_by_ks.get(keyspace) or {}
        pairs = [(token.value, self._same(source[token])) for token in token_map.ring if token in source]
        made = _Tokens(source, [value for value, _ in pairs], [replicas for _, replicas in pairs])
        self._keyspaces[keyspace] = made
        return made

    def _same(self, hosts: Any) -> Replicas:
        return self._known.setdefault(frozenset(hosts), Replicas(tuple(hosts)))


@dataclass(slots=True)
class _Tokens:
    source: Any
    values: list[Any]
    replicas: list[Replicas]
