"""The whole pipeline as processes: each worker is killed in the middle, and every row is compared at the end."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from examples.pojo.load import load
from examples.pojo.pipeline import Pipeline, running
from examples.pojo.servers import NAMES
from examples.pojo.verify import Comparison, compare_sinks
from examples.pojo.workers import wait_for

ROWS = 20_000

# The worker, and the hop whose count tells when it is in the middle of its work.
VICTIMS = (
    ("source", "m.pojo", 0.15),
    ("enrich", "enriched", 0.3),
    ("cassandra", "Cassandra", 0.5),
    ("kudu", "Kudu", 0.7),
)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_row_is_right_after_each_worker_was_killed_in_the_middle(
    servers: Callable[..., dict[str, str]], tmp_path: Path
) -> None:
    env = servers(*NAMES)
    with running(env, tmp_path) as pipeline:
        changes: list[int] = []
        loading = threading.Thread(target=lambda: changes.append(_load(pipeline)))
        loading.start()
        for name, hop, share in VICTIMS:
            _when(pipeline, hop, int(ROWS * share))
            pipeline.workers.kill(name)
            pipeline.workers.start(name)
        loading.join()
        pipeline.wait_until_done(changes[0], timeout_s=240)
        comparison = _settled(pipeline)
    assert comparison.differences == []
    assert comparison.total == 0
    assert comparison.rows["expected"] > ROWS * 0.98
    assert comparison.rows["Cassandra"] == comparison.rows["Kudu"] == comparison.rows["expected"]


def _load(pipeline: Pipeline) -> int:
    with pipeline.servers.mysql() as connection:
        return load(connection, ROWS)


def _when(pipeline: Pipeline, hop: str, count: int) -> None:
    wait_for(
        lambda: pipeline.counts()[hop] >= count,
        f"{count:,} changes at {hop}",
        timeout_s=120,
        every_s=0.05,
        meanwhile=pipeline.workers.check,
    )


def _settled(pipeline: Pipeline) -> Comparison:
    """Compare until equal: changes that came twice may still be on their way when the counts are met."""
    last: list[Comparison] = []

    def equal() -> bool:
        last[:] = [compare_sinks(pipeline.servers)]
        return last[0].total == 0

    with contextlib.suppress(TimeoutError):  # the assertions say what differs
        wait_for(equal, "both sinks to hold what MySQL holds", timeout_s=60, every_s=1.0)
    return last[0]
