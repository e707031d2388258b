from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from connectors import ConfigError, RetriableError
from connectors.runtime.live_connector import LiveConnector
from connectors.runtime.state import State, Target
from tests.unit.runtime.live_toys import Toy

CONFIG = {"connector.class": "tests.unit.runtime.live_toys.Toy", "tasks.max": "2", "topics": "t", "secret": "${env:S}"}
PLAN = [{"topics": "t", "secret": "hush"}]


class World:
    """What is around the connector."""

    def __init__(self) -> None:
        self.change = asyncio.Event()
        self.ways: list[int] = []

    def offsets(self, connector: str) -> Any:
        return [({"file": connector}, {"line": 3})]

    async def make_way(self, connector: str, config: Any, count: int) -> None:
        self.ways.append(count)

    def changed(self) -> None:
        self.change.set()


Make = Callable[..., LiveConnector]


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("S", "hush")
    Toy.made, Toy.calls, Toy.plan, Toy.errors, Toy.held, Toy.gate = [], [], PLAN, {}, "", threading.Event()
    yield
    Toy.gate.set()


@pytest.fixture
async def world() -> World:
    return World()


@pytest.fixture
async def make(world: World) -> AsyncIterator[Make]:
    made: list[LiveConnector] = []

    def one(target: Target = Target.STARTED, after: Any = None, **config: str) -> LiveConnector:
        made.append(LiveConnector("c", CONFIG | config, "v", world, after))
        made[-1].follow(target)
        return made[-1]

    yield one
    for each in made:
        await each.retire()


async def until(world: World, condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await world.change.wait()
            world.change.clear()


async def test_it_is_started_planned_and_stays_until_it_retires(make: Make, world: World) -> None:
    live = make()
    await until(world, lambda: live.state is State.RUNNING)
    assert live.planned == [CONFIG]  # the reference stands where its value was passed on
    assert world.ways == [1]
    await live.retire()
    assert Toy.calls == ["start", "task_configs", "stop"]


async def test_pause_stops_it_and_resume_starts_the_same_instance_without_a_new_plan(make: Make, world: World) -> None:
    live = make()
    await until(world, lambda: live.state is State.RUNNING)
    live.follow(Target.PAUSED)
    await until(world, lambda: live.state is State.PAUSED)
    live.follow(Target.STARTED)
    await until(world, lambda: live.state is State.RUNNING)
    assert Toy.calls == ["start", "task_configs", "stop", "start"]
    assert len(Toy.made) == 1


async def test_one_that_is_made_paused_plans_its_tasks_and_one_that_is_made_stopped_is_left_alone(
    make: Make, world: World
) -> None:
    paused = make(Target.PAUSED)
    await until(world, lambda: paused.state is State.PAUSED)
    assert (paused.planned, Toy.calls) == ([CONFIG], ["start", "task_configs", "stop"])
    Toy.calls.clear()
    stopped = make(Target.STOPPED)
    await until(world, lambda: stopped.state is State.STOPPED)
    assert (stopped.planned, Toy.calls) == (None, [])


async def test_a_request_for_reconfiguration_from_a_thread_brings_a_new_plan(make: Make, world: World) -> None:
    live = make()
    await until(world, lambda: live.state is State.RUNNING)
    Toy.plan = [*PLAN, {"topics": "t", "part": "2"}]
    await asyncio.to_thread(Toy.made[0].context.request_task_reconfiguration)
    await until(world, lambda: live.planned is not None and len(live.planned) == 2)
    assert live.planned == [CONFIG, CONFIG | {"part": "2"}]
    assert Toy.calls == ["start", "task_configs", "task_configs"]


async def test_an_error_that_is_raised_from_a_thread_fails_it_for_good_and_a_stop_ends_that(
    make: Make, world: World
) -> None:
    live = make()
    await until(world, lambda: live.state is State.RUNNING)
    await asyncio.to_thread(Toy.made[0].context.raise_error, OSError("the source is gone"))
    await until(world, lambda: live.state is State.FAILED)
    assert "OSError: the source is gone" in live.trace
    Toy.made[0].context.request_task_reconfiguration()
    live.follow(Target.PAUSED)
    await asyncio.sleep(0)
    assert live.state is State.FAILED
    live.follow(Target.STOPPED)
    await until(world, lambda: live.state is State.STOPPED)
    live.follow(Target.STARTED)
    await until(world, lambda: live.state is State.RUNNING)
    assert (live.trace, Toy.calls) == ("", ["start", "task_configs", "stop", "start", "task_configs"])


@pytest.mark.parametrize(
    ("where", "error", "trace"),
    [
        ("start", ConfigError("topics: no such topic"), "topics: no such topic"),
        ("task_configs", ValueError("hush"), "ValueError: [hidden]"),
    ],
)
async def test_a_call_that_fails_is_told_without_secrets(
    make: Make, world: World, where: str, error: Exception, trace: str
) -> None:
    Toy.errors = {where: error}
    live = make(Target.STARTED, None)
    await until(world, lambda: live.state is State.FAILED)
    assert live.trace.strip().endswith(trace)
    assert "hush" not in live.trace


async def test_a_system_that_is_away_is_tried_again(make: Make, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LiveConnector, "RETRY_S", 0.01)
    Toy.errors = {"task_configs": RetriableError("away")}
    live = make()
    await until(world, lambda: live.state is State.FAILED)
    assert live.trace == "RetriableError: away"
    Toy.errors = {}
    await until(world, lambda: live.state is State.RUNNING)
    assert (live.planned, live.trace) == ([CONFIG], "")


@pytest.mark.parametrize("where", ["start", "task_configs"])
async def test_a_call_that_hangs_fails_it_and_what_it_does_later_has_no_effect(
    make: Make, world: World, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setattr(LiveConnector, "START_LIMIT_S", 0.05)
    Toy.held = where
    live = make()
    await until(world, lambda: live.state is State.FAILED)
    assert live.trace == f"FatalError: Toy.{where} took longer than 0 s"
    Toy.gate.set()
    await asyncio.to_thread(Toy.made[0].context.request_task_reconfiguration)
    await asyncio.sleep(0)
    assert (live.state, live.planned) == (State.FAILED, None)


async def test_a_call_that_goes_on_is_shown_and_left_behind_by_a_retirement(
    make: Make, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LiveConnector, "STOP_LIMIT_S", 0.05)
    Toy.held = "start"
    live = make()
    async with asyncio.timeout(10):
        while live.progress.stage != "start":  # noqa: ASYNC110 - the call begins on another thread
            await asyncio.sleep(0.001)
    await live.retire()
    Toy.gate.set()
    assert Toy.calls == ["start"]


async def test_it_begins_when_the_former_instance_has_ended(make: Make, world: World) -> None:
    ended = asyncio.get_running_loop().create_future()
    live = make(after=ended)
    await asyncio.sleep(0.01)
    assert Toy.calls == []
    ended.set_result(None)
    await until(world, lambda: live.state is State.RUNNING)


async def test_more_tasks_than_allowed_fail_it_unless_that_is_not_enforced(make: Make, world: World) -> None:
    Toy.plan = PLAN * 3
    strict = make()
    await until(world, lambda: strict.state is State.FAILED)
    assert strict.trace.endswith("Toy planned 3 tasks, tasks.max is 2; tasks.max.enforce=false lets them run")
    lax = make(**{"tasks.max.enforce": "false"})
    await until(world, lambda: lax.state is State.RUNNING)
    assert lax.planned is not None
    assert len(lax.planned) == 3


@pytest.mark.parametrize("plan", [None, {"topics": "t"}, ["topics"]])
async def test_what_is_no_list_of_configurations_names_the_plugin(make: Make, world: World, plan: Any) -> None:
    Toy.plan = plan
    live = make()
    await until(world, lambda: live.state is State.FAILED)
    assert "Toy.task_configs returned" in live.trace


async def test_it_reads_the_offsets_that_are_stored(make: Make, world: World) -> None:
    live = make()
    assert live.offset_storage_reader.offset({"file": "c"}) == {"line": 3}
