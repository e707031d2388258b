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


def test_bad_records_count_by_what_became_of_them() -> None:
    labels = {"connector": "fates", "task": "0"}

    def value(name: str) -> float | None:
        return REGISTRY.get_sample_value(f"connect_task_error_{name}_total", labels)

    task = TaskMetrics("fates", 0)
    task.errors.inc()
    task.errors.skipped()
    task.errors.inc()
    task.errors.failed()
    task.errors.logged()
    assert value("total_record_errors") == 2
    assert value("total_records_skipped") == 1
    assert value("total_record_failures") == 1
    assert value("total_errors_logged") == 1
    assert value("deadletterqueue_produce_failures") == 0
    forget("fates", 0)
    assert value("total_records_skipped") is None
