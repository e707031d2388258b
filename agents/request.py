"""The bookkeeping of one record in the stage, and of one partition during one assignment."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable
from typing import Any, Final

from agents.async_io.queue import Entry, StreamElementQueue
from agents.ledger import Ledger
from agents.message import Message
from tables.pending import PendingRow

__all__ = ["ROW_DELIVERED", "ROW_NONE", "ROW_WRITTEN", "AssignedPartition", "Request"]

ROW_NONE: Final = 0
ROW_WRITTEN: Final = 1
ROW_DELIVERED: Final = 2


class Request:
    """One record between acceptance and the delivery of its outputs.

    Attributes:
        partition: Where it came from.
        message: The record.
        accepted_at: Loop time of its acceptance.
        attempt: Calls before a restart.
        entry: Its place in the operator.
        left: Outputs not yet delivered.
        passed: Whether it goes through without a call.
        row: Whether the pending table has it: ROW_NONE, ROW_WRITTEN or ROW_DELIVERED.
        event: Event time, where the stage has watermarks; see `agents.stage_time`.
        error: Why the record cannot be used at all, or None.
        key: Requests of equal keys run one after the other; None for no order.
    """

    __slots__ = (
        "accepted_at", "attempt", "entry", "error", "event", "key", "left", "message", "partition", "passed", "row",
    )  # fmt: skip

    def __init__(self, partition: AssignedPartition, message: Message, accepted_at: float) -> None:
        self.partition = partition
        self.message = message
        self.accepted_at = accepted_at
        self.attempt = 0
        self.entry: Entry | None = None
        self.left = 0
        self.passed = False
        self.row = ROW_NONE
        self.error: BaseException | None = None
        self.event: tuple[Any, int] | None = None
        self.key: Hashable = None

    def pending_row(self, deadline_ms: int) -> PendingRow:
        """Return what the pending table keeps of the request: its input, never its result."""
        message = self.message
        attempt = self.attempt if self.entry is None else max(self.entry.attempt, 0)
        return PendingRow(
            partition=message.partition,
            offset=message.offset,
            key=message.key,
            raw=message.raw,
            headers=message.headers,
            timestamp_ms=message.timestamp_ms,
            attempt=attempt,
            deadline_ms=deadline_ms,
        )


class AssignedPartition:
    """One input partition from its assignment to its revocation; a later assignment gets a new object.

    That is the epoch fence: what still comes back for an old object goes nowhere.

    Attributes:
        number: Number of the partition.
        queue: Order of its results.
        ledger: What may be committed.
        restored: Rows of the pending table by offset, to know a record that is read again.
        pending: Restored requests that wait for a slot; they go before new input.
        inbox: Records read and not yet accepted.
        running: Whether the pending table was read, so that new input may start.
        frozen: Whether it is being revoked: nothing is accepted or emitted any more.
        abort: Ends a reading of the pending table.
    """

    __slots__ = ("abort", "frozen", "inbox", "ledger", "number", "pending", "queue", "restored", "running")

    def __init__(self, number: int, queue: StreamElementQueue) -> None:
        self.number = number
        self.queue = queue
        self.ledger: Ledger[Request] = Ledger()
        self.restored: dict[int, PendingRow] = {}
        self.pending: deque[Request] = deque()
        self.inbox: deque[Any] = deque()
        self.running = False
        self.frozen = False
        self.abort = threading.Event()

    def is_reread(self, record: Any) -> bool:
        """Tell whether a record read from Kafka is one that the pending table has brought already."""
        while self.restored and (oldest := next(iter(self.restored))) < record.offset:
            del self.restored[oldest]  # offsets only grow: it cannot come any more
        row = self.restored.pop(record.offset, None)
        # The content is compared as well: after a topic was made anew, an old row must not hide a new record.
        return row is not None and row.timestamp_ms == record.timestamp and row.raw == record.value

    def freeze(self) -> None:
        """Stop taking and giving; what is not accepted yet is read again by the next owner."""
        self.frozen = True
        self.abort.set()
        self.inbox.clear()
        self.pending.clear()
