"""Watermarks: no later record is older than this."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Watermark"]


@dataclass(frozen=True, slots=True, order=True)
class Watermark:
    """A barrier in a stream: no record after it is older than `ts_us`.

    It leaves the operator after every record before it and before every record after it, in both modes.

    Attributes:
        ts_us: Event time in microseconds since 1970.
    """

    ts_us: int
