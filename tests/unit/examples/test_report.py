"""What the demo prints."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from examples.pojo.latency import Latency, percentile
from examples.pojo.report import Results, print_report
from examples.pojo.verify import Comparison, Difference


def printed(**other: Any) -> str:
    latency = Latency(499.6, {"Cassandra": [0.1, 0.2, 0.9], "Kudu": []}, other.pop("missing", {}))
    comparison = Comparison({"expected": 99, "Cassandra": 99, "Kudu": 99})
    job = other.pop("job", Comparison({"expected": 5, "AsyncCassandraJob": 5}))
    hops = {"m.pojo": 111, "m.pojo.enriched": 111, "Cassandra": 111, "Kudu": 111}
    reached = {"m.pojo": 1.0, "Kudu": 2.0}
    results = Results(100, 111, 0.5, 2.0, hops, reached, latency, comparison, job, 2.0, {"source": 123_000_000})
    output = io.StringIO()
    print_report(Console(file=output, width=100), results)
    assert results.equal == ("Equal." in output.getvalue())
    return output.getvalue()


def test_a_good_run_ends_with_its_verdict() -> None:
    text = printed()
    for expected in ("100 rows, 111 changes", "200 ms", "900 ms", "123 MB", "99 rows of Kudu", "99 rows of MySQL"):
        assert expected in text


def test_differences_and_lost_probes_are_told() -> None:
    job = Comparison({"AsyncCassandraJob": 5}, 7, [Difference("AsyncCassandraJob", "a", "energy", "1", None)])
    assert "energy is None, should be '1'" in printed(job=job)
    assert "7 differences" in printed(job=job)
    assert "Kudu: 3 probes did not arrive" in printed(missing={"Kudu": 3})


def test_percentiles() -> None:
    values = [float(i) for i in range(100)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile([4.0], 0.99)) == (50.0, 99.0, 4.0)
    assert percentile([], 0.5) != percentile([], 0.5)
