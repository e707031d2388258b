"""Where transactions begin and end, told in a topic of their own.

Source: Debezium's transaction metadata. Unlike there, a transaction without rows of the chosen tables is not told of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson

from connectors.api.record import SourceRecord
from connectors.sources.mysql.codec import TableCodec
from connectors.sources.mysql.plan import Plan
from connectors.sources.mysql.updates import Change

__all__ = ["TRANSACTION_HEADER", "TRANSACTION_ORDER_HEADER", "TransactionMonitor"]

TRANSACTION_HEADER: Final = "connect.transaction.id"
TRANSACTION_ORDER_HEADER: Final = "connect.transaction.order"
"""Kafka headers of row changes: the transaction, and the number of the message's first row in it, from 1."""


class TransactionMonitor:
    """Counts the rows of the running transaction.

    Args:
        plan: What to do.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._topic = plan.transaction_topic or ""
        self._id = ""
        self._counts: dict[str, int] = {}
        self._total = 0
        self.open = False
        """Whether the running transaction was told of."""

    def begin(self, transaction: str, time_ms: int) -> SourceRecord:
        """Return the message that tells of a transaction's begin."""
        self.resume(transaction)
        return self._record("BEGIN", time_ms)

    def resume(self, transaction: str) -> None:
        """Go on with a transaction whose begin was told before the source started again."""
        self.open, self._id = True, transaction

    def rows(self, codec: TableCodec, changes: Sequence[Change], records: Sequence[SourceRecord]) -> None:
        """Count changes, and put transaction and number into the headers of their records, if there are any."""
        name = f"{codec.table.database}.{codec.table.name}"
        self._counts[name] = self._counts.get(name, 0) + len(changes)
        number, step = self._total + 1, len(changes) // len(records) if len(records) == len(changes) else 0
        for record in records:
            order = (TRANSACTION_ORDER_HEADER, b"%d" % number)
            record.headers += [(TRANSACTION_HEADER, self._id.encode()), order]
            number += step or len(orjson.loads(record.value)["data"])
        self._total += len(changes)

    def end(self, time_ms: int) -> SourceRecord | None:
        """Return the message that tells of the end; None where the begin was not told."""
        record = self._record("END", time_ms) if self.open else None
        self.open, self._counts, self._total = False, {}, 0
        return record

    def _record(self, status: str, time_ms: int) -> SourceRecord:
        counts = [{"data_collection": name, "event_count": count} for name, count in self._counts.items()]
        ended = status == "END"
        value = {
            "status": status,
            "id": self._id,
            "event_count": self._total if ended else None,
            "data_collections": counts if ended else None,
            "ts_ms": time_ms,
        }
        key = orjson.dumps({"id": self._id})
        timestamp_ms = self._plan.timestamp_ms(time_ms * 1000)
        return SourceRecord(self._topic, orjson.dumps(value), key, None, [], timestamp_ms, self._plan.source_partition)
