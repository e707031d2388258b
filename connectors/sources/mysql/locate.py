"""The place in the binlog that belongs to a time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

from connectors.sources.mysql import events as e
from connectors.sources.mysql.connection import BinlogChannel
from connectors.sources.mysql.gtids import MySqlGtids
from connectors.sources.mysql.position import Position
from connectors.sources.mysql.preflight import Ask, Server, given, latest

__all__ = ["at_time", "behind"]

OpenChannel = Callable[[Position], BinlogChannel]

_BEGINS = frozenset({e.GTID, e.ANONYMOUS_GTID, e.GTID_TAGGED, e.MARIADB_GTID})


def behind(file: str, pos: int, other: Position) -> bool:
    """Tell whether a place is at or behind another one of the same server."""
    # The number at the end of a file's name grows, also in digits.
    return (len(file), file, pos) >= (len(other.file), other.file, other.pos)


def at_time(ask: Ask, server: Server, open_channel: OpenChannel, time_ms: int) -> Position:
    """Return the boundary before the first transaction that was not committed before a time.

    The file is found by halving, by the times at which files were begun; within it the transactions are looked at one
    by one. Where all are older, it is the end of the binlog.

    Args:
        ask: Runs queries.
        server: The server.
        open_channel: Makes the channel to the server.
        time_ms: The time in milliseconds since 1970.

    Raises:
        ConnectError: The binlog cannot be read.
    """
    files = [str(row[0]) for row in ask("SHOW BINARY LOGS")]
    end = latest(ask, server)
    low, high = 0, len(files) - 1
    while low < high:
        middle = (low + high + 1) // 2
        # A file's time is of whole seconds: one of the same second may be too late.
        if _begun_ms(open_channel, files[middle]) <= time_ms - 1000:
            low = middle
        else:
            high = middle - 1
    found = _scan(open_channel, files[low], time_ms, end, server)
    if found is None:
        return end
    if server.flavor == "mariadb":
        return given(ask, server, found.file, found.pos)
    return found


def _begun_ms(open_channel: OpenChannel, file: str) -> int:
    with closing(open_channel(Position(file, 4))) as channel:
        channel.open()
        while True:
            seconds, kind, *_ = e.HEADER(channel.read())
            if kind == e.FORMAT:
                return int(seconds) * 1000


def _scan(open_channel: OpenChannel, file: str, time_ms: int, end: Position, server: Server) -> Position | None:
    gtids = MySqlGtids("")
    checksum = 0
    with closing(open_channel(Position(file, 4))) as channel:
        file, at = channel.open()
        while not behind(file, at, end):
            event = channel.read()
            seconds, kind, _, size, next_pos, _ = e.HEADER(event)
            body = event[e.HEADER_SIZE : len(event) - (checksum if kind != e.FORMAT else 0)]
            if kind == e.ROTATE:
                file, at = e.rotate(event)
                continue
            if kind == e.FORMAT:
                checksum = e.checksum_size(body)
            elif kind == e.PREVIOUS_GTIDS:
                gtids = MySqlGtids.decoded(body)
            elif kind in _BEGINS:
                gtid = _gtid(kind, body)
                if (seconds * 1000 if gtid is None or gtid.commit_us is None else gtid.commit_us // 1000) >= time_ms:
                    return Position(file, next_pos - size, gtids=str(gtids), server=server.identity)
                if gtid is not None:
                    gtids.add(gtid)
            at = max(at, next_pos)
    return None


def _gtid(kind: int, body: bytes) -> e.Gtid | None:
    if kind == e.MARIADB_GTID:
        return None
    return e.tagged_gtid(body) if kind == e.GTID_TAGGED else e.mysql_gtid(body, anonymous=kind == e.ANONYMOUS_GTID)
