"""The series that a sink fills for each of its tables."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

from prometheus_client import generate_latest

from connectors.runtime.metrics import REGISTRY
from connectors.runtime.sink_context import SinkContext
from tests.unit.runtime.fakes import spec


def test_a_table_has_series_of_its_own() -> None:
    context = SinkContext(spec(Mock), Mock())
    table: Any = context.table_metrics("k.t")
    table.stored(3, 1.5)
    table.answered(0.004)
    table.retried(2)
    table.refused(1)
    text = generate_latest(REGISTRY).decode()
    labels = '{connector="c",table="k.t",task="0"}'
    assert f"connect_sink_table_rows_total{labels} 3.0" in text
    assert f"connect_sink_table_request_seconds_count{labels} 1.0" in text
    assert f"connect_sink_table_retried_rows_total{labels} 2.0" in text
    assert f"connect_sink_table_dead_letters_total{labels} 1.0" in text
    assert f"connect_sink_table_lag_seconds{labels} 1.5" in text


def test_a_table_is_asked_for_again_and_again() -> None:
    context = SinkContext(spec(Mock), Mock())
    assert context.table_metrics("k.t") is context.table_metrics("k.t")
