"""What the worker tells of itself: figures, pending requests, JSON logs."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY, Counter

from agents.json_log import JsonFormatter, place_of
from agents.metrics import StageCollector, exposition
from agents.pending_page import as_html, requests
from tests.unit.agents.test_stage import Rig, settle, slow_for

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"


def series(text: bytes) -> dict[str, float]:
    pairs = re.findall(r'^(\w+)\{(?:le="([^"]+)",)?stage="s"\} (\S+)$', text.decode(), re.MULTILINE)
    return {name + (f":{le}" if le else ""): float(value) for name, le, value in pairs}


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - plain numbers tell nobody of their change
            await asyncio.sleep(0.005)


async def fails_for_one(message: Any) -> list[Any]:
    if message.offset == 1:
        raise ValueError("no cheese")
    return [message]


async def test_figures_follow_what_the_stage_does() -> None:
    rig = await Rig(fails_for_one, dead_letter="dead").start()
    rig.take(0, 1, 2)
    await settle()
    found = series(exposition(lambda: [rig.stage]))
    assert (found["enrich_completed_total"], found["enrich_failed_total"]) == (2, 1)
    assert (found["enrich_dead_letters_total"], found["enrich_in_flight"], found["enrich_partitions"]) == (1, 0, 1)
    assert found["enrich_lookup_seconds_bucket:+Inf"] == found["enrich_lookup_seconds_count"] == 3
    assert found["enrich_pending"] == 3, "nothing is delivered yet"
    await rig.tick()
    assert series(exposition(lambda: [rig.stage]))["enrich_checkpoints_total"] == 1


async def test_waiting_records_are_blocked_and_slow_ones_in_flight() -> None:
    rig = await Rig(slow_for(0, 1), capacity=2).start()
    rig.take(0, 1, 2, 3, 4)
    await settle()
    found = series(exposition(lambda: [rig.stage]))
    assert (found["enrich_in_flight"], found["enrich_capacity"], found["enrich_blocked"]) == (2, 2, 3)


async def test_time_outs_and_retries_are_counted() -> None:
    async def again(message: Any) -> list[Any]:
        raise ConnectionError

    retry = {"kind": "fixed", "max_retries": 1, "delay_s": 0.001}
    rig = await Rig(again, dead_letter="dead", retry=retry).start()
    slow = await Rig(slow_for(0), dead_letter="dead", timeout_s=0.02).start()
    rig.take(0)
    slow.take(0)
    await until(lambda: rig.stage.operator.figures.failed and slow.stage.operator.figures.failed)
    assert series(exposition(lambda: [rig.stage]))["enrich_retries_total"] == 1
    assert series(exposition(lambda: [slow.stage]))["enrich_timed_out_total"] == 1


async def test_page_lists_every_series_and_no_other() -> None:
    rig = await Rig(slow_for()).start()
    families = {
        (family.name, family.type): family.documentation for family in StageCollector(lambda: [rig.stage]).collect()
    }
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", PAGE.read_text(), re.MULTILINE)
    assert {(name.removesuffix("_total"), kind): doc for name, kind, doc in rows} == families


async def test_pending_requests_are_listed_oldest_first() -> None:
    rig = await Rig(slow_for(3, 4)).start()
    rig.take(3)
    await asyncio.sleep(0.02)
    rig.take(4)
    await settle()
    rows = requests([rig.stage], 10)
    assert [row["place"] for row in rows] == ["in-0@3", "in-0@4"]
    assert rows[0]["age_s"] > rows[1]["age_s"]
    assert (rows[0]["attempts"], rows[0]["row"]) == (1, False)
    assert len(requests([rig.stage], 1)) == 1
    assert "in-0@3" in as_html(rows)


@pytest.mark.parametrize("about", [{}, place_of("s", "in", 0, 7)], ids=["plain", "record"])
def test_log_line_is_an_object_with_the_place(about: dict[str, Any]) -> None:
    record = logging.getLogger("x").makeRecord("x", logging.WARNING, "f", 1, "%s went", ("it",), None, extra=about)
    line = json.loads(JsonFormatter().format(record))
    assert (line["level"], line["logger"], line["message"]) == ("WARNING", "x", "it went")
    assert {name: line[name] for name in about} == about


async def test_metrics_of_a_function_are_served_too() -> None:
    counter = Counter("a_function_of_mine", "Calls.")
    counter.inc(3)
    try:
        text = exposition(list).decode()
    finally:
        REGISTRY.unregister(counter)
    assert "a_function_of_mine_total 3.0" in text
