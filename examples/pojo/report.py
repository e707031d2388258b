"""What the demo prints at its end."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from examples.pojo.latency import Latency, percentile
from examples.pojo.verify import Comparison

__all__ = ["Results", "print_report"]

_MEGABYTE = 1_000_000


@dataclass(slots=True)
class Results:
    """Everything measured.

    Attributes:
        rows: Rows inserted by the loader.
        changes: Row changes made by the loader.
        load_s: Time of the loader, seconds.
        total_s: Time from its start until both sinks had committed all, seconds.
        hops: Records at each hop after MySQL.
        reached_s: Time from the loader's start until a hop had all changes, seconds.
        latency: Result of the paced phase.
        comparison: The sinks against MySQL.
        job: The stage AsyncCassandraJob against its topic.
        job_s: Its time from the first record produced to the last one committed, seconds.
        rss: Peak memory by worker, bytes.
        tasks: Connectors by worker.
    """

    rows: int
    changes: int = 0
    load_s: float = 0.0
    total_s: float = 0.0
    hops: dict[str, int] = field(default_factory=dict)
    reached_s: dict[str, float] = field(default_factory=dict)
    latency: Latency = field(default_factory=Latency)
    comparison: Comparison = field(default_factory=Comparison)
    job: Comparison = field(default_factory=Comparison)
    job_s: float = 0.0
    rss: dict[str, int] = field(default_factory=dict)
    tasks: dict[str, list[str]] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        """Whether no row differs and every probe arrived."""
        return not (self.comparison.total or self.job.total or self.latency.missing)


def print_report(console: Console, results: Results) -> None:
    """Print the tables and the verdict."""
    done = f"{results.rows:,} rows, {results.changes:,} changes, in both sinks after {results.total_s:.1f} s."
    console.print(done, _hops(results))
    console.print(f"MySQL commit to readable, at {results.latency.rate:.0f} rows/s:", _latencies(results))
    console.print("Memory:", _memory(results))
    job = results.job.rows.get("AsyncCassandraJob", 0)
    console.print(f"AsyncCassandraJob: {job:,} plain JSON records upserted, {job / results.job_s:,.0f}/s.")
    for sink, count in results.latency.missing.items():
        console.print(f"[red]{sink}: {count} probes did not arrive in time[/]")
    for difference in [*results.comparison.differences, *results.job.differences]:
        console.print(f"[red]{difference}[/]", highlight=False)
    rows = results.comparison.rows
    if results.equal:
        sinks = " and ".join(f"{count:,} rows of {name}" for name, count in rows.items() if name != "expected")
        console.print(f"[bold green]Equal.[/] {sinks} compared by value with {rows['expected']:,} rows of MySQL.")
    else:
        console.print(f"[bold red]Different.[/] {results.comparison.total + results.job.total:,} differences.")


def _hops(results: Results) -> Table:
    table = Table()
    for name in ("hop", "changes", "changes/s"):
        table.add_column(name, justify="left" if name == "hop" else "right")
    table.add_row("MySQL", f"{results.changes:,}", f"{results.changes / results.load_s:,.0f}")
    for name, count in results.hops.items():
        rate = f"{results.changes / results.reached_s[name]:,.0f}" if name in results.reached_s else ""
        table.add_row(name, f"{count:,}", rate)
    return table


def _latencies(results: Results) -> Table:
    table = Table()
    for name in ("sink", "p50", "p99", "max", "probes"):
        table.add_column(name, justify="left" if name == "sink" else "right")
    for sink, seconds in results.latency.seconds.items():
        marks = (percentile(seconds, 0.5), percentile(seconds, 0.99), max(seconds, default=float("nan")))
        table.add_row(sink, *(f"{mark * 1000:.0f} ms" for mark in marks), f"{len(seconds):,}")
    return table


def _memory(results: Results) -> Table:
    table = Table()
    table.add_column("worker")
    table.add_column("peak RSS", justify="right")
    table.add_column("runs")
    for name, size in results.rss.items():
        table.add_row(name, f"{size / _MEGABYTE:.0f} MB", ", ".join(results.tasks.get(name, ())) or "stages")
    return table
