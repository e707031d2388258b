"""From operations to Canal's messages: order, keys, topics."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

import orjson

from connectors.api.errors import DataError
from connectors.api.record import SourceRecord
from connectors.formats.canal import POSITION_HEADER, TS_US_HEADER, RowChange
from connectors.formats.flat_message import FlatMessages
from connectors.formats.goldengate import GoldenGateFormat, Operation
from connectors.formats.goldengate_types import ColumnType
from connectors.sources.goldengate.routing import Routing

__all__ = ["Messages"]

log = logging.getLogger(__name__)

_LAST: Final = ("E", "W")


class Messages:
    """Makes the messages of one sequence of operations.

    Args:
        form: Reads the operations.
        routing: Chooses tables and topics.
        source_partition: Of every record.
        keyed: Whether the key columns are the Kafka key.
        deduplicate: Whether an operation whose position is not above the last one's is left out.
        change_time: Whether a record's timestamp is the time of the change, not that of sending: Kafka deletes by
            timestamp, so a record with the time of an old change may be gone before it is read.
        state: What `state` returned before; `ts_us` is the last value of the row clock, `pos` the last position.
    """

    def __init__(
        self,
        form: GoldenGateFormat,
        routing: Routing,
        source_partition: dict[str, Any],
        *,
        keyed: bool = True,
        deduplicate: bool = False,
        change_time: bool = False,
        state: tuple[int, str] = (0, ""),
    ) -> None:
        self.source_partition = source_partition
        self.ends_transaction: bool | None = None
        """Whether the last operation ended its transaction; None where it did not tell."""
        self._form = form
        self._routing = routing
        self._keyed = keyed
        self._deduplicate = deduplicate
        self._change_time = change_time
        self._ts_us, self._pos = state
        self._flat = FlatMessages()
        self._id = 0
        self._warned: set[str] = set()

    @property
    def state(self) -> tuple[int, str]:
        """The row clock in microseconds since 1970 and the last position; part of the offset."""
        return self._ts_us, self._pos

    @state.setter
    def state(self, value: tuple[int, str]) -> None:
        self._ts_us, self._pos = value

    def of(self, record: dict[str, Any], place: str) -> list[SourceRecord]:
        """Return the messages of a GoldenGate record; none for a table's schema or a table that is not read.

        Args:
            record: The record.
            place: Where it stands, for the header `connect.position` where it has no position of its own.

        Raises:
            DataError: It is no operation, or its key is not in it.
        """
        self.ends_transaction = None
        operation = self._form.operation(record)
        if operation is None:
            return []
        if operation.txind:
            self.ends_transaction = operation.txind in _LAST
        topics = self._routing.topics(operation.database, operation.table)
        if topics is None or (self._deduplicate and operation.pos and operation.pos <= self._pos):
            return []
        self._id += 1
        now_us = time.time_ns() // 1000
        op_us = now_us if operation.op_us is None else operation.op_us
        position = (operation.pos or place).encode()
        if operation.op == "TRUNCATE":
            records = [self._truncate(operation, topics[1], op_us, now_us, position)]
        else:
            changes = operation.changes(split_key_updates=self._keyed)
            types = operation.types
            records = [self._record(change, types, topics[0], op_us, now_us, position) for change in changes]
        self._pos = operation.pos or self._pos
        return records

    def _record(
        self, change: RowChange, types: Mapping[str, ColumnType], topic: str, op_us: int, now_us: int, position: bytes
    ) -> SourceRecord:
        key = self._key(change) if self._keyed else None
        value = self._flat.encode(change, types, es_ms=op_us // 1000, ts_ms=now_us // 1000, message_id=self._id)
        return self._made(topic, value, key, op_us, position)

    def _truncate(self, operation: Operation, topic: str, op_us: int, now_us: int, position: bytes) -> SourceRecord:
        value = self._flat.truncate(
            operation.database, operation.table, es_ms=op_us // 1000, ts_ms=now_us // 1000, message_id=self._id
        )
        return self._made(topic, value, None, op_us, position)

    def _made(self, topic: str, value: bytes, key: bytes | None, op_us: int, position: bytes) -> SourceRecord:
        self._ts_us = max(self._ts_us + 1, op_us)
        headers = [(TS_US_HEADER, b"%d" % self._ts_us), (POSITION_HEADER, position)]
        # Without a key the rows of a table keep their order only on one partition, as in Canal.
        partition = 0 if key is None else None
        timestamp_ms = op_us // 1000 if self._change_time else None
        return SourceRecord(topic, value, key, partition, headers, timestamp_ms, self.source_partition)

    def _key(self, change: RowChange) -> bytes | None:
        if not change.key:
            table = f"{change.database}.{change.table}"
            if table not in self._warned:
                self._warned.add(table)
                log.warning(
                    "%s: its key columns are not known, so its changes go to partition 0 without a key; set"
                    " goldengate.key.%s, or have the replicat write ${primarykeycolumns[primary_keys]}",
                    table,
                    table,
                )
            return None
        try:
            return orjson.dumps({name: change.row[name] for name in change.key})
        except KeyError as error:
            raise DataError(
                f"{change.database}.{change.table}: the key column {error.args[0]} is not in the record"
            ) from None
        except TypeError as error:
            raise DataError(f"{change.database}.{change.table}: its key cannot be written as JSON: {error}") from None
