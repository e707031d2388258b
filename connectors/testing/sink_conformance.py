"""What every sink must do, as tests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from connectors.api.record import SinkRecord, TopicPartition
from connectors.api.sink import SinkConnector
from connectors.testing.calls import LIMIT_S
from connectors.testing.declaration import DeclarationConformance
from connectors.testing.sink_harness import SinkHarness

__all__ = ["SinkConformance"]


class SinkConformance(DeclarationConformance):
    """Subclass it in a file of tests, and set what is below.

    Attributes:
        connector: The plugin's class.
        topic: Topic that the records come from.
    """

    connector: ClassVar[type[SinkConnector]]
    topic: ClassVar[str] = "conformance"

    @pytest.fixture
    def props(self) -> Mapping[str, str]:
        """Return options with an empty target for each test. To be overridden."""
        raise NotImplementedError("override the fixture props")

    def value(self, number: int) -> Any:
        """Return the value of a record; different numbers are different rows. To be overridden."""
        raise NotImplementedError("override value(number)")

    def stored(self, props: Mapping[str, str]) -> Any:
        """Return what the target holds now, in a form that can be compared. To be overridden."""
        raise NotImplementedError("override stored(props)")

    def bad_value(self) -> Any:
        """Return a value that the sink must refuse, or None where there is no such thing."""
        return None

    async def test_committed_records_are_in_the_target(self, props: Mapping[str, str]) -> None:
        """What `pre_commit` says is durable can be seen in the target."""
        empty = self.stored(props)
        async with self._sink(props) as sink:
            await sink.put(self._records(0, 10))
            assert await self._settled(sink) == {self._place(0): 5, self._place(1): 5}
            assert self.stored(props) != empty

    async def test_an_empty_batch_changes_nothing(self, props: Mapping[str, str]) -> None:
        """The runtime puts one from time to time, so that a sink can act by the clock."""
        async with self._sink(props) as sink:
            await sink.put([])
            await sink.put(self._records(0, 10))
            await sink.put([])
            assert await self._settled(sink) == {self._place(0): 5, self._place(1): 5}

    async def test_records_put_twice_are_stored_once(self, props: Mapping[str, str]) -> None:
        """After a crash, everything since the last commit is put again."""
        sink = self._sink(props)
        await sink.start()
        await sink.put(self._records(0, 10))
        await self._settled(sink)
        once = self.stored(props)
        sink.crash()
        async with sink:
            await sink.put(self._records(0, 10))
            await self._settled(sink)
            assert self.stored(props) == once

    async def test_order_of_batches_does_not_matter_to_what_is_stored(self, props: Mapping[str, str]) -> None:
        """One large batch or many small ones: the same rows."""
        async with self._sink(props) as sink:
            for number in range(10):
                await sink.put(self._records(number, number + 1))
            await self._settled(sink)
            small = self.stored(props)
            await sink.put(self._records(0, 10))
            await self._settled(sink)
            assert self.stored(props) == small

    async def test_empty_batch_is_taken(self, props: Mapping[str, str]) -> None:
        """`put` may be called with nothing."""
        before = self.stored(props)
        async with self._sink(props) as sink:
            await sink.put([])
            await sink.commit()
        assert self.stored(props) == before

    async def test_bad_record_is_reported_and_its_neighbours_are_stored(self, props: Mapping[str, str]) -> None:
        """One record that cannot be stored goes to the reporter; good ones never do."""
        async with self._sink(props) as sink:
            await sink.put(self._records(0, 4))
            await self._settled(sink)
            assert sink.reporter.letters == []
            expected = self.stored(props)
        bad = self.bad_value()
        if bad is None:
            return
        records = self._records(0, 4)
        records.insert(2, self._record(100, bad))
        async with self._sink(props) as sink:
            await sink.put(records)
            await self._settled(sink)
            assert [record.offset for record, _ in sink.reporter.letters] == [50]
            assert self.stored(props) == expected

    async def test_partitions_come_and_go(self, props: Mapping[str, str]) -> None:
        """`close` and `open` in the middle."""
        async with self._sink(props) as sink:
            await sink.put(self._records(0, 4))
        async with self._sink(props) as sink:
            await sink.put(self._records(4, 8))
            await self._settled(sink)

    async def test_stops_also_when_nothing_was_put(self, props: Mapping[str, str]) -> None:
        """Stop right after start."""
        async with self._sink(props):
            pass

    def _sink(self, props: Mapping[str, str]) -> SinkHarness:
        return SinkHarness(self.connector, props, {self._place(0), self._place(1)})

    def _place(self, number: int) -> TopicPartition:
        return TopicPartition(self.topic, number % 2)

    def _records(self, begin: int, end: int) -> list[SinkRecord]:
        return [self._record(number, self.value(number)) for number in range(begin, end)]

    def _record(self, number: int, value: Any) -> SinkRecord:
        topic, partition = self._place(number)
        return SinkRecord(topic, partition, number // 2, str(number), value, [], 1_700_000_000_000 + number)

    async def _settled(self, sink: SinkHarness) -> Mapping[TopicPartition, int]:
        """Commit until everything put is durable; a sink may say so a little later than it was put."""
        end = time.monotonic() + LIMIT_S
        while sink.committed != sink.put_offsets:
            assert time.monotonic() < end, f"put up to {sink.put_offsets}, durable up to {sink.committed} only"
            await sink.commit()
            await asyncio.sleep(0.01)
        return sink.committed
