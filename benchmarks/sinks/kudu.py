"""`KuduSink` with the Java client beside that client alone."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Final

from benchmarks.measure import Bench, median
from benchmarks.sinks.messages import canal_rows, rows
from benchmarks.sinks.run import Part, SinkRun, run_sink, say
from connectors.clients.kudu.jvm_client import JvmKuduClient
from connectors.clients.kudu.port import Layout, OpKind, RowOp
from examples.pojo.prepare import KUDU_COLUMNS, PARTITIONS
from examples.pojo.servers import Servers

__all__ = ["measure"]

_FLUSH_ROWS: Final = 1_000


def measure(made: Bench, options: argparse.Namespace) -> Part:
    """Measure the client alone and the sink, in turn.

    A run of either stores twice the rows: the JVM compiles during the first half, the second half counts.
    """
    count = 2 * options.records
    topic = made.topic("kudu")
    say(f"fill a topic with {count} rows")
    made.fill(topic, canal_rows(count))
    runs: list[SinkRun] = []
    baselines: list[float] = []
    with Servers(os.environ).kudu() as client:
        for turn in range(options.repeat):
            say(f"Java client alone, repetition {turn + 1}")
            with _table(client, f"{made.unique}.client{turn}") as table:
                baselines.append(_baseline(client, table, count))
            say(f"sink, repetition {turn + 1}")
            with _table(client, f"{made.unique}.sink{turn}") as table:
                check = _check(client, table, count)
                run = run_sink(made, f"kudu-{turn}", _config(topic, table), count, check=check, warm=options.records)
                runs.append(run)
        part = _part(runs, median(baselines))
        if options.memory_rows:
            _memory(made, client, options.memory_rows, part)
    return part


@contextmanager
def _table(client: JvmKuduClient, name: str) -> Iterator[str]:
    client.create_table(name, KUDU_COLUMNS, Layout(("aid",), PARTITIONS, replicas=1))
    yield name
    client.drop_table(name)


def _config(topic: str, table: str) -> dict[str, str]:
    return {
        "connector.class": "KuduSink",
        "topics": topic,
        "kudu.masters": os.environ["KUDU_MASTERS"],
        "kudu.backend": "jvm",
        "kudu.client.jars": os.environ["KUDU_CLIENT_JARS"],
        "time.zone": "Asia/Shanghai",
        f"topic.{topic}.{table}.mapping": "*",
    }


def _baseline(client: JvmKuduClient, name: str, count: int) -> float:
    """Return rows per second of the bulk path: rows in memory as the port takes them, no Kafka, no mapping."""
    table = client.open_table(name)
    names = [column.name for column in table.columns]
    waiting = iter(_operation(names, row) for row in rows(count))
    _write(client, table, islice(waiting, count // 2))
    rest = list(waiting)
    began = time.perf_counter()
    _write(client, table, iter(rest))
    return len(rest) / (time.perf_counter() - began)


def _write(client: JvmKuduClient, table: Any, operations: Iterator[RowOp]) -> None:
    for part in _batched(operations, _FLUSH_ROWS):
        failures = client.write_batch(table, part)
        if failures:
            raise RuntimeError(f"{table.name}: {failures[0].text}")


def _batched(items: Iterator[RowOp], size: int) -> Iterator[list[RowOp]]:
    """Cut items into lists."""
    while part := list(islice(items, size)):
        yield part


def _operation(names: list[str], row: Any) -> RowOp:
    micros, text = row.at_ms * 1000, row.text.encode()
    values = {
        "aid": row.aid.encode(),
        "astyle": row.astyle.encode(),
        "astatus": row.astatus.encode(),
        "ts_create_time": micros,
        "aname": row.aname.encode(),
        "log_time": row.at_ms,
        "energy": int(row.energy.scaleb(2)),
        "age": row.age,
        "create_time": text,
        "update_time": text,
        "ts_update_time": micros,
        "sys_update_time": micros,
        "sys_create_time": micros,
    }
    return RowOp(OpKind.UPSERT, [values[name] for name in names])


def _check(client: JvmKuduClient, table: str, count: int) -> Callable[[], None]:
    def check() -> None:
        stored = sum(1 for _ in client.scan(table))
        if stored != count:
            raise RuntimeError(f"{stored} of {count} rows are in {table}")

    return check


def _part(runs: list[SinkRun], baseline: float) -> Part:
    part = Part()
    middle = sorted(runs, key=lambda run: run.rate)[len(runs) // 2]
    part.lines.append(("Java client alone, bulk path, warm", f"{baseline:,.0f} rows/s"))
    part.lines.append(("KuduSink, warm", f"{middle.rate / baseline:.2f}x: {middle.text}"))
    part.result["kudu_baseline_rows_per_s"] = round(baseline)
    part.result["kudu_rows_per_s"] = round(middle.rate)
    part.rss_mb["kudu"] = round(max(run.rss_mb for run in runs))
    return part


def _memory(made: Bench, client: JvmKuduClient, count: int, part: Part) -> None:
    say(f"memory over {count} rows")
    topic = made.topic("kudumemory")
    made.fill(topic, canal_rows(count))
    with _table(client, f"{made.unique}.memory") as table:
        run = run_sink(made, "kudu-memory", _config(topic, table), count, limit_s=600)
    steps = ", ".join(map(str, run.memory_mb))
    part.lines.append((f"memory at each tenth of {count:,} rows", f"{steps} MB; {run.text}"))
    part.result["kudu_memory_mb"] = run.memory_mb
