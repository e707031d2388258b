"""Texts of durations to months, days and nanoseconds.

Source: CQL's constants of type `duration`: `1y2mo3w4d5h6m7s8ms9us10ns`, and ISO 8601's `P1Y2M3DT4H5M6S` and `P4W`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

from cassandra.marshal import vints_pack

from connectors.clients.cassandra.errors import ReasonError

__all__ = ["encode_duration"]

_ISO: Final = re.compile(
    r"P(?:(?P<y>\d+)Y)?(?:(?P<mo>\d+)M)?(?:(?P<w>\d+)W)?(?:(?P<d>\d+)D)?"
    r"(?:T(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+(?:\.\d{1,9})?)S)?)?"
)
_CQL: Final = re.compile(
    r"(?:(?P<y>\d+)y)?(?:(?P<mo>\d+)mo)?(?:(?P<w>\d+)w)?(?:(?P<d>\d+)d)?(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?"
    r"(?:(?P<s>\d+)s)?(?:(?P<ms>\d+)ms)?(?:(?P<us>\d+)(?:us|µs))?(?:(?P<ns>\d+)ns)?",
    re.IGNORECASE,
)
_NANOS: Final = {
    "h": 3600 * 10**9,
    "m": 60 * 10**9,
    "s": 10**9,
    "ms": 10**6,
    "us": 1000,
    "ns": 1,
}
_MOST_32: Final = (1 << 31) - 1
_MOST_64: Final = (1 << 63) - 1


def encode_duration(value: Any) -> bytes:
    """Encode a duration.

    Raises:
        ReasonError: It is none, or too long.
    """
    text = value.strip() if isinstance(value, str) else ""
    negative, text = text.startswith("-"), text.removeprefix("-")
    match = (_ISO if text[:1] == "P" else _CQL).fullmatch(text)
    if match is None or not any(match.groups()):
        raise ReasonError("1mo2d3h4m5s or P1M2DT3H4M5S is needed")
    parts = {unit: Decimal(number) for unit, number in match.groupdict().items() if number}
    months = int(parts.get("y", 0) * 12 + parts.get("mo", 0))
    days = int(parts.get("w", 0) * 7 + parts.get("d", 0))
    nanos = int(sum((parts.get(unit, Decimal(0)) * size for unit, size in _NANOS.items()), Decimal(0)))
    if max(months, days) > _MOST_32 or nanos > _MOST_64:
        raise ReasonError("it is too long")
    sign = -1 if negative else 1
    packed: bytes = vints_pack([sign * months, sign * days, sign * nanos])
    return packed
