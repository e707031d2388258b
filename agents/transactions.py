"""exactly_once: outputs, pending rows and source offsets of a tick in one Kafka transaction.

Between two commits everything that the stages produce belongs to one open transaction. A commit seals it: requests
that are still in flight are written as pending rows, and the source offsets move to the end of what was accepted. So
the transaction holds exactly the outputs of what lies below its offsets and has no row, whatever order they came in.
If it commits, all of that happened; if it aborts, nothing did, and the offsets before it say where to begin again.

A former owner of a partition cannot commit: the offsets go with our generation in the consumer group (KIP-447), and
the group refuses another one, which aborts the whole transaction.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from agents.request import ROW_NONE, AssignedPartition
from agents.stage import Stage
from agents.transactional_producer import AbortedError, Offsets, TransactionalProducer

__all__ = ["Transactions"]

log = logging.getLogger(__name__)

Parts = Mapping[Stage, Collection[AssignedPartition]]


class Transactions:
    """Commits for all stages of a worker.

    Args:
        producer: The only way of the stages to Kafka.
        group_metadata: Returns our place in the consumer group as librdkafka takes it; None where we are out of it.
        fail: Stops the worker with a sentence.
        join_again: Asks the group for a new assignment.
        interval_s: Seconds between two commits.
    """

    def __init__(
        self,
        producer: TransactionalProducer,
        group_metadata: Callable[[], bytes | None],
        fail: Callable[[str], None],
        *,
        join_again: Callable[[], None] = lambda: None,
        interval_s: float = 1.0,
    ) -> None:
        self._producer = producer
        self._group_metadata = group_metadata
        self._fail = fail
        self._join_again = join_again
        self._interval_s = interval_s
        self._committing = asyncio.Lock()

    async def run(self, stages: Iterable[Stage]) -> None:
        """Commit at each tick, until cancelled.

        Args:
            stages: All stages; looked at again at each tick.
        """
        while True:
            await asyncio.sleep(self._interval_s)
            # Cancelled, this loop ends, but not a commit in its midst: what the stages did since it was sealed waits
            # in the producer, and the revocation that follows would pass it with its offsets.
            await asyncio.shield(self.tick(stages))

    async def tick(self, stages: Iterable[Stage]) -> None:
        """Commit what the stages did since the last time."""
        async with self._committing:
            begun = time.monotonic()
            written = {stage: stage.rows_written for stage in stages}
            running = {stage: [p for p in stage.partitions.values() if p.running and not p.frozen] for stage in stages}
            try:
                await self._commit(running)
            except AbortedError as error:
                _drop(running)
                await self._producer.abort()
                if not error.lost_membership:
                    self._fail(f"the transaction was aborted: {error}; what it held is done again after a restart")
                    return
                # A new assignment begins from what is committed. Asked for, as the group may still count us in: a
                # successor ends the transaction that the last commit of its partition names, and that may be ours.
                self._join_again()
                log.warning("The transaction was aborted: %s; what it held is done again", error)
                return
            for stage, before in written.items():
                stage.checkpoints.ended(time.monotonic() - begun, stage.rows_written - before)

    async def revoke(self, partitions: Mapping[Stage, Collection[int]]) -> None:
        """Give partitions up: commit what was done, leave the rest to the next owner, emit nothing any more."""
        async with self._committing:
            parts = _freeze(partitions)
            try:
                await self._commit(parts)
            except AbortedError as error:
                log.warning("Partitions leave without a commit, their next owner does the rest again: %s", error)
                await self._producer.abort()
            finally:
                _drop(parts)

    async def abandon(self, partitions: Mapping[Stage, Collection[int]]) -> None:
        """Drop partitions that were lost without notice, and everything done since the last commit."""
        _drop(_freeze(partitions))
        async with self._committing:
            await self._producer.abort()

    async def _commit(self, parts: Parts) -> None:
        offsets = _seal(parts, self._producer)
        if not offsets and not self._producer.dirty:
            self._producer.unseal()
            return
        metadata = self._group_metadata()
        if metadata is None:
            raise AbortedError("this worker is out of the consumer group", lost_membership=True)
        wanted: Offsets = {(stage.config.input, part.number): offset for (stage, part), offset in offsets.items()}
        await self._producer.commit(wanted, metadata)
        for (_, part), offset in offsets.items():
            part.ledger.committed = offset


def _seal(parts: Parts, producer: TransactionalProducer) -> dict[tuple[Stage, AssignedPartition], int]:
    """Write rows for what is in flight and return the offsets behind it. Without an await, so nothing slips in.

    Raises:
        AbortedError: The commit before it did not end.
    """
    producer.check_open()
    offsets: dict[tuple[Stage, AssignedPartition], int] = {}
    for stage, own in parts.items():
        for part in own:
            for request in list(part.ledger.unsafe()):
                if request.row == ROW_NONE:
                    stage.write_row(request)
                part.ledger.persisted(request.message.offset)
            position = part.ledger.position
            if position is not None and position != part.ledger.committed:
                offsets[stage, part] = position
    producer.seal()
    return offsets


def _freeze(partitions: Mapping[Stage, Collection[int]]) -> dict[Stage, list[AssignedPartition]]:
    parts = {
        stage: [stage.partitions[number] for number in numbers if number in stage.partitions]
        for stage, numbers in partitions.items()
    }
    for part in (part for own in parts.values() for part in own):
        part.freeze()
    return parts


def _drop(parts: Parts) -> None:
    for stage, own in parts.items():
        for part in own:
            stage.drop(part)
