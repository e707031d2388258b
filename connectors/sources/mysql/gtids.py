"""Sets of GTIDs: MySQL's intervals per server and tag, MariaDB's last number per domain."""

from __future__ import annotations

import re
import struct
from typing import Final, Protocol
from uuid import UUID

from connectors.api.errors import ConfigError
from connectors.sources.mysql.events import Gtid

__all__ = ["GtidSet", "MariaDbGtids", "MySqlGtids", "gtid_set"]

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_INTERVAL: Final = re.compile(r"(\d+)(?:-(\d+))?")
_TAG: Final = re.compile(r"[a-z_]\w{0,31}")
_MARIADB: Final = re.compile(r"(\d+)-(\d+)-(\d+)")


class GtidSet(Protocol):
    """The transactions seen so far."""

    def add(self, gtid: Gtid) -> None:
        """Add a transaction."""

    def __str__(self) -> str:
        """Return the server's notation."""


class MySqlGtids:
    """`uuid[:tag]:1-5:7,...`.

    Args:
        text: MySQL's notation; white space is ignored.

    Raises:
        ConfigError: It is not such a set.
    """

    def __init__(self, text: str) -> None:
        self._intervals: dict[str, list[list[int]]] = {}
        self._text: dict[str, str] = {}
        for part in "".join(text.lower().split()).split(","):
            if part:
                self._parse(part)

    def _parse(self, part: str) -> None:
        server, *rest = part.split(":")
        source = server
        if not _UUID.fullmatch(server) or not rest:
            raise ConfigError(f"{part!r} is no GTID set such as 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5")
        for item in rest:
            match = _INTERVAL.fullmatch(item)
            if match:
                first = int(match[1])
                self._intervals.setdefault(source, []).append([first, int(match[2] or first)])
            elif _TAG.fullmatch(item):
                source = f"{server}:{item}"
            else:
                raise ConfigError(f"{part!r} is no GTID set: {item!r} is neither an interval nor a tag")

    def add(self, gtid: Gtid) -> None:
        """Add a transaction."""
        if not gtid.text:
            return
        self._text.pop(gtid.source, None)
        intervals = self._intervals.setdefault(gtid.source, [])
        number = gtid.number
        for interval in reversed(intervals):
            if interval[0] <= number <= interval[1]:
                return
            if number == interval[1] + 1:
                interval[1] = number
                self._join(intervals)
                return
        intervals.append([number, number])
        self._join(intervals)

    @staticmethod
    def _join(intervals: list[list[int]]) -> None:
        if len(intervals) == 1:
            return
        intervals.sort()
        joined = [intervals[0]]
        for interval in intervals[1:]:
            if interval[0] <= joined[-1][1] + 1:
                joined[-1][1] = max(joined[-1][1], interval[1])
            else:
                joined.append(interval)
        intervals[:] = joined

    @classmethod
    def decoded(cls, data: bytes) -> MySqlGtids:
        """Read a set as `encoded` writes it; a previous GTIDs event holds one."""
        found = cls("")
        (head,) = struct.unpack_from("<Q", data)
        tagged = head >> 56 == 1
        at = 8
        for _ in range(head >> 8 & 0xFFFFFFFFFFFF if tagged else head):
            source, at = str(UUID(bytes=data[at : at + 16])), at + 16
            if tagged:
                size = data[at] >> 1
                tag, at = data[at + 1 : at + 1 + size].decode(), at + 1 + size
                source = f"{source}:{tag}" if tag else source
            (count,) = struct.unpack_from("<Q", data, at)
            at += 8
            spans = [struct.unpack_from("<QQ", data, at + 16 * n) for n in range(count)]
            at += 16 * count
            found._intervals[source] = [[first, last - 1] for first, last in spans]
        return found

    def encoded(self) -> bytes:
        """Return the set as the request for the binlog holds it.

        Source: MySQL `rpl_gtid_set.cc`, `Gtid_set::encode`: where one source has a tag, all have one in the request,
        empty where there is none.
        """
        tagged = any(":" in source for source in self._intervals)
        count = len(self._intervals)
        parts = [struct.pack("<Q", 1 << 56 | count << 8 | 1 if tagged else count)]
        for source in sorted(self._intervals):
            server, _, tag = source.partition(":")
            parts.append(UUID(server).bytes)
            if tagged:
                parts.append(bytes([len(tag) << 1]) + tag.encode())
            intervals = self._intervals[source]
            parts.append(struct.pack("<Q", len(intervals)))
            parts += [struct.pack("<QQ", first, last + 1) for first, last in intervals]
        return b"".join(parts)

    def __str__(self) -> str:
        for source, intervals in self._intervals.items():
            if source not in self._text:
                spans = ":".join(f"{a}-{b}" if b > a else str(a) for a, b in intervals)
                self._text[source] = f"{source}:{spans}"
        return ",".join(self._text[source] for source in sorted(self._intervals))


class MariaDbGtids:
    """`domain-server-number,...`, one for each domain.

    Args:
        text: MariaDB's notation; white space is ignored.

    Raises:
        ConfigError: It is not such a list.
    """

    def __init__(self, text: str) -> None:
        self._last: dict[str, str] = {}
        for part in "".join(text.split()).split(","):
            if not part:
                continue
            match = _MARIADB.fullmatch(part)
            if match is None:
                raise ConfigError(f"{part!r} is no MariaDB GTID such as 0-1-100")
            self._last[match[1]] = part

    def add(self, gtid: Gtid) -> None:
        """Add a transaction."""
        if gtid.text:
            self._last[gtid.source] = gtid.text

    def __str__(self) -> str:
        return ",".join(self._last[domain] for domain in sorted(self._last, key=int))


def gtid_set(flavor: str, text: str) -> GtidSet:
    """Return the set that `text` stands for.

    Raises:
        ConfigError: The text has not the notation of that server.
    """
    return MariaDbGtids(text) if flavor == "mariadb" else MySqlGtids(text)
