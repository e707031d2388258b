"""Counters of an operator: plain numbers, so that a record costs an addition or two; whoever shows them reads them."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

__all__ = ["BOUNDS_S", "Figures"]

BOUNDS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the latency buckets, seconds."""


class Figures:
    """What an operator has done since it was made.

    Attributes:
        completed: Requests that ended with results.
        failed: Requests that ended with an error, those whose time was up included.
        timed_out: Requests whose time was up.
        retries: Calls after the first.
        latency_s: Sum of the times from the last call's start to its end, seconds.
        buckets: Requests by that time: one more than `BOUNDS_S` has.
    """

    __slots__ = ("buckets", "completed", "failed", "latency_s", "retries", "timed_out")

    def __init__(self) -> None:
        self.completed = self.failed = self.timed_out = self.retries = 0
        self.latency_s = 0.0
        self.buckets = [0] * (len(BOUNDS_S) + 1)

    def observe(self, seconds: float) -> None:
        """Count a request that took so long."""
        self.latency_s += seconds
        self.buckets[bisect_left(BOUNDS_S, seconds)] += 1
