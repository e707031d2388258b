"""A Faust transport that hands lists of raw records to the stages.

Faust's own path makes two asyncio tasks for each record and decodes, queues and acknowledges one by one: 53 to 111
microseconds a record. Here the records of a fetch go to their stage as they are; Faust keeps the consumer, the group,
the rebalance and the life-cycle. Topics that no stage reads take Faust's own way, so ordinary agents work beside them.

The methods overridden here are private in Faust; `tests/unit/agents/test_transport.py` pins their source by hash.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Protocol, cast

from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode import Service

__all__ = ["Consumer", "Intake", "Transport"]

log = logging.getLogger(__name__)

_FETCH_S: Final = 0.25
"""How long a fetch waits for the first record."""

_FETCH_WHILE_FULL_S: Final = 0.02
"""Shorter, because a stage that gets room again must not wait for a quiet topic's time-out."""


_PULSE_S: Final = 0.1


class Intake(Protocol):
    """What the consumer needs to know of the stages; `EnrichApp.intake` is one."""

    def owns(self, topic: str) -> bool:
        """Tell whether a stage reads the topic."""

    def with_room(self, partitions: set[TP]) -> set[TP]:
        """Return the partitions that may be fetched now."""

    async def wait_for_room(self) -> None:
        """Wait until that may have changed."""

    def take(self, partition: TP, records: list[Any]) -> bool:
        """Take records, all or none; false if none."""

    def may_emit(self) -> bool:
        """Tell whether results may go out; if the process stood still for too long, give everything up."""

    async def assigned(self, partitions: set[TP]) -> None:
        """Begin with partitions."""

    async def revoked(self, partitions: set[TP]) -> None:
        """Give partitions up; they may still be committed."""


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's consumer thread; commits only as a member of the group."""

    _fetched_in: Any = None
    _pulse: float | None = None
    _slept = False

    @property
    def is_member(self) -> bool:
        """Whether the group still counts us in with the assignment that we work on.

        A worker that slept past its session is out and another may have done its work. Kafka refuses its commits only
        while the group has members: in an empty group they would move the position back.
        """
        return bool(self._ensure_consumer()._coordinator.generation == self.app.consumer_generation_id)

    @property
    def place_in_group(self) -> tuple[int, str] | None:
        """Generation and member id with which offsets may be committed now, or None."""
        if not self.is_member:
            return None
        coordinator = self._ensure_consumer()._coordinator
        return int(coordinator.generation), str(coordinator.member_id)

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Outputs of an aborted transaction are no input, whatever our own guarantee is.
        consumer._isolation_level = "read_committed"
        return consumer

    @property
    def slept(self) -> bool:
        """Whether this process stood still for so long that another worker may have our partitions.

        True until the next assignment. Cheap, and exact right after waking up, before any heartbeat.
        """
        if not self._slept and self._pulse is not None:
            conf = self.app.conf
            # The last heartbeat may have been one interval before the process stood still.
            limit_s = conf.broker_session_timeout - conf.broker_heartbeat_interval - 2 * _PULSE_S
            self._slept = _uptime() - self._pulse > limit_s
        return self._slept

    def join_again(self) -> None:
        """Ask the group for a new assignment; from any thread, and once for each sleep."""
        self.thread_loop.call_soon_threadsafe(self._ensure_consumer()._coordinator.request_rejoin)

    def assigned(self) -> None:
        """Begin with a new assignment: what was slept through is over."""
        self._slept = False

    @Service.task  # type: ignore[untyped-decorator]
    async def _beat(self) -> None:
        # Heartbeats are sent from this loop too, so where it goes on they do.
        while not self.should_stop:
            if self.parent_loop.is_closed():
                # The worker has ended, e.g. in the middle of its start, and this thread alone would stay: a member
                # that holds partitions, sends heartbeats and reads nothing.
                log.critical("The worker has ended without its consumer; the process ends, so its partitions are free")
                logging.shutdown()
                os._exit(1)
            if not self.slept:
                self._pulse = _uptime()
            elif self._pulse is not None:
                self._pulse = None
                self.parent_loop.call_soon_threadsafe(self.app.intake.may_emit)
            await asyncio.sleep(_PULSE_S)

    async def _commit(self, offsets: Any) -> bool:
        if not self.is_member:
            return False
        own = self.assignment()
        wanted = {driver.ensure_aiokafka_TP(tp): OffsetAndMetadata(at, "") for tp, at in offsets.items() if tp in own}
        if not wanted:
            return False
        # Faust's own crashes the worker whatever the error is.
        try:
            await self._ensure_consumer().commit(wanted)
        except KafkaError as error:
            if not error.retriable and "already rebalanced" not in str(error):
                raise
            log.warning("Kafka does not take the commit now, the next one has it: %s", error)
            return False
        self.tp_last_committed_at.update(dict.fromkeys(offsets, time.monotonic()))
        return True

    async def _fetch_records(self, consumer: Any, *args: Any, **options: Any) -> Any:
        records = await super()._fetch_records(consumer, *args, **options)
        # aiokafka gives records out in one go, so they belong to the assignment of this moment; not to that of the
        # call, because it keeps a call that meets a rebalance until the next assignment.
        subscription = consumer._subscription.subscription
        self._fetched_in = None if subscription is None else subscription.assignment
        return records

    async def give_back(self, offsets: Mapping[TP, int]) -> None:
        """Undo the last fetch of partitions: their next one begins at these offsets or before."""
        await self.call_thread(self._give_back, offsets, self._fetched_in)

    async def _give_back(self, offsets: Mapping[TP, int], assignment: Any) -> None:
        # No await in here. A later assignment begins at the committed offsets by itself.
        if assignment is None or not assignment.active:
            return
        consumer = self._ensure_consumer()
        for tp, offset in offsets.items():
            state = assignment.state_value(tp)
            # Faust may have gone back further meanwhile, to the committed offset.
            if state.has_valid_position and state.position > offset:
                consumer.seek(tp, offset)


class Consumer(driver.Consumer):  # type: ignore[misc]
    """Faust's consumer with a hand-over of lists."""

    @property
    def _intake(self) -> Intake:
        return cast(Intake, self.app.intake)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def is_member(self) -> bool:
        """Whether the group still counts us in with the assignment that we work on."""
        return cast(ConsumerThread, self._thread).is_member

    @property
    def place_in_group(self) -> tuple[int, str] | None:
        """Generation and member id with which offsets may be committed now, or None."""
        return cast(ConsumerThread, self._thread).place_in_group

    @property
    def slept(self) -> bool:
        """Whether this process stood still so long that another worker may have our partitions."""
        return cast(ConsumerThread, self._thread).slept

    def join_again(self) -> None:
        """Ask the group for a new assignment."""
        cast(ConsumerThread, self._thread).join_again()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let the stages commit what is safe, while the group still accepts it.

        A fetch may be under way. It cannot be waited for, as aiokafka may keep it until the next assignment.
        """
        self.stop_flow()
        await self._intake.revoked(revoked)
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Prepare the stages before the first record can come."""
        cast(ConsumerThread, self._thread).assigned()
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
        records = await self._getmany(wanted, _FETCH_S if len(wanted) == len(active) else _FETCH_WHILE_FULL_S)
        refused: dict[TP, int] = {}
        for tp, batch in records.items():
            taken = False
            # Not across a rebalance: the offsets may be far ahead of what the new assignment begins with.
            if self.flow_active and self.app.consumer_generation_id == generation:
                if self._intake.owns(tp.topic):
                    taken = self._intake.take(tp, batch)
                elif tp in active:
                    await self._deliver_events(tp, batch)
                    taken = True
            if not taken:
                refused[tp] = batch[0].offset
        if refused:
            # The position has moved past them, and nothing else is sure to move it back: Faust's seek leaves
            # partitions alone that have no committed offset, and may be over already.
            await cast(ConsumerThread, self._thread).give_back(refused)

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


def _uptime() -> float:
    """Seconds, those too in which the machine was asleep."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Transport(driver.Transport):  # type: ignore[misc]
    """Transport for broker URLs `connect://host:port`."""

    Consumer: ClassVar[type[Consumer]] = Consumer
