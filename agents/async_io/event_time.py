"""Makes watermarks from the timestamps of records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from agents.async_io.watermark import Watermark
from connectors.api.errors import DataError

__all__ = [
    "PeriodicWatermarks",
    "TimeUnit",
    "WatermarkStrategy",
    "bounded_out_of_orderness",
    "microseconds",
    "monotonic_timestamps",
]

Timestamp = Callable[[Any], int | None]
TimeUnit = Literal["s", "ms", "us"]

_FACTOR: Final = {"s": 1_000_000, "ms": 1_000, "us": 1}


@dataclass(frozen=True, slots=True)
class WatermarkStrategy:
    """How watermarks follow from records; made by `bounded_out_of_orderness` and `monotonic_timestamps`.

    Attributes:
        timestamp: Returns the event time of a record in microseconds since 1970, or None where it has none.
        max_out_of_orderness_s: How much older than the newest so far a record may be, in seconds.
        idle_s: Seconds without a record after which a partition holds the watermark back no longer; None for never.
        interval_s: Seconds between two watermarks at least.
    """

    timestamp: Timestamp
    max_out_of_orderness_s: float = 0.0
    idle_s: float | None = None
    interval_s: float = 0.2

    def __post_init__(self) -> None:
        if self.max_out_of_orderness_s < 0:
            raise ValueError(f"max_out_of_orderness_s must not be negative, it is {self.max_out_of_orderness_s}")
        if self.idle_s is not None and self.idle_s <= 0:
            raise ValueError(f"idle_s must be above 0, it is {self.idle_s}")
        if self.interval_s <= 0:
            raise ValueError(f"interval_s must be above 0, it is {self.interval_s}")


def bounded_out_of_orderness(
    timestamp: Timestamp | str,
    max_out_of_orderness_s: float,
    *,
    unit: TimeUnit = "us",
    idle_s: float | None = None,
    interval_s: float = 0.2,
) -> WatermarkStrategy:
    """Watermarks that follow the newest timestamp at a distance.

    Args:
        timestamp: A function that returns microseconds since 1970, or the name of a field of the record.
        max_out_of_orderness_s: How much older than the newest so far a record may be, in seconds.
        unit: Unit of the field, where it is a number.
        idle_s: Seconds without a record after which a partition holds the watermark back no longer.
        interval_s: Seconds between two watermarks at least.

    Raises:
        ValueError: An argument is out of range.

    Source: Flink 2.3, `WatermarkStrategy.forBoundedOutOfOrderness` and `withIdleness`.
    """
    function = _field(timestamp, unit) if isinstance(timestamp, str) else timestamp
    return WatermarkStrategy(function, max_out_of_orderness_s, idle_s, interval_s)


def monotonic_timestamps(
    timestamp: Timestamp | str, *, unit: TimeUnit = "us", idle_s: float | None = None, interval_s: float = 0.2
) -> WatermarkStrategy:
    """Watermarks for records whose timestamps never go back within a partition.

    Arguments and errors are those of `bounded_out_of_orderness`.

    Source: Flink 2.3, `WatermarkStrategy.forMonotonousTimestamps`.
    """
    return bounded_out_of_orderness(timestamp, 0.0, unit=unit, idle_s=idle_s, interval_s=interval_s)


def microseconds(given: Any, unit: TimeUnit, name: str) -> int:
    """Return a time as microseconds since 1970.

    Args:
        given: A number in `unit`, the same as text, an ISO 8601 text (without a zone it is UTC), or a `datetime`.
        unit: Unit of a number.
        name: What to call it in an error.

    Raises:
        DataError: It is none of them.
    """
    try:
        if isinstance(given, str):
            number = _number(given)
            given = datetime.fromisoformat(given) if number is None else number
        if isinstance(given, datetime):
            moment = given if given.tzinfo is not None else given.replace(tzinfo=UTC)
            return (moment - _EPOCH) // _MICROSECOND
        return int(given * _FACTOR[unit]) if not isinstance(given, bool) else _refuse(given)
    except (TypeError, ValueError, OverflowError, ArithmeticError):
        raise DataError(
            f"{name} is {given!r}; watermarks need a number of {unit} since 1970, or an ISO 8601 text"
        ) from None


def _refuse(given: object) -> int:
    raise TypeError(type(given).__name__)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def _number(text: str) -> float | int | None:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None


def _field(name: str, unit: TimeUnit) -> Timestamp:
    def timestamp(value: Any) -> int | None:
        given = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
        return None if given is None else microseconds(given, unit, name)

    return timestamp


class _Partition:
    __slots__ = ("newest_us", "seen_at")

    def __init__(self, now: float) -> None:
        self.newest_us: int | None = None
        self.seen_at = now


class PeriodicWatermarks:
    """Emits the watermarks of one stream: the least of its partitions, at most one in each interval.

    There is no timer unless a record came or a partition may yet become idle.

    Args:
        strategy: Options.
        emit: Takes a watermark; false if there is no room for it now.
        partitions: Tells which partitions are read at present, where that is known.

    Attributes:
        current_us: The last watermark, or None before the first.
    """

    def __init__(
        self,
        strategy: WatermarkStrategy,
        emit: Callable[[Watermark], bool],
        partitions: Callable[[], Collection[Hashable] | None] = lambda: None,
    ) -> None:
        self._strategy = strategy
        self._lag_us = round(strategy.max_out_of_orderness_s * 1_000_000)
        self._emit = emit
        self._read = partitions
        self._loop = asyncio.get_running_loop()
        self._partitions: dict[Hashable, _Partition] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.current_us: int | None = None

    def observe(self, partition: Hashable, value: Any) -> None:
        """Note a record; before the next watermark is emitted.

        Raises:
            Exception: What the strategy's `timestamp` raises.
        """
        self.note(partition, self._strategy.timestamp(value))

    def note(self, partition: Hashable, ts_us: int | None) -> None:
        """Note the timestamp of a record, in microseconds since 1970."""
        seen = self._partitions.get(partition)
        if seen is None:
            seen = self._partitions[partition] = _Partition(self._loop.time())
        seen.seen_at = self._loop.time()
        if ts_us is not None and (seen.newest_us is None or ts_us > seen.newest_us):
            seen.newest_us = ts_us
        if self._timer is None:
            self._timer = self._loop.call_later(self._strategy.interval_s, self._tick)

    @property
    def is_idle(self) -> bool:
        """Whether no record came for `idle_s`."""
        idle_s, now = self._strategy.idle_s, self._loop.time()
        return idle_s is not None and all(now - one.seen_at >= idle_s for one in self._partitions.values())

    def flush(self) -> None:
        """Emit at the end of the stream what the records allow."""
        watermark = self._next(self._loop.time())
        if watermark is not None and self._emit(watermark):
            self.current_us = watermark.ts_us
        self.close()

    def close(self) -> None:
        """End the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        now = self._loop.time()
        again_s: float | None = self._until_idle(now)
        watermark = self._next(now)
        if watermark is not None:
            if self._emit(watermark):
                self.current_us = watermark.ts_us
            else:
                again_s = self._strategy.interval_s
        if again_s is not None:
            self._timer = self._loop.call_later(max(again_s, self._strategy.interval_s), self._tick)

    def _next(self, now: float) -> Watermark | None:
        self._follow_assignment(now)
        idle_s = self._strategy.idle_s
        active = [one for one in self._partitions.values() if idle_s is None or now - one.seen_at < idle_s]
        newest = [one.newest_us for one in active if one.newest_us is not None]
        if not newest or len(newest) < len(active):
            return None  # all are idle, or one has not shown its time yet
        least = min(newest) - self._lag_us
        return None if self.current_us is not None and least <= self.current_us else Watermark(least)

    def _follow_assignment(self, now: float) -> None:
        read = self._read()
        if read is None:
            return
        for gone in self._partitions.keys() - set(read):
            del self._partitions[gone]
        for partition in read:
            self._partitions.setdefault(partition, _Partition(now))

    def _until_idle(self, now: float) -> float | None:
        # With one partition nobody waits for it to become idle.
        idle_s = self._strategy.idle_s
        if idle_s is None or len(self._partitions) < 2:
            return None
        left = [one.seen_at + idle_s - now for one in self._partitions.values()]
        return min((one for one in left if one > 0), default=None)
