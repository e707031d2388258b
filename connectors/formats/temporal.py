"""Times as text to points in time; a text without a zone needs one from the configuration."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from connectors.api.errors import DataError

__all__ = ["EPOCH", "TimestampParser", "parse_date", "zone_of"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def zone_of(name: str) -> tzinfo:
    """Return the zone of an IANA name or of an offset such as `+08:00`."""
    if name[:1] in "+-" and len(name) == 6:
        sign = -1 if name[0] == "-" else 1
        return timezone(sign * timedelta(hours=int(name[1:3]), minutes=int(name[4:6])))
    return ZoneInfo(name)


class TimestampParser:
    """Turns what stands in a message into microseconds since 1970.

    Args:
        zone: Zone of texts that name none.
    """

    __slots__ = ("_zone",)

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone

    def micros(self, value: Any) -> int:
        """Return microseconds since 1970.

        Args:
            value: `yyyy-MM-dd[ HH:mm:ss[.ffffff]]` with an optional offset, or a number (also as text): milliseconds
                since 1970.

        Raises:
            DataError: It is no such time.
        """
        if isinstance(value, str):
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                return self._epoch_millis(value)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=self._zone)
            return (moment - EPOCH) // _MICROSECOND
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            return self._epoch_millis(value)
        raise DataError(f"{value!r} is no time: yyyy-MM-dd HH:mm:ss.SSS or milliseconds since 1970 are needed")

    def _epoch_millis(self, value: str | float | Decimal) -> int:
        try:
            return int(Decimal(value) * 1000)
        except (ArithmeticError, ValueError):
            raise DataError(
                f"{value!r} is no time: yyyy-MM-dd HH:mm:ss.SSS or milliseconds since 1970 are needed"
            ) from None


def parse_date(value: Any) -> date:
    """Return the day of `yyyy-MM-dd`, also where a time of day follows.

    Raises:
        DataError: It is no such day.
    """
    if isinstance(value, str):
        try:
            return date.fromisoformat(value[:10])
        except ValueError:
            pass
    raise DataError(f"{value!r} is no day: yyyy-MM-dd is needed")
