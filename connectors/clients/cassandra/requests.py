"""Requests of one or many writes: as bytes of the protocol, and as the driver's statement of the same.

Source: CQL binary protocol v4 and v5, sections EXECUTE and BATCH.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

from cassandra.query import BatchStatement, BatchType

from connectors.clients.cassandra.ring import Replicas
from connectors.clients.cassandra.statements import Write

__all__ = ["WriteRequest"]

_EXECUTE: Final = 0x0A
_BATCH: Final = 0x0D
_UNLOGGED: Final = 1
_VALUES: Final = 0x01
_WIDE_FLAGS_SINCE: Final = 5

_short = struct.Struct(">H").pack
_unlogged = struct.Struct(">BH").pack


class WriteRequest:
    """Writes that are sent together.

    Args:
        writes: One or more; each has its own timestamp, so that all of it may be repeated.
        consistency_level: The driver's number of the level.
        replicas: Who holds them, if known.
    """

    __slots__ = ("_consistency_level", "replicas", "writes")

    def __init__(self, writes: Sequence[Write], consistency_level: int, replicas: Replicas | None) -> None:
        self.writes = writes
        self.replicas = replicas
        self._consistency_level = consistency_level

    def encode(self, version: int) -> tuple[int, bytes]:
        """Return opcode and body of a frame of the protocol version."""
        wide = version >= _WIDE_FLAGS_SINCE
        if len(self.writes) == 1:
            write = self.writes[0]
            head, values = write.table.prepared(write).execute_head(wide), write.wire
            flags = b"\0\0\0\1" if wide else b"\1"
            return _EXECUTE, b"".join((head, _short(self._consistency_level), flags, values))
        parts = [_unlogged(_UNLOGGED, len(self.writes))]
        for write in self.writes:
            parts += (write.table.prepared(write).batch_head, write.wire)
        parts += (_short(self._consistency_level), b"\0\0\0\0" if wide else b"\0")
        return _BATCH, b"".join(parts)

    def statement(self) -> Any:
        """Return the driver's statement."""
        if len(self.writes) == 1:
            return self.writes[0].statement()
        statement = BatchStatement(BatchType.UNLOGGED, consistency_level=self._consistency_level)
        statement.is_idempotent = True
        for write in self.writes:
            statement.add(write.statement())
        return statement
