"""Which worker runs what: spread within one of each other, moving only what must move."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from connectors.runtime.settings import Role
from connectors.runtime.store import Placement

__all__ = ["Demand", "place"]


@dataclass(frozen=True, slots=True)
class Demand:
    """A connector that should have a place.

    Attributes:
        name: The connector.
        kind: `source` or `sink`: which workers may take it.
        tasks: Number of its tasks; none while it is stopped.
    """

    name: str
    kind: Role
    tasks: int


def place(demands: list[Demand], workers: Mapping[str, Role], now: Placement) -> Placement:
    """Return the placement that fits, as near as possible to the present one.

    Args:
        demands: What needs a place.
        workers: Living workers and their roles.
        now: The present placement.

    Returns:
        `now` itself where nothing changes; else a placement with the next epoch.
    """
    connectors: dict[str, str] = {}
    tasks: dict[str, str] = {}
    for kind in ("source", "sink"):
        able = sorted(worker for worker, role in workers.items() if role in (kind, "all"))
        mine = [demand for demand in demands if demand.kind == kind]
        wanted = [f"{demand.name}-{number}" for demand in mine for number in range(demand.tasks)]
        connectors |= _spread([demand.name for demand in mine], able, now.connectors)
        tasks |= _spread(wanted, able, now.tasks)
    if connectors == now.connectors and tasks == now.tasks:
        return now
    return Placement(now.epoch + 1, connectors, tasks)


def _spread(items: list[str], workers: list[str], now: Mapping[str, str]) -> dict[str, str]:
    """Give each item a worker: keep those that have one, fill the gaps, then even out."""
    if not workers:
        return {}
    kept = {item: now[item] for item in items if now.get(item) in workers}
    load = Counter(dict.fromkeys(workers, 0))
    load.update(kept.values())
    for item in items:
        if item not in kept:
            kept[item] = _least(load)
            load[kept[item]] += 1
    while max(load.values()) - min(load.values()) > 1:
        rich = max(load, key=lambda worker: load[worker])
        moved = next(item for item in reversed(items) if kept[item] == rich)
        kept[moved] = _least(load)
        load[rich] -= 1
        load[kept[moved]] += 1
    return kept


def _least(load: Counter[str]) -> str:
    return min(load, key=lambda worker: (load[worker], worker))
