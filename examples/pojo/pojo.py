"""The rows of the job."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

__all__ = ["SHANGHAI", "STYLES", "Pojo", "energy", "now_ms", "pojos", "text_of"]

SHANGHAI: Final = ZoneInfo("Asia/Shanghai")
STYLES: Final = 5
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Pojo:
    """One row.

    Attributes:
        i: Its number.
        style: Its style, 0 to 4.
        energy: A decimal of scale 2.
        at_ms: When it was made, milliseconds since 1970.
    """

    i: int
    style: int
    energy: Decimal
    at_ms: int

    @property
    def aid(self) -> str:
        """Primary key."""
        return f"ID000-{self.i}"

    @property
    def aname(self) -> str:
        """Name."""
        return f"NAME-{self.i}"

    @property
    def astyle(self) -> str:
        """Style, the key of the dimension in Redis."""
        return f"STYLE000-{self.style}"

    @property
    def age(self) -> int:
        """Age."""
        return max(self.style, 1) * 13

    @property
    def astatus(self) -> str:
        """Status."""
        return f"0{self.style}"

    @property
    def text(self) -> str:
        """`at_ms` as text of Shanghai."""
        return text_of(self.at_ms)

    @property
    def tt(self) -> datetime:
        """`at_ms` as a naive UTC time, as a DATETIME column takes it."""
        return (_EPOCH + timedelta(milliseconds=self.at_ms)).replace(tzinfo=None)


def pojos(count: int, *, seed: int = 3, first: int = 0) -> Iterator[Pojo]:
    """Make rows, the same for the same seed but for their times."""
    rng = random.Random(seed)
    for i in range(first, first + count):
        yield Pojo(i, rng.randrange(STYLES), energy(rng), now_ms())


def energy(rng: random.Random) -> Decimal:
    """Return 0.00 to 999.99."""
    return Decimal(rng.randrange(100_000)).scaleb(-2)


def now_ms() -> int:
    """Return milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def text_of(ms: int) -> str:
    """Return a time as `yyyy-MM-dd HH:mm:ss.SSS` in Asia/Shanghai."""
    moment = datetime.fromtimestamp(ms // 1000, SHANGHAI)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{ms % 1000:03d}"
