"""Histories of rows for the fault tests of sinks: what goes into Kafka, and what may stand in the table at any time."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import confluent_kafka as ck
import orjson
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

PARTITIONS = 4
FIRST_US = 1_700_000_000_000_000

Row = tuple[str | None, int, Decimal]
"""Columns v, n and amount."""


@dataclass(frozen=True)
class Change:
    """One change of a row; `row` is None for a delete."""

    key: str
    op: str
    ts_us: int
    row: Row | None
    columns: dict[str, str | None]


@dataclass(frozen=True)
class Stored:
    """A row of the table, and the timestamp that it was written with, where the target has one."""

    row: Row
    ts_us: int


class History:
    """Changes of some keys in a random order of operations, the same for the same numbers."""

    def __init__(self, changes: int, keys: int, seed: int = 1) -> None:
        rng = random.Random(seed)
        alive: dict[str, dict[str, str | None]] = {}
        # Partition to its changes, in order of offsets.
        self.partitions: list[list[Change]] = [[] for _ in range(PARTITIONS)]
        self.total = changes
        for i in range(changes):
            number = rng.randrange(keys)
            key = f"k{number}"
            columns: dict[str, str | None] = {
                "id": key,
                "v": None if rng.random() < 0.1 else f"{key} at {i}",
                "n": str(i),
                "amount": f"{i}.{i % 100:02}",
            }
            op = "UPDATE" if key in alive else "INSERT"
            if key in alive and rng.random() < 0.15:
                op, columns = "DELETE", alive.pop(key)
                row = None
            else:
                alive[key] = columns
                row = (columns["v"], i, Decimal(f"{i}.{i % 100:02}"))
            change = Change(key, op, FIRST_US + 3 * i, row, columns)
            self.partitions[number % PARTITIONS].append(change)

    def fill(self, kafka: str, topic: str) -> None:
        """Make the topic and write all changes to it."""
        admin = AdminClient({"bootstrap.servers": kafka})
        admin.create_topics([NewTopic(topic, PARTITIONS, 1)])[topic].result()
        # Idempotent, as a retry right after the creation of the topic would else change the order.
        producer = ck.Producer({"bootstrap.servers": kafka, "linger.ms": 20, "enable.idempotence": True})
        for number, changes in enumerate(self.partitions):
            for change in changes:
                value = {"type": change.op, "database": "m", "table": "t", "isDdl": False, "pkNames": ["id"]}
                value |= {"data": [change.columns], "old": [{}] if change.op == "UPDATE" else None}
                headers = [("connect.ts_us", str(change.ts_us).encode())]
                while True:
                    try:
                        producer.produce(topic, orjson.dumps(value), change.key, number, headers=headers)
                        break
                    except BufferError:
                        producer.poll(0.1)
        assert producer.flush(60) == 0

    def final(self) -> dict[str, Stored]:
        """Return the rows in the end."""
        rows = {}
        for change in (change for changes in self.partitions for change in changes):
            if change.row is None:
                rows.pop(change.key, None)
            else:
                rows[change.key] = Stored(change.row, change.ts_us)
        return rows

    def differences(self, stored: Mapping[str, Stored]) -> list[str]:
        """Compare a table with the end of the history, value by value."""
        final = self.final()
        return [
            f"{key}: {stored.get(key)} instead of {final.get(key)}"
            for key in sorted(final.keys() | stored.keys())
            if stored.get(key) != final.get(key)
        ]

    def lost(self, committed: Mapping[int, int], stored: Mapping[str, Stored]) -> list[str]:
        """Return what is not in the table though its offset was committed before the table was read.

        Args:
            committed: Partition to its committed offset.
            stored: The table, read after the offsets.
        """
        found = []
        for number, changes in enumerate(self.partitions):
            below = committed.get(number, 0)
            last = {change.key: index for index, change in enumerate(changes[:below])}
            later: dict[str, list[Change]] = {}
            for index, change in enumerate(changes):
                if index >= last.get(change.key, len(changes)):
                    later.setdefault(change.key, []).append(change)
            for key, possible in later.items():
                now = stored.get(key)
                states = [None if each.row is None else Stored(each.row, each.ts_us) for each in possible]
                if now not in states:
                    found.append(f"{key}: {now} though offset {below} of partition {number} is committed")
        return found
