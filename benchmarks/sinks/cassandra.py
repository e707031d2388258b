"""`CassandraSink` beside `execute_concurrent_with_args` of the driver."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from cassandra.concurrent import execute_concurrent_with_args

from benchmarks.measure import Bench, median
from benchmarks.sinks.messages import canal_rows, rows
from benchmarks.sinks.run import Part, SinkRun, run_sink, say
from examples.pojo.servers import Servers

__all__ = ["measure"]

_TABLE: Final = """
CREATE TABLE {}.m_pojo (
  aid text, astyle text, aname text, log_time bigint, energy decimal, age int, astatus text, create_time text,
  update_time text, ts_create_time timestamp, ts_update_time timestamp, sys_update_time timestamp,
  sys_create_time timestamp, PRIMARY KEY ((aid, astyle, astatus), ts_create_time)
) WITH CLUSTERING ORDER BY (ts_create_time DESC)"""
_COLUMNS: Final = (
    "aid, astyle, aname, log_time, energy, age, astatus, create_time, update_time, ts_create_time, ts_update_time, "
    "sys_update_time, sys_create_time"
)
_CONCURRENCY: Final = (32, 100, 500)
_SETTLE: Final = 0.2
"""The baseline writes this share of the rows: it is slow, and its rate does not depend on their number."""

_VARIANTS: Final = {
    "single": ("cassandra_single_rows_per_s", "spread", "none", "one row a request"),
    "replica": ("cassandra_replica_batch_rows_per_s", "spread", "replica", "rows of the same replicas together"),
    "hot": ("cassandra_hot_partition_rows_per_s", "hot", "replica", "all rows of one partition"),
}


def measure(made: Bench, options: argparse.Namespace) -> Part:
    """Measure the driver alone and the sink's ways of writing, in turn."""
    topics = {name: made.topic(name) for name in ("spread", "hot")}
    for name, topic in topics.items():
        say(f"fill {name} with {options.records} rows")
        made.fill(topic, canal_rows(options.records, hot=name == "hot"))
    runs: dict[str, list[SinkRun]] = {name: [] for name in _VARIANTS}
    baselines: dict[int, list[float]] = {number: [] for number in _CONCURRENCY}
    with Servers(os.environ).cassandra() as session:
        for turn in range(options.repeat):
            with _keyspace(session, f"{made.unique}_d{turn}".replace("-", "_")) as keyspace:
                _baseline(session, keyspace, int(options.records * _SETTLE), baselines)
            for name, (_, keys, batch, _) in _VARIANTS.items():
                say(f"sink, {name}, repetition {turn + 1}")
                with _keyspace(session, f"{made.unique}_{name}{turn}".replace("-", "_")) as keyspace:
                    config = _config(topics[keys], keyspace, batch)
                    run = run_sink(made, f"cassandra-{name}-{turn}", config, options.records)
                    _check(session, keyspace, options.records)
                    runs[name].append(run)
        part = _part(runs, baselines)
        if options.memory_rows:
            _memory(made, session, options.memory_rows, part)
    return part


@contextmanager
def _keyspace(session: Any, name: str) -> Iterator[str]:
    session.execute(f"CREATE KEYSPACE {name} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}")
    session.execute(_TABLE.format(name))
    yield name
    session.execute(f"DROP KEYSPACE {name}")


def _config(topic: str, keyspace: str, batch: str) -> dict[str, str]:
    return {
        "connector.class": "CassandraSink",
        "topics": topic,
        "cassandra.contact.points": os.environ["CASSANDRA_CONTACT_POINTS"],
        "cassandra.port": os.environ["CASSANDRA_PORT"],
        "cassandra.batch": batch,
        "time.zone": "Asia/Shanghai",
        f"topic.{topic}.{keyspace}.m_pojo.mapping": "*",
    }


def _baseline(session: Any, keyspace: str, count: int, found: dict[int, list[float]]) -> None:
    marks = ", ".join("?" * 13)
    insert = session.prepare(f"INSERT INTO {keyspace}.m_pojo ({_COLUMNS}) VALUES ({marks}) USING TIMESTAMP ?")
    values = [_values(row) for row in rows(count)]
    for concurrency in _CONCURRENCY:
        say(f"driver alone, {concurrency} at a time")
        began = time.perf_counter()
        execute_concurrent_with_args(session, insert, values, concurrency=concurrency)
        found[concurrency].append(count / (time.perf_counter() - began))


def _values(row: Any) -> Sequence[Any]:
    moment, text = datetime.fromtimestamp(row.at_ms / 1000, UTC), row.text
    return (
        *(row.aid, row.astyle, row.aname, row.at_ms, row.energy, row.age, row.astatus, text, text),
        *(moment, moment, moment, moment, row.at_ms * 1000),
    )


def _check(session: Any, keyspace: str, count: int) -> None:
    stored = session.execute(f"SELECT count(*) FROM {keyspace}.m_pojo").one()[0]
    if stored != count:
        raise RuntimeError(f"{stored} of {count} rows are in {keyspace}.m_pojo")


def _part(runs: dict[str, list[SinkRun]], baselines: dict[int, list[float]]) -> Part:
    part = Part()
    for concurrency, found in baselines.items():
        part.lines.append((f"driver alone, {concurrency} at a time", f"{median(found):,.0f} rows/s"))
    best = max(median(found) for found in baselines.values())
    part.result["cassandra_baseline_rows_per_s"] = round(best)
    for name, (key, _, _, text) in _VARIANTS.items():
        middle = sorted(runs[name], key=lambda run: run.rate)[len(runs[name]) // 2]
        part.lines.append((f"sink, {text}", f"{middle.rate / best:.1f}x: {middle.text}"))
        part.result[key] = round(middle.rate)
        part.result[key.replace("rows_per_s", "p99_ms")] = round(middle.p99_ms, 1)
        part.rss_mb[f"cassandra {name}"] = round(max(run.rss_mb for run in runs[name]))
    part.result["cassandra_rows_per_s"] = part.result["cassandra_single_rows_per_s"]
    part.result["cassandra_whole_rows_per_s"] = round(median([run.whole for run in runs["replica"]]))
    part.result["cassandra_best_rows_per_s"] = round(max(run.hot for run in runs["replica"]))
    return part


def _memory(made: Bench, session: Any, count: int, part: Part) -> None:
    say(f"memory over {count} rows")
    topic = made.topic("memory")
    made.fill(topic, canal_rows(count))
    with _keyspace(session, f"{made.unique}_memory".replace("-", "_")) as keyspace:
        run = run_sink(made, "cassandra-memory", _config(topic, keyspace, "replica"), count, limit_s=600)
    steps = ", ".join(map(str, run.memory_mb))
    part.lines.append((f"memory at each tenth of {count:,} rows", f"{steps} MB; {run.text}"))
    part.result["cassandra_memory_mb"] = run.memory_mb
