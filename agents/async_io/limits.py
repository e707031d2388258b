"""What bounds the calls beside the capacity: a rate, and a capacity that follows how the called server feels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["AdaptiveCapacity", "CapacityControl", "RateControl", "RateLimit"]


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Calls per second. A record waits for its turn before it is accepted, so the wait costs none of its time.

    Attributes:
        records_per_s: Records that may start in a second on average; a retry counts as well.
        burst: Records that may start at once after a pause.
    """

    records_per_s: float
    burst: int = 1

    def __post_init__(self) -> None:
        if self.records_per_s <= 0:
            raise ValueError(f"records_per_s must be above 0, it is {self.records_per_s}")
        if self.burst < 1:
            raise ValueError(f"burst must be at least 1, it is {self.burst}")


class RateControl:
    """A token bucket.

    Args:
        limit: Options.
        now: Present time in seconds.
    """

    __slots__ = ("_at", "_limit", "_tokens")

    def __init__(self, limit: RateLimit, now: float) -> None:
        self._limit = limit
        self._tokens = float(limit.burst)
        self._at = now

    def free(self, now: float) -> int:
        """Return how many records may start now."""
        self._fill(now)
        return max(int(self._tokens + _EPSILON), 0)

    def take(self, now: float) -> None:
        """Note a start. A retry does not ask before, so the tokens may go below zero."""
        self._fill(now)
        self._tokens -= 1

    def wait_s(self, now: float) -> float:
        """Return the seconds until a record may start."""
        self._fill(now)
        return max((1 - self._tokens) / self._limit.records_per_s, 0.0)

    def _fill(self, now: float) -> None:
        if now > self._at:
            self._tokens = min(self._tokens + (now - self._at) * self._limit.records_per_s, float(self._limit.burst))
            self._at = now


_EPSILON: Final = 1e-9
"""So that sums of fractions that should give a whole token do give it."""


@dataclass(frozen=True, slots=True)
class AdaptiveCapacity:
    """A capacity that grows while calls are quick and shrinks when they are slow or time out (AIMD).

    Calls are judged in groups of as many as the present capacity. A group that contains a time-out, or takes longer
    than `latency_s` on average, multiplies the capacity by `decrease`; a good group that used the capacity up adds
    `increase`.

    Attributes:
        latency_s: Mean seconds of a call that are still good; None judges by time-outs alone.
        initial: Capacity at the start; None takes `minimum`.
        minimum: Lowest capacity. The highest is the stage's `capacity`.
        increase: Slots added after a good group.
        decrease: Factor after a bad group, between 0 and 1.

    Source: TCP's congestion avoidance (RFC 5681); Flink uses the same for its async sinks (`AIMDScalingStrategy`).
    """

    latency_s: float | None = None
    initial: int | None = None
    minimum: int = 1
    increase: int = 1
    decrease: float = 0.5

    def __post_init__(self) -> None:
        if self.latency_s is not None and self.latency_s <= 0:
            raise ValueError(f"latency_s must be above 0, it is {self.latency_s}")
        if self.minimum < 1 or self.increase < 1:
            raise ValueError(f"minimum ({self.minimum}) and increase ({self.increase}) must be at least 1")
        if self.initial is not None and self.initial < self.minimum:
            raise ValueError(f"initial ({self.initial}) is below minimum ({self.minimum})")
        if not 0 < self.decrease < 1:
            raise ValueError(f"decrease must lie between 0 and 1, it is {self.decrease}")


class CapacityControl:
    """Follows the calls of one operator.

    Args:
        options: Options.
        maximum: Highest capacity.

    Attributes:
        capacity: Present capacity.
    """

    __slots__ = ("_bad", "_count", "_full", "_maximum", "_options", "_seconds", "_skip", "capacity")

    def __init__(self, options: AdaptiveCapacity, maximum: int) -> None:
        self._options = options
        self._maximum = maximum
        self._skip = 0
        self.capacity = min(options.minimum if options.initial is None else options.initial, maximum)
        self._begin()

    def ended(self, seconds: float, *, timed_out: bool, full: bool) -> None:
        """Judge one call.

        Args:
            seconds: How long it took.
            timed_out: Whether it ended by a time-out.
            full: Whether every slot was taken when it ended.
        """
        if self._skip:
            # It was under way when the capacity was lowered, so it says nothing about the new one.
            self._skip -= 1
            return
        self._count += 1
        self._seconds += seconds
        self._bad |= timed_out
        self._full |= full
        if self._bad or self._count >= self.capacity:
            self._judge()

    def _judge(self) -> None:
        options = self._options
        slow = options.latency_s is not None and self._seconds > options.latency_s * self._count
        if self._bad or slow:
            self._skip = self.capacity
            self.capacity = max(int(self.capacity * options.decrease), min(options.minimum, self._maximum))
        elif self._full:
            self.capacity = min(self.capacity + options.increase, self._maximum)
        self._begin()

    def _begin(self) -> None:
        self._count = 0
        self._seconds = 0.0
        self._bad = False
        self._full = False
