"""The whole pipeline on real servers, with every row compared at the end: `make demo`.

    python -m examples.pojo.demo [--rows N] [--keep]

1. Starts the servers and makes tables, dimension and topics afresh.
2. Starts the workers of the Procfile and deploys the connectors of `connectors/`.
3. Loads `m.pojo` (INSERTs, UPDATEs of a tenth, DELETEs of a hundredth) and waits until both sinks have committed all.
4. Inserts at 500 rows/s and measures the latency from commit to readable, see `examples.pojo.latency`.
5. Compares every row of both sinks with MySQL by value, see `examples.pojo.verify`.
6. Writes plain JSON into the topic AsyncCassandraJob, whose stage upserts it into the keyspace m_job; compares that.

Exit code 1 if a row differs or a worker died.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.status import Status

import stack
from examples.pojo.jobcheck import compare_job
from examples.pojo.latency import measure
from examples.pojo.load import load
from examples.pojo.pipeline import HOPS, Pipeline, running
from examples.pojo.produce import produce
from examples.pojo.report import Results, print_report
from examples.pojo.servers import NAMES
from examples.pojo.verify import compare_sinks
from examples.pojo.workers import WorkerDied, wait_for

__all__ = ["main"]

_PACED_RATE: Final = 500.0
_PACED_S: Final = 20
_FIRST_PACED: Final = 10_000_000


def main(argv: list[str] | None = None) -> int:
    """Run the demo; returns the exit code."""
    parser = argparse.ArgumentParser(description="Run the pipeline on real servers and compare every row.")
    parser.add_argument("--rows", type=int, default=100_000, help="rows to insert (default 100000)")
    parser.add_argument("--keep", action="store_true", help="leave the workers running until Enter is pressed")
    options = parser.parse_args(argv)
    # The driver warns of each protocol version that it tries on its way to the server's.
    logging.getLogger("cassandra").setLevel(logging.ERROR)
    console = Console()
    logs = Path(tempfile.gettempdir(), "faust-connect-demo")
    try:
        with console.status("Servers") as status:
            env = stack.up(NAMES, lambda name, word: status.update(f"Servers: {name} {word}"))
            status.update(f"Tables, topics and workers (logs in {logs})")
            results = _run(console, status, env, logs, options)
    except (stack.StackError, WorkerDied, TimeoutError, RuntimeError) as error:
        console.print(f"[bold red]Failed.[/] {error}", highlight=False)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped; the workers have ended.")
        return 130
    print_report(console, results)
    console.print("The servers are still running; [bold]make down[/] stops them.")
    return 0 if results.equal else 1


def _run(console: Console, status: Status, env: dict[str, str], logs: Path, options: argparse.Namespace) -> Results:
    results = Results(rows=options.rows)
    with running(env, logs) as pipeline:
        status.stop()
        _load(console, pipeline, results)
        with console.status(f"Latency: {_PACED_RATE:.0f} rows/s for {_PACED_S} s") as working:
            paced = int(_PACED_RATE * _PACED_S)
            results.latency = measure(pipeline.servers, paced, _PACED_RATE, first=_FIRST_PACED)
            pipeline.wait_until_done(results.changes + paced, timeout_s=60)
            working.update("Comparing every row")
            results.comparison = compare_sinks(pipeline.servers)
            working.update("AsyncCassandraJob")
            _job(pipeline, results)
            results.rss = pipeline.workers.peak_rss()
            results.tasks = pipeline.tasks()
        if options.keep:
            console.input(f"Workers: {pipeline.workers.pids}; logs in {logs}. Press Enter to stop them. ")
    return results


def _load(console: Console, pipeline: Pipeline, results: Results) -> None:
    columns = (TextColumn("{task.description:16}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    expected = results.rows + results.rows // 10 + results.rows // 100
    with Progress(*columns, console=console) as progress:
        bars: dict[str, TaskID] = {name: progress.add_task(name, total=expected) for name in ("MySQL", *HOPS)}

        def seen(counts: dict[str, int]) -> None:
            pipeline.workers.rss()
            for name in HOPS:
                progress.update(bars[name], completed=counts[name])
                if counts[name] >= results.changes:
                    results.reached_s.setdefault(name, time.monotonic() - started)

        started = time.monotonic()
        with pipeline.servers.mysql() as connection:
            results.changes = load(connection, results.rows, report=lambda n: progress.advance(bars["MySQL"], n))
        results.load_s = time.monotonic() - started
        for bar in bars.values():
            progress.update(bar, total=results.changes)
        pipeline.wait_until_done(results.changes, seen=seen)
        results.total_s = time.monotonic() - started
        results.hops = {name: count for name, count in pipeline.counts().items() if name in HOPS}


def _job(pipeline: Pipeline, results: Results) -> None:
    started = time.monotonic()
    produce(pipeline.servers.kafka, results.rows)
    wait_for(
        lambda: pipeline.counts()["job done"] >= results.rows,
        "the stage AsyncCassandraJob",
        timeout_s=300,
        every_s=0.25,
        meanwhile=pipeline.workers.check,
    )
    results.job_s = time.monotonic() - started
    results.job = compare_job(pipeline.servers)


if __name__ == "__main__":
    sys.exit(main())
