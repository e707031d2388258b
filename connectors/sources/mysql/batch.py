"""The records that wait to be taken, and the row clock that numbers them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from connectors.api.record import SourceRecord
from connectors.formats.canal import POSITION_HEADER, TS_US_HEADER
from connectors.sources.mysql.codec import EventFacts, TableCodec, group
from connectors.sources.mysql.plan import Plan
from connectors.sources.mysql.updates import Change

__all__ = ["Batch", "Message", "Moment", "portions"]

Message = tuple[str, str | None, int | None]
"""A row's message, its key, and where it goes; None: the key decides."""

_MESSAGE_BYTES: Final = 64 * 1024
"""Most bytes of a message with several rows, about; a broker takes a megabyte by default."""


class Moment(NamedTuple):
    """Where and when the rows of an event stand.

    Attributes:
        place: Start of the header `connect.position`; a number is put behind it.
        row: Number of the first row.
        commit_us: Commit time in microseconds since 1970.
    """

    place: str
    row: int
    commit_us: int


class Batch:
    """Collects records.

    Args:
        plan: What to do.
        ts_us: Last value of the row clock.
    """

    def __init__(self, plan: Plan, ts_us: int) -> None:
        self._plan = plan
        self.ts_us = ts_us
        self.records: list[SourceRecord] = []
        self.size = 0

    def take(self) -> list[SourceRecord]:
        """Return the records and forget them."""
        records, self.records, self.size = self.records, [], 0
        return records

    def plain(self, record: SourceRecord) -> None:
        """Add a record that is made already."""
        self.records.append(record)
        self.size += len(record.value or b"")

    def statement(self, topic: str, value: bytes, moment: Moment) -> SourceRecord:
        """Add the record of a statement: of a schema change, or of the text beside rows; returns it."""
        self.ts_us = max(self.ts_us + 1, moment.commit_us)
        position = f"{moment.place}{moment.row}".encode()
        headers = [(TS_US_HEADER, b"%d" % self.ts_us), (POSITION_HEADER, position)]
        timestamp_ms, partition = self._plan.timestamp_ms(moment.commit_us), self._plan.source_partition
        record = SourceRecord(topic, value, None, 0, headers, timestamp_ms, partition)
        self.plain(record)
        return record

    def emit(self, codec: TableCodec, changes: list[Change], facts: EventFacts, moment: Moment) -> None:
        """Add the records of an event's changes."""
        if self._plan.per_event:
            self._emit_groups(codec, changes, facts, moment)
        else:
            self._emit_each(codec, changes, facts, moment)

    def _emit_groups(self, codec: TableCodec, changes: list[Change], facts: EventFacts, moment: Moment) -> None:
        self.ts_us = max(self.ts_us, moment.commit_us - 1)
        row, partition = moment.row, self._plan.source_partition
        timestamp_ms = self._plan.timestamp_ms(moment.commit_us)
        for rows in group(changes):
            value = codec.message(rows, facts, changes[-1] if changes[-1].type == rows[0].type else None)
            position = f"{moment.place}{row}".encode()
            headers = [(TS_US_HEADER, b"%d" % (self.ts_us + 1)), (POSITION_HEADER, position)]
            to = rows[0].partition or 0
            self.records.append(SourceRecord(codec.topic, value, None, to, headers, timestamp_ms, partition))
            self.size += len(value)
            self.ts_us += len(rows)
            row += len(rows)

    def _emit_each(self, codec: TableCodec, changes: list[Change], facts: EventFacts, moment: Moment) -> None:
        pieces: dict[tuple[str, int], tuple[str, str]] = {}
        messages: list[Message] = []
        for row, key, variant, kind, old, to in changes:
            around = pieces.get((kind, variant))
            if around is None:
                around = pieces[kind, variant] = codec.pieces(kind, variant, facts)
            middle = "null" if old is None else f"[{old}]"
            messages.append((f'{{"data":[{row}{around[0]}{middle}{around[1]}', key, to))
        self.messages(codec.topic, messages, moment)

    def messages(self, topic: str, messages: Sequence[Message], moment: Moment) -> None:
        """Make a record of each message; the loop that decides the speed, hence its local names."""
        append, partition = self.records.append, self._plan.source_partition
        place, timestamp_ms = moment.place.encode(), self._plan.timestamp_ms(moment.commit_us)
        ts_us, row, size = max(self.ts_us, moment.commit_us - 1), moment.row, 0
        for message, key, to in messages:
            value = message.encode()
            ts_us += 1
            headers = [(TS_US_HEADER, b"%d" % ts_us), (POSITION_HEADER, place + b"%d" % row)]
            row += 1
            size += len(value)
            if key is not None:
                append(SourceRecord(topic, value, key.encode(), to, headers, timestamp_ms, partition))
            else:
                # Without a key the rows of a table keep their order only on one partition, as in Canal.
                append(SourceRecord(topic, value, None, to or 0, headers, timestamp_ms, partition))
        self.ts_us = ts_us
        self.size += size


def portions(changes: Sequence[Change]) -> Iterator[list[Change]]:
    """Split rows into messages of a size that brokers take."""
    some: list[Change] = []
    size = 0
    for change in changes:
        if size + len(change.row) > _MESSAGE_BYTES and some:
            yield some
            some, size = [], 0
        some.append(change)
        size += len(change.row)
    if some:
        yield some
