"""`MySqlBinlogSource` and a peer take turns to bring one table's binlog to Kafka, each in a process of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import confluent_kafka as ck
import orjson

import stack
from benchmarks.measure import Bench, ConnectWorker, WorkerProcess, bench, median, report
from benchmarks.source import Place, fill, root
from examples.pojo.servers import Servers

__all__ = ["Course", "Lap", "course", "follow", "ours", "race", "rows_in"]

_WINDOW_S: Final = 2.0
_SAMPLE_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Course:
    """What is to be brought to Kafka.

    Attributes:
        made: Topics and folder.
        env: Addresses of the servers.
        place: The table, and the binlog's position before its rows.
    """

    made: Bench
    env: dict[str, str]
    place: Place


@dataclass(frozen=True, slots=True)
class Lap:
    """One run.

    Attributes:
        whole: Rows per second, from the start of the process to the last row.
        hot: Rows per second in the best two seconds, or over all rows where they took less.
        cpu_us: CPU of the process per row, its start included, microseconds.
        rss_mb: Most resident memory seen, MB.
        first_s: Seconds from the start of the process to the first row.
    """

    whole: float
    hot: float
    cpu_us: float
    rss_mb: float
    first_s: float


@contextmanager
def course(name: str, rows: int) -> Iterator[Course]:
    """Fill a table; everything is removed at the end."""
    env = stack.up(["kafka", "mysql"])
    with bench(env["KAFKA_BOOTSTRAP_SERVERS"], name) as made, root(env) as cursor:
        # The server knows the user's password from now on, as after any other client.
        Servers(env).mysql().close()
        database = f"bench_{name}_{uuid4().hex[:8]}"
        cursor.execute(f"CREATE DATABASE {database}")
        try:
            yield Course(made, env, fill(cursor, database, "many", rows, 5000))
        finally:
            cursor.execute(f"DROP DATABASE {database}")


def ours(track: Course, number: int, total: int, extra: dict[str, str]) -> Lap:
    """Run the source in a new worker; the time to deploy the connector over REST is part of the run."""
    topic, name = track.made.topic(f"ours{number}"), f"{track.made.unique}-ours{number}"
    began = time.monotonic()
    worker = ConnectWorker(track.made)
    config = {**track.place.props(track.env), "connector.class": "MySqlBinlogSource", "topic": topic, **extra}
    worker.deploy(name, config)
    lap = follow(track, worker.process, began, topic, total)
    worker.delete(name)
    worker.process.stop()
    return lap


def follow(
    track: Course,
    process: WorkerProcess,
    began: float,
    topic: str,
    total: int,
    *,
    fatal: str = "",
    limit_s: float = 120,
) -> Lap:
    """Watch a topic until it has `total` messages.

    Args:
        track: The course.
        process: The process that fills the topic.
        began: When it was started, of `time.monotonic`.
        topic: Name of the topic.
        total: How many messages hold all rows.
        fatal: What its log says when it has given up but lives on.
        limit_s: How long to wait, seconds.

    Raises:
        RuntimeError: The process ended, or the topic does not hold each row once.
        TimeoutError: The messages did not come.
    """
    samples: list[tuple[float, int]] = []
    peak, count = 0.0, 0
    while count < total:
        process.check()
        if fatal and fatal in process.log.read_text():
            raise RuntimeError(f"the peer gave up:\n{process.log.read_text()[-3000:]}")
        now, count = time.monotonic(), track.made.count(topic)
        samples.append((now, count))
        peak = max(peak, process.rss_mb())
        if now - began > limit_s:
            raise TimeoutError(f"{count} of {total} messages in {topic}:\n{process.log.read_text()[-3000:]}")
        time.sleep(_SAMPLE_S)
    cpu = process.cpu_s()
    if (rows := rows_in(track.made, topic)) != track.place.rows:
        raise RuntimeError(f"{topic} has {rows} rows in {count} messages, not {track.place.rows} in {total}")
    each = rows / total
    first = next(at for at, (_, seen) in enumerate(samples) if seen)
    return Lap(
        whole=rows / (samples[-1][0] - began),
        hot=_hot(samples[max(first - 1, 0) :]) * each,
        cpu_us=cpu / rows * 1e6,
        rss_mb=peak,
        first_s=samples[first][0] - began,
    )


def _hot(samples: list[tuple[float, int]]) -> float:
    """Messages per second of the best window."""
    best, start = 0.0, 0
    for now, count in samples:
        while now - samples[start][0] > _WINDOW_S + _SAMPLE_S:
            start += 1
        spent = now - samples[start][0]
        if spent >= _WINDOW_S:
            best = max(best, (count - samples[start][1]) / spent)
    return best or (samples[-1][1] - samples[0][1]) / max(samples[-1][0] - samples[0][0], _SAMPLE_S)


def rows_in(made: Bench, topic: str) -> int:
    """Read a topic again and count the rows: the entries of Canal's `data`, or one for each of another shape."""
    consumer = ck.Consumer({"bootstrap.servers": made.kafka, "group.id": f"{topic}-check", "enable.auto.commit": False})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    consumer.assign([ck.TopicPartition(topic, partition, 0) for partition in partitions])
    left, rows = made.count(topic), 0
    while left:
        for message in consumer.consume(min(left, 5000), 10):
            if message.error():
                raise ck.KafkaException(message.error())
            data = orjson.loads(message.value()).get("data")
            rows += len(data) if data else 1
            left -= 1
    consumer.close()
    return rows


def race(track: Course, peer: str, repeat: int, run: Callable[[str, int], Lap]) -> None:
    """Take turns and print the medians.

    Args:
        track: The course.
        peer: Name of the peer.
        repeat: How many turns.
        run: Takes `ours` or the peer's name, and the number of the turn.
    """
    load = os.getloadavg()[0]
    laps: dict[str, list[Lap]] = {"ours": [], peer: []}
    for number in range(repeat):
        for name, done in laps.items():
            done.append(run(name, number))
    figures = {name: _medians(done) for name, done in laps.items()}
    shown = {
        "rows/s, process start to last row": ("whole_rows_per_s", "{:,.0f}"),
        "rows/s, best 2 s": ("hot_rows_per_s", "{:,.0f}"),
        "CPU per row, start included": ("cpu_us_per_row", "{:.1f} µs"),
        "memory": ("rss_mb", "{:.0f} MB"),
        "process start to first row": ("first_row_s", "{:.2f} s"),
    }
    rows = [
        (f"{name}: {title}", form.format(figures[name][key])) for title, (key, form) in shown.items() for name in laps
    ]
    report(rows, {"rows": track.place.rows, **figures}, load)


def _medians(laps: list[Lap]) -> dict[str, float]:
    return {
        "whole_rows_per_s": round(median([lap.whole for lap in laps])),
        "hot_rows_per_s": round(median([lap.hot for lap in laps])),
        "cpu_us_per_row": round(median([lap.cpu_us for lap in laps]), 1),
        "rss_mb": round(median([lap.rss_mb for lap in laps])),
        "first_row_s": round(median([lap.first_s for lap in laps]), 2),
    }
