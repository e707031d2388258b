"""The suite for plugin authors, run on the plugins in memory; and on plugins that break the contract."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from connectors import ConfigDef, SinkConnector, SinkRecord, SinkTask, SourceRecord, TopicPartition, Type
from connectors.testing import (
    InMemorySink,
    InMemorySource,
    ManualClock,
    SinkConformance,
    SinkHarness,
    SourceConformance,
    SourceHarness,
)


class TestInMemorySource(SourceConformance):
    connector = InMemorySource

    @pytest.fixture
    def props(self) -> Mapping[str, str]:
        InMemorySource.data["suite"] = [{"n": number} for number in range(self.count)]
        return {"name": "suite", "topic": "t", "batch": "3"}


class TestInMemorySink(SinkConformance):
    connector = InMemorySink

    @pytest.fixture
    def props(self) -> Mapping[str, str]:
        InMemorySink.stored.clear()
        return {"name": "suite"}

    def value(self, number: int) -> Any:
        return {"n": number}

    def stored(self, props: Mapping[str, str]) -> Any:
        return sorted(record.value["n"] for record in InMemorySink.stored.get(props["name"], {}).values())


class Forgetful(InMemorySource):
    """Starts anew each time."""

    @classmethod
    def task_class(cls) -> Any:
        class Task(super().task_class()):
            def start(self, props: Mapping[str, str]) -> None:
                super().start(props)
                self._next = 0

        return Task


async def test_source_that_does_not_resume_is_found_out() -> None:
    suite = TestInMemorySource()
    suite.connector = Forgetful
    InMemorySource.data["suite"] = [{"n": number} for number in range(suite.count)]
    with pytest.raises(AssertionError):
        await suite.test_resumes_after_what_is_stored({"name": "suite", "topic": "t"}, stopped=True)


class Boastful(SinkConnector):
    """Says that everything is durable, and then some."""

    @classmethod
    def task_class(cls) -> type[SinkTask]:
        class Task(SinkTask):
            def start(self, props: Mapping[str, str]) -> None:
                return

            def put(self, records: list[SinkRecord]) -> None:
                return

            async def pre_commit(self, offsets: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
                return {place: offset + 1 for place, offset in offsets.items()}

            def stop(self) -> None:
                return

        return Task

    @classmethod
    def config(cls) -> ConfigDef:
        return ConfigDef().define("secret", Type.STRING, None, doc="")


async def test_sink_that_promises_too_much_is_found_out() -> None:
    sink = SinkHarness(Boastful, {}, {TopicPartition("t", 0)})
    await sink.start()
    await sink.put([SinkRecord("t", 0, 7, None, b"x", [], 0)])
    with pytest.raises(AssertionError, match=r"durable up to 9; only what is below 8 was put"):
        await sink.commit()


def test_option_without_a_text_is_found_out() -> None:
    suite = TestInMemorySink()
    suite.connector = Boastful
    with pytest.raises(AssertionError):
        suite.test_every_option_is_documented()


async def test_harness_stores_offsets_of_acknowledged_records_alone() -> None:
    InMemorySource.data["few"] = [1, 2, 3]
    async with SourceHarness(InMemorySource, {"name": "few", "topic": "t"}) as source:
        records = await source.take(3)
        assert records[0] == SourceRecord("t", 1, source_partition={"name": "few"}, source_offset={"next": 1})
        await source.acknowledge(2)
        assert source.offsets == {'{"name": "few"}': {"next": 2}}


async def test_clock_wakes_sleepers_in_their_order() -> None:
    clock, woken = ManualClock(100), []

    async def sleeper(name: str, *pauses: float) -> None:
        for pause in pauses:
            await clock.sleep(pause)
            woken.append((name, clock.time()))

    tasks = [asyncio.create_task(sleeper("b", 2, 1)), asyncio.create_task(sleeper("a", 1))]
    await asyncio.sleep(0)
    await clock.advance(3)
    assert woken == [("a", 101), ("b", 102), ("b", 103)]
    assert clock.time() == 103
    await asyncio.gather(*tasks)


class Planner(InMemorySource):
    """Plans with the offsets that are stored."""

    seen: ClassVar[list[Any]] = []

    def task_configs(self, max_tasks: int) -> list[dict[str, str]]:
        self.seen.append(self.context.offset_storage_reader.offsets())
        return super().task_configs(max_tasks)


async def test_a_source_connector_may_read_the_stored_offsets_when_it_plans() -> None:
    InMemorySource.data["planned"] = [{"n": 1}, {"n": 2}]
    harness = SourceHarness(Planner, {"name": "planned", "topic": "t"})
    async with harness:
        await harness.take(2)
        await harness.acknowledge()
    await harness.start()
    await harness.stop()
    assert Planner.seen[0] == []
    assert [offset for _partition, offset in Planner.seen[1]] == list(harness.offsets.values())
    assert Planner.seen[1]
