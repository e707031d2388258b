"""What every source must do, as tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from connectors.api.record import SourceRecord
from connectors.api.source import SourceConnector
from connectors.testing.declaration import DeclarationConformance
from connectors.testing.source_harness import SourceHarness

__all__ = ["SourceConformance"]


class SourceConformance(DeclarationConformance):
    """Subclass it in a file of tests, and set what is below.

    Attributes:
        connector: The plugin's class.
        count: How many records `props` makes available; at least 4.
    """

    connector: ClassVar[type[SourceConnector]]
    count: ClassVar[int] = 10

    @pytest.fixture
    def props(self) -> Mapping[str, str]:
        """Return options under which the source has exactly `count` records to give. To be overridden."""
        raise NotImplementedError("override the fixture props")

    def identity(self, record: SourceRecord) -> Any:
        """Tell records apart; the default compares topic, key and value."""
        return json.dumps([record.topic, record.key, record.value], sort_keys=True, default=repr)

    async def test_gives_every_record_once_and_in_order(self, props: Mapping[str, str]) -> None:
        """Without a crash there are neither gaps nor duplicates."""
        async with SourceHarness(self.connector, props) as source:
            records = await source.take(self.count)
            more = [record for record in await source.poll() if record.topic]
        assert len(records) == self.count, f"count is {self.count}, the source gave {len(records)}"
        assert more == [], "the source gave more than count records"
        assert len({self.identity(record) for record in records}) == self.count, "records came twice"

    async def test_records_carry_an_offset_that_can_be_stored(self, props: Mapping[str, str]) -> None:
        """Offsets go to a topic as JSON and come back from there."""
        async with SourceHarness(self.connector, props) as source:
            records = await source.take(self.count)
        for record in records:
            for name, mapping in (("partition", record.source_partition), ("offset", record.source_offset)):
                if mapping is not None:
                    assert json.loads(json.dumps(dict(mapping))) == dict(mapping), f"source {name} is not plain JSON"
        assert any(record.source_offset is not None for record in records), "no record has an offset to resume from"

    @pytest.mark.parametrize("stopped", [True, False], ids=["stop", "crash"])
    async def test_resumes_after_what_is_stored(self, props: Mapping[str, str], stopped: bool) -> None:
        """After a restart nothing is missing, and what is stored does not come again."""
        source = SourceHarness(self.connector, props)
        await source.start()
        first = await source.take(self.count)
        await source.acknowledge(self.count // 2)
        abandoned = source.tasks
        if stopped:
            await source.stop()
        else:
            source.crash()
        async with source:
            # What has no offset of its own may come again with the record before it.
            kept = self._stored(first[: self.count // 2])
            rest = await source.take(self.count - kept)
        assert [self.identity(record) for record in rest] == [self.identity(record) for record in first[kept:]]
        if not stopped:
            await asyncio.gather(*(asyncio.to_thread(_quietly, task) for task in abandoned))

    async def test_takes_acknowledgements(self, props: Mapping[str, str]) -> None:
        """`commit_record` and `commit` work, and polling goes on after them."""
        async with SourceHarness(self.connector, props) as source:
            await source.take(self.count)
            await source.acknowledge()
            assert [record for record in await source.poll() if record.topic] == []

    async def test_stops_also_when_it_was_never_polled(self, props: Mapping[str, str]) -> None:
        """Stop right after start."""
        async with SourceHarness(self.connector, props):
            pass

    def _stored(self, records: list[SourceRecord]) -> int:
        return max((n for n, record in enumerate(records, 1) if record.source_offset is not None), default=0)


def _quietly(task: Any) -> None:
    result = task.stop()
    if hasattr(result, "close"):
        result.close()
