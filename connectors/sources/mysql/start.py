"""Where reading starts: the option `start.position`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from connectors.api.errors import ConfigError
from connectors.sources.mysql.gtids import gtid_set

__all__ = ["StartPosition", "start_position"]

_FILE_POS: Final = re.compile(r"(?P<file>[^:\s]+):(?P<pos>\d+)")


@dataclass(frozen=True, slots=True)
class StartPosition:
    """Where to start without a stored offset.

    Attributes:
        kind: `latest`, `earliest`, `file`, `gtid` or `timestamp`.
        file: Binlog file of kind `file`.
        pos: Position in it.
        gtids: Set of kind `gtid`: the transactions that are left out.
        time_ms: Time of kind `timestamp`, in milliseconds since 1970.
    """

    kind: str
    file: str = ""
    pos: int = 4
    gtids: str = ""
    time_ms: int = 0


def start_position(name: str, value: str) -> StartPosition:
    """Read `start.position`.

    Raises:
        ConfigError: It is none of the forms allowed.
    """
    if value in ("latest", "earliest"):
        return StartPosition(value)
    if value.startswith("gtid:"):
        text = value.removeprefix("gtid:").strip()
        flavor = "mariadb" if re.match(r"\d+-\d+-\d+", text) else "mysql"
        try:
            gtids = str(gtid_set(flavor, text))
        except ConfigError as error:
            raise ConfigError(f"Option {name}: {error}", key=name) from None
        return StartPosition("gtid", gtids=gtids)
    if value.startswith("timestamp:"):
        text = value.removeprefix("timestamp:").strip()
        if not text.isdigit():
            raise ConfigError(f"Option {name}: {text!r} is no time in milliseconds since 1970", key=name)
        return StartPosition("timestamp", time_ms=int(text))
    match = _FILE_POS.fullmatch(value)
    if match is None:
        allowed = "latest, earliest, FILE:POS such as binlog.000003:157, timestamp:MS, or gtid:SET"
        raise ConfigError(f"Option {name}: {value!r} is not one of {allowed}", key=name)
    if int(match["pos"]) < 4:
        raise ConfigError(f"Option {name}: {match['pos']} is too small, a binlog file starts at 4", key=name)
    return StartPosition("file", match["file"], int(match["pos"]))
