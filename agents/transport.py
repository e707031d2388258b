"""A Faust transport that hands lists of raw records to the stages.

Faust's own path makes two asyncio tasks for each record and decodes, queues and acknowledges one by one: 53 to 111
microseconds a record. Here the records of a fetch go to their stage as they are; Faust keeps the consumer, the group,
the rebalance and the life-cycle. Topics that no stage reads take Faust's own way, so ordinary agents work beside them.

The methods overridden here are private in Faust; `tests/unit/agents/test_transport.py` pins their source by hash.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Final, Protocol, cast

from faust.transport.drivers import aiokafka as driver
from faust.types import TP

__all__ = ["Consumer", "Intake", "Transport"]

_FETCH_S: Final = 0.25
"""Short enough for a rebalance to wait for it."""

_FETCH_WHILE_FULL_S: Final = 0.02
"""Shorter, because a stage that gets room again must not wait for a quiet topic's time-out."""


class Intake(Protocol):
    """What the consumer needs to know of the stages; `EnrichApp.intake` is one."""

    def owns(self, topic: str) -> bool:
        """Tell whether a stage reads the topic."""

    def with_room(self, partitions: set[TP]) -> set[TP]:
        """Return the partitions that may be fetched now."""

    async def wait_for_room(self) -> None:
        """Wait until that may have changed."""

    def take(self, partition: TP, records: list[Any]) -> None:
        """Take records."""

    async def assigned(self, partitions: set[TP]) -> None:
        """Begin with partitions."""

    async def revoked(self, partitions: set[TP]) -> None:
        """Give partitions up; they may still be committed."""


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's consumer thread; commits only as a member of the group."""

    @property
    def is_member(self) -> bool:
        """Whether the group still counts us in with the assignment that we work on.

        A worker that slept past its session is out and another may have done its work. Kafka refuses its commits only
        while the group has members: in an empty group they would move the position back.
        """
        return bool(self._ensure_consumer()._coordinator.generation == self.app.consumer_generation_id)

    async def _commit(self, offsets: Any) -> bool:
        return self.is_member and bool(await super()._commit(offsets))


class Consumer(driver.Consumer):  # type: ignore[misc]
    """Faust's consumer with a hand-over of lists."""

    def __post_init__(self) -> None:
        self._fetch_idle = asyncio.Event()
        self._fetch_idle.set()

    @property
    def _intake(self) -> Intake:
        return cast(Intake, self.app.intake)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def is_member(self) -> bool:
        """Whether the group still counts us in with the assignment that we work on."""
        return cast(ConsumerThread, self._thread).is_member

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let the stages commit what is safe, while the group still accepts it.

        A fetch that is under way ends first. Otherwise it could come back with records of the next assignment, which
        would be taken for the old one's and dropped, while the position has moved past them.
        """
        self.stop_flow()
        await self._fetch_idle.wait()
        await self._intake.revoked(revoked)
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Prepare the stages before the first record can come."""
        await self._intake.assigned(assigned)
        await super().on_partitions_assigned(assigned, generation_id)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Leave the stages' partitions alone: Faust sees none of their events and would call them stuck."""
        if not self._intake.owns(tp.topic):
            super().verify_event_path(now, tp)

    def _new_offset(self, tp: TP) -> int | None:
        # Faust commits past an event in flight when its neighbours are acknowledged first. Here the oldest event that
        # is delivered and not acknowledged holds the commit back.
        acked = self._acked[tp]
        waiting = min((m.offset for m in self._unacked_messages if m.tp == tp and not m.acked), default=None)
        if waiting is not None and acked and min(acked) > waiting:
            return None
        return cast("int | None", super()._new_offset(tp))

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            while not (self.should_stop or fetcher.should_stop):
                await self._drain_once()
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise

    async def _drain_once(self) -> None:
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
            return
        generation = self.app.consumer_generation_id
        active = self._get_active_partitions()
        wanted = self._intake.with_room(active)
        if not wanted:
            await self._intake.wait_for_room() if active else await self.sleep(_FETCH_WHILE_FULL_S)
            return
        self._fetch_idle.clear()
        try:
            records = await self._getmany(wanted, _FETCH_S if len(wanted) == len(active) else _FETCH_WHILE_FULL_S)
        finally:
            self._fetch_idle.set()
        for tp, batch in records.items():
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return  # of the assignment that has just ended: the next owner reads them from the committed offset
            if self._intake.owns(tp.topic):
                self._intake.take(tp, batch)
            elif tp in active:
                await self._deliver_events(tp, batch)

    async def _deliver_events(self, tp: TP, batch: list[Any]) -> None:
        # What Faust's own loop does for each record.
        for record in batch:
            last = self._read_offset[tp]
            if last is not None and record.offset < last:
                continue
            if last and record.offset - last > 1 and self.app.topics.acks_enabled_for(tp.topic):
                await self._add_gap(tp, last + 1, record.offset)
            await self.wait_first(self.callback(self._to_message(tp, record)), self.suspend_flow.wait())
            self._read_offset[tp] = record.offset


class Transport(driver.Transport):  # type: ignore[misc]
    """Transport for broker URLs `connect://host:port`."""

    Consumer: ClassVar[type[Consumer]] = Consumer
