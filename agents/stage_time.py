"""Event time of a stage: watermarks for each of its partitions, carried to the next stage in headers.

An output carries the last watermark that left its partition before it, so the reader of the output knows: from this
input partition nothing older comes. The header with the partition's name lets a reader keep several of them apart where
the output has another number of partitions than the input.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from agents.async_io.event_time import PeriodicWatermarks, WatermarkStrategy, microseconds
from agents.async_io.operator import AsyncWaitOperator
from agents.async_io.watermark import Watermark
from agents.config_options import WatermarkConfig
from agents.message import Message
from agents.request import AssignedPartition, Request
from connectors.api.errors import DataError

__all__ = ["WATERMARK_HEADER", "WATERMARK_SOURCE_HEADER", "StageTime", "drop_watermarks"]

WATERMARK_HEADER: Final = "connect.watermark_us"
"""Header with a watermark: microseconds since 1970 as decimal text. No later record of its source is older."""

WATERMARK_SOURCE_HEADER: Final = "connect.watermark_source"
"""Header with the partition that the watermark speaks of, e.g. `orders-3`."""

_HEADERS: Final = (WATERMARK_HEADER, WATERMARK_SOURCE_HEADER)

Event = tuple[Any, int]
"""Source of a timestamp (None for the partition itself), and the timestamp in microseconds since 1970."""


class StageTime:
    """Watermarks of one stage.

    Args:
        config: Where timestamps come from.
        operator: Takes the watermarks.
        topic: Input topic.
    """

    def __init__(self, config: WatermarkConfig, operator: AsyncWaitOperator, topic: str) -> None:
        self._config = config
        self._operator = operator
        self._topic = topic
        self._parts: dict[AssignedPartition, _PartitionTime] = {}
        self.event_of: Callable[[Message], Event | None] = {
            "ts_us": _ts_us,
            "field": self._field,
            "header": _header,
        }[config.timestamp]

    @property
    def watermark_us(self) -> int | None:
        """The least watermark of all partitions that are not idle, or None before each has one."""
        active = [part.emitted_us for part in self._parts.values() if not part.watermarks.is_idle]
        known = [emitted for emitted in active if emitted is not None]
        return min(known) if known and len(known) == len(active) else None

    def observe(self, part: AssignedPartition, request: Request) -> None:
        """Note the time of a request that was submitted."""
        if request.event is not None:
            found = self._parts.get(part)
            if found is None:
                found = self._parts[part] = self._begin(part)
            source, ts_us = request.event
            found.watermarks.note(source, ts_us)

    def emitted(self, part: AssignedPartition, watermark: Watermark) -> None:
        """Note that a watermark left the queue of a partition; what follows carries it."""
        found = self._parts.get(part)
        if found is not None:
            found.emitted_us = watermark.ts_us
            found.headers = [(WATERMARK_HEADER, b"%d" % watermark.ts_us), found.headers[-1]]

    def stamp(self, request: Request, results: list[Any]) -> None:
        """Put the present watermark into the headers of outputs, in place of their input's."""
        found = self._parts.get(request.partition)
        headers = found.headers if found is not None and found.emitted_us is not None else []
        for result in results:
            if isinstance(result, Message):
                result.headers = [header for header in result.headers if header[0] not in _HEADERS] + headers

    def drop(self, part: AssignedPartition) -> None:
        """Forget a partition."""
        found = self._parts.pop(part, None)
        if found is not None:
            found.watermarks.close()

    def _begin(self, part: AssignedPartition) -> _PartitionTime:
        config = self._config
        strategy = WatermarkStrategy(_no_timestamp, config.max_out_of_orderness_s, config.idle_s, config.interval_s)
        source = f"{self._topic}-{part.number}".encode()
        return _PartitionTime(PeriodicWatermarks(strategy, lambda watermark: self._emit(part, watermark)), source)

    def _emit(self, part: AssignedPartition, watermark: Watermark) -> bool:
        if part.frozen or self._operator.size >= self._operator.capacity:
            return False
        self._operator.submit_watermark(watermark, part.queue)
        return True

    def _field(self, message: Message) -> Event | None:
        name, unit = self._config.field or "", self._config.unit
        if message.raw is None or message.value.get("isDdl"):
            return None
        times = [microseconds(row[name], unit, name) for row in message.rows if row.get(name) is not None]
        return (None, max(times)) if times else None


class _PartitionTime:
    __slots__ = ("emitted_us", "headers", "watermarks")

    def __init__(self, watermarks: PeriodicWatermarks, source: bytes) -> None:
        self.watermarks = watermarks
        self.emitted_us: int | None = None
        self.headers: list[tuple[str, bytes]] = [(WATERMARK_SOURCE_HEADER, source)]


def drop_watermarks(results: list[Any]) -> None:
    """Take the watermarks of a former stage out of outputs that may have overtaken each other."""
    for result in results:
        if isinstance(result, Message) and any(name in _HEADERS for name, _ in result.headers):
            result.headers = [header for header in result.headers if header[0] not in _HEADERS]


def _ts_us(message: Message) -> Event | None:
    return None, message.ts_us


def _header(message: Message) -> Event | None:
    found = dict(message.headers)
    text = found.get(WATERMARK_HEADER)
    if text is None:
        return None
    try:
        return found.get(WATERMARK_SOURCE_HEADER), int(text)
    except ValueError:
        raise DataError(f"header {WATERMARK_HEADER} is {text!r}, a number of microseconds is needed") from None


def _no_timestamp(_: Any) -> int | None:
    return None
