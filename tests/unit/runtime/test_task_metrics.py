from __future__ import annotations

import pytest
from prometheus_client import generate_latest

from connectors.runtime import metrics
from connectors.runtime.metrics import REGISTRY, TaskMetrics, forget


def test_ratios_tell_the_parts_of_a_tasks_time_and_go_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(metrics.time, "monotonic", lambda: now)
    task = TaskMetrics("ratio", 0)
    now += 1
    task.state("RUNNING")
    now += 6
    task.state("PAUSED")
    now += 1
    labels = {"connector": "ratio", "task": "0"}
    assert REGISTRY.get_sample_value("connect_task_running_ratio", labels) == 0.75
    assert REGISTRY.get_sample_value("connect_task_pause_ratio", labels) == 0.125
    forget("ratio", 0)
    assert b'connector="ratio"' not in generate_latest(REGISTRY)
