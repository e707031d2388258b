"""Progress of a stage: pending rows first, then the commit past them, tombstones after the outputs.

A checkpoint is Flink's: requests still in flight are stored as inputs, and the source's position moves past them. The
position is committed only when the rows are delivered, and it never passes a record whose outputs are not delivered and
which has no delivered row: that is the ledger's to say.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

from agents.request import ROW_NONE, AssignedPartition
from agents.stable_offsets import StableOffsets
from agents.stage import Stage
from connectors.api.errors import RetriableError
from tables.pending import Restored

__all__ = ["Checkpoint"]

log = logging.getLogger(__name__)


Commit = Callable[[Mapping[tuple[str, int], int]], Awaitable[bool]]

_PERSIST_AFTER_S: Final = 0.1
"""Requests younger than this are not written: the commit stops before them instead, which costs nothing."""

_FLUSH_S: Final = 5.0
_RESTORE_RETRY_S: Final = (0.5, 1.0, 2.0, 5.0)


class Checkpoint:
    """Commits, persists and restores for one stage.

    Args:
        stage: The stage.
        commit: Commits offsets (topic, partition) -> next offset to read; false if the group has moved on.
        interval_s: Seconds between two checkpoints.
        begin: Tells where partitions begin, where transactions do; None to leave that to the consumer.
    """

    def __init__(
        self, stage: Stage, commit: Commit, *, interval_s: float = 1.0, begin: StableOffsets | None = None
    ) -> None:
        self._stage = stage
        self._begin = begin
        self._commit_offsets = commit
        self._interval_s = interval_s
        # Two commits at a time could reach the broker in the wrong order and move the position back.
        self._committing = asyncio.Lock()
        self._restoring: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Write a checkpoint at each tick, until cancelled."""
        while True:
            await asyncio.sleep(self._interval_s)
            await self.tick()

    async def tick(self) -> None:
        """Write the requests in flight, wait for their delivery, commit past them."""
        begun, before_rows = time.monotonic(), self._stage.rows_written
        parts = [part for part in self._stage.partitions.values() if part.running and not part.frozen]
        if self._stage.config.persist == "checkpoint":
            before = asyncio.get_running_loop().time() - _PERSIST_AFTER_S
            for part in parts:
                self._write_rows(part, before)
            await self._stage.rows_idle.wait()
        # A stop ends this tick, but not a commit in its midst: the one of the revocation has to come behind it.
        await asyncio.shield(self._commit([part for part in parts if not part.frozen]))
        self._stage.checkpoints.ended(time.monotonic() - begun, self._stage.rows_written - before_rows)

    async def revoke(self, numbers: Collection[int]) -> bool:
        """Give partitions up: commit what is safe, leave the rest to the next owner, emit nothing any more.

        Returns:
            Whether everything produced is delivered; what is not must be purged, or it could come after the next
            owner's outputs.
        """
        stage = self._stage
        parts = [stage.partitions[number] for number in numbers if number in stage.partitions]
        for part in parts:
            part.freeze()
        await stage.producer.flush(_FLUSH_S)
        for part in parts:
            self._write_rows(part, float("inf"))
        delivered = await stage.producer.flush(_FLUSH_S)
        await self._commit(parts)
        for part in parts:
            stage.drop(part)
        return delivered

    @property
    def partitions(self) -> Collection[int]:
        """The partitions that the stage works on."""
        return self._stage.partitions.keys()

    def abandon(self, numbers: Collection[int]) -> None:
        """Drop partitions that were lost without notice: nothing is written or committed."""
        for number in numbers:
            part = self._stage.partitions.get(number)
            if part is not None:
                part.freeze()
                self._stage.drop(part)

    def assign(self, numbers: Collection[int]) -> None:
        """Begin with partitions: read their pending requests, then let them run."""
        parts = self._stage.assign(numbers)
        if parts:
            task = asyncio.create_task(self._restore(parts))
            self._restoring.add(task)
            task.add_done_callback(self._restoring.discard)

    async def close(self) -> None:
        """End readings of the pending table."""
        for part in self._stage.partitions.values():
            part.abort.set()
        await asyncio.gather(*self._restoring, return_exceptions=True)

    def _write_rows(self, part: AssignedPartition, before: float) -> None:
        for request in list(part.ledger.unsafe()):
            if request.accepted_at > before:
                return  # accepted in order: the others are younger
            if request.row == ROW_NONE:
                self._stage.write_row(request)

    async def _commit(self, parts: Collection[AssignedPartition]) -> None:
        async with self._committing:
            topic = self._stage.config.input
            offsets = {}
            for part in parts:
                offset = part.ledger.committable
                if offset is not None and offset != part.ledger.committed:
                    offsets[part] = offset
            if not offsets:
                return
            if await self._commit_offsets({(topic, part.number): offset for part, offset in offsets.items()}):
                for part, offset in offsets.items():
                    part.ledger.committed = offset

    async def _restore(self, parts: list[AssignedPartition]) -> None:
        try:
            restored = await self._read(parts)
        except Exception as error:
            log.exception("Stage %s: the pending table cannot be read", self._stage.config.name)
            self._stage.stop_worker(f"stage {self._stage.config.name}: the pending table cannot be read: {error}")
            return
        for part in parts:
            if not part.frozen:
                self._start(part, restored[part.number])

    async def _read(self, parts: list[AssignedPartition]) -> dict[int, Restored]:
        numbers = [part.number for part in parts]
        for delay_s in (*_RESTORE_RETRY_S, None):
            try:
                # All parts of one assignment are revoked together, so the first one's signal is everybody's.
                return await asyncio.to_thread(self._look, parts, numbers)
            except RetriableError as error:
                if delay_s is None:
                    raise
                log.warning("%s; again in %s s", error, delay_s)
                await asyncio.sleep(delay_s)
        raise RetriableError  # not reached: the last round returns or raises

    def _look(self, parts: list[AssignedPartition], numbers: list[int]) -> dict[int, Restored]:
        abort, begin = parts[0].abort, self._begin
        if begin is None:
            return self._stage.table.restore(numbers, abort)
        begins = begin(numbers, abort)
        for part in parts:
            # What the consumer brings from before this was done in a transaction that ended meanwhile.
            part.ledger.position = begins.get(part.number)
        return self._stage.table.restore(numbers, abort, on_wait=lambda: begin.end_open(numbers))

    def _start(self, part: AssignedPartition, restored: Restored) -> None:
        for row in restored.unreadable:
            self._stage.bury(row)
        if restored.rows:
            log.info(
                "Stage %s: %d pending requests of partition %d are run again",
                self._stage.config.name,
                len(restored.rows),
                part.number,
            )
        self._stage.start(part, restored.rows)
