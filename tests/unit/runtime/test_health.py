from __future__ import annotations

import time
from typing import Any

import pytest

from connectors.runtime.health import Health, health
from connectors.runtime.restarts import Policy
from connectors.runtime.state import Progress, Target, TaskId

STARTED, PAUSED, STOPPED = Target.STARTED, Target.PAUSED, Target.STOPPED


def judged(target: Target, connector: str, *tasks: str, **progress: Any) -> Health:
    rows: list[dict[str, Any]] = [{"id": number, "state": state} for number, state in enumerate(tasks)]
    return health(target, {"state": connector}, rows, progress.get("progress", {}), "c")[0]


@pytest.mark.parametrize(
    ("target", "states", "expected"),
    [
        (STARTED, ("RUNNING", "RUNNING", "RUNNING"), Health.HEALTHY),
        (STARTED, ("RUNNING", "RUNNING", "FAILED"), Health.DEGRADED),
        (STARTED, ("RUNNING", "FAILED", "FAILED"), Health.FAILED),
        (STARTED, ("FAILED", "RUNNING"), Health.FAILED),
        (STARTED, ("RUNNING", "UNASSIGNED"), Health.DEGRADED),
        (STARTED, ("RUNNING", "RESTARTING"), Health.DEGRADED),
        (PAUSED, ("PAUSED", "PAUSED"), Health.HEALTHY),
        (PAUSED, ("PAUSED", "RUNNING"), Health.DEGRADED),
        (STOPPED, ("STOPPED",), Health.HEALTHY),
    ],
)
def test_health_follows_the_states(target: Target, states: tuple[str, ...], expected: Health) -> None:
    assert judged(target, *states) is expected


def test_a_task_that_runs_but_tells_a_trouble_is_degraded_and_the_trouble_is_said() -> None:
    task = {"id": 0, "state": "RUNNING", "trace": "no contact with MySQL"}
    judgement, reasons = health(STARTED, {"state": "RUNNING"}, [task], {}, "c")
    assert (judgement, reasons) == (Health.DEGRADED, ["task 0: no contact with MySQL"])


def test_a_call_that_hangs_is_degraded_and_named() -> None:
    now = time.time()
    for since, expected in ((now - 100, Health.DEGRADED), (now - 1, Health.HEALTHY)):
        assert (
            judged(STARTED, "RUNNING", "RUNNING", progress={TaskId("c", 0): Progress("put", since, None)}) is expected
        )
    resting = {TaskId("c", 0): Progress("waiting", now - 1000, None)}
    assert judged(STARTED, "RUNNING", "RUNNING", progress=resting) is Health.HEALTHY


def test_pauses_between_restarts_double_up_to_the_longest() -> None:
    policy = Policy.of({"restart.policy": "on-failure", "restart.delay.ms": "100", "restart.delay.max.ms": "1000"})
    assert policy is not None
    assert [policy.pause_s(count) for count in (0, 1, 2, 3, 4, 10_000)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_without_the_option_there_is_no_policy() -> None:
    assert Policy.of({}) is None
    assert Policy.of({"restart.policy": "none", "restart.max": "3"}) is None
