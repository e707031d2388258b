"""Where the source stands: what is stored as source offset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from connectors.api.errors import FatalError

__all__ = ["Position"]


@dataclass(frozen=True, slots=True)
class Position:
    """A transaction boundary, and how much of the transaction after it is done.

    Only the boundary is ever given to the server: started inside a transaction it would leave out the table map event
    before the rows (P2). The reader itself skips what is done.

    Attributes:
        file: Binlog file.
        pos: Position in it, between two transactions.
        events: Row events after it that are done. All row events count, also those of tables that are left out, so
            that a changed filter does not shift the count.
        rows: Rows sent of them; only the header `connect.position` is made from it.
        gtids: GTIDs of the transactions before the boundary; empty where the server has none.
        ts_us: Last value of the row clock.
        server: Identity of the server that wrote the file: another server's files do not fit.
    """

    file: str
    pos: int
    events: int = 0
    rows: int = 0
    gtids: str = ""
    ts_us: int = 0
    server: str = ""

    def to_offset(self) -> dict[str, Any]:
        """Return the source offset."""
        return {
            "file": self.file,
            "pos": self.pos,
            "events": self.events,
            "rows": self.rows,
            "gtids": self.gtids,
            "ts_us": self.ts_us,
            "server": self.server,
        }

    @classmethod
    def from_offset(cls, offset: Mapping[str, Any]) -> Position:
        """Read a source offset.

        Raises:
            FatalError: It was not written by this connector.
        """
        try:
            return cls(
                str(offset["file"]),
                int(offset["pos"]),
                int(offset.get("events", 0)),
                int(offset.get("rows", 0)),
                str(offset.get("gtids", "")),
                int(offset.get("ts_us", 0)),
                str(offset.get("server", "")),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FatalError(f"the stored offset {dict(offset)!r} cannot be used: {error!r}") from None

    def boundary(self) -> Position:
        """Return the position at the start of the running transaction."""
        return replace(self, events=0, rows=0)
