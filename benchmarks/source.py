"""The binlog source beside mysql-replication's own path, and on to Kafka through a worker.

    python -m benchmarks.source [--records 300000] [--repeat 3]

Ten-column rows of the seed's table on the real MySQL, once in inserts of 5,000 rows and once (at most 10,000 rows) each
in its own transaction. Decoding is told in rows per CPU second of the thread that decodes: for the library that
includes its reading from the socket, for ours only `ChangeStream.begin`, as the reading is another module's work; the
wall rates of both whole paths, `BinLogStreamReader` to JSON bytes and `MySqlBinlogTask.poll` in this process, are in
the table beside them and are the fairer pair. Single-row transactions are compared by these wall rates.
Rates to Kafka are those of a worker process, from the first message seen in the topic to 98 % of them, acked by the
broker. Commit to Kafka: from the return of an insert's commit to the arrival at a consumer here, paced at 1,000/s or as
near as one connection comes, and so more than the time until Kafka has it. First record: from the start of the process
of a worker that has the connector already.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final
from unittest.mock import patch

import confluent_kafka as ck
import orjson
from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.row_event import WriteRowsEvent

import stack
from benchmarks import goldengate
from benchmarks.measure import Bench, ConnectWorker, bench, median, options, report
from connectors.sources.mysql import MySqlBinlogTask
from connectors.sources.mysql.changes import ChangeStream
from examples.pojo.servers import Servers

COLUMNS: Final = (
    "aid varchar(64) PRIMARY KEY, aname varchar(64), astyle varchar(32), energy decimal(10,2), age int, tt timestamp,"
    " log_time bigint, create_time varchar(32), update_time varchar(32), astatus varchar(8)"
)
_SINGLE: Final = 10_000
_SURE: Final = 0.95
_PACED: Final = 5_000
_PACE_S: Final = 0.001


@dataclass(frozen=True, slots=True)
class Place:
    """A table that was filled, and the binlog's position and GTID set before that."""

    database: str
    table: str
    rows: int
    file: str
    pos: int
    gtids: str

    def props(self, env: dict[str, str]) -> dict[str, str]:
        """Return the source's configuration."""
        return {
            "database.hostname": env["MYSQL_HOST"],
            "database.port": env["MYSQL_PORT"],
            "database.user": env["MYSQL_USER"],
            "database.password": env["MYSQL_PASSWORD"],
            "table.include.list": rf"{self.database}\.{self.table}",
            "start.position": f"{self.file}:{self.pos}",
            "snapshot.mode": "never",
        }


class _Context:
    """As much of the runtime as the task asks for."""

    connector = "bench"

    @property
    def offset_storage_reader(self) -> _Context:
        return self

    def offset(self, _partition: Any) -> None:
        return None

    def gauge(self, _name: str, _value: float) -> None:
        return None


def main() -> int:
    """Run the benchmark."""
    chosen = options("Measure the binlog source.", 300_000)
    load = os.getloadavg()[0]
    env = stack.up(["kafka", "mysql"])
    with bench(env["KAFKA_BOOTSTRAP_SERVERS"], "source") as made, root(env) as cursor:
        database = made.unique.replace("-", "_")
        cursor.execute(f"CREATE DATABASE {database}")
        try:
            many = fill(cursor, database, "many", chosen.records, 5000)
            single = fill(cursor, database, "single", min(_SINGLE, chosen.records), 1)
            figures = [_round(env, many, single) for _ in range(chosen.repeat)]
            kafka, rss = _to_kafka(made, env, many, cursor, chosen.repeat)
            trail = goldengate.measure(made, ConnectWorker(made), chosen.records, chosen.repeat)
        finally:
            cursor.execute(f"DROP DATABASE {database}")
    medians = {name: median([each[name] for each in figures]) for name in figures[0]} | kafka
    _report(medians, rss, load, trail)
    return 0


@contextmanager
def root(env: dict[str, str]) -> Iterator[Any]:
    """Open a cursor that may do everything."""
    servers = Servers({**env, "MYSQL_USER": "root", "MYSQL_PASSWORD": ""})
    with closing(servers.mysql()) as connection:
        connection.autocommit(True)
        with connection.cursor() as cursor:
            yield cursor


def _row(number: int) -> str:
    return (
        f"('ID000-{number}','NAME-{number}','STYLE000-{number % 5}',{number % 1000}.25,{number % 5 * 13},"
        f"'2024-01-02 03:04:05',{number},'2024-01-02 03:04:05.006','2024-01-02 03:04:05.006','0{number % 5}')"
    )


def fill(cursor: Any, database: str, table: str, rows: int, step: int) -> Place:
    """Make a table and fill it with inserts of `step` rows each."""
    cursor.execute(f"CREATE TABLE {database}.{table} ({COLUMNS}) CHARSET utf8mb4")
    cursor.execute("SHOW BINARY LOG STATUS")
    file, pos, _, _, gtids = cursor.fetchone()
    for start in range(0, rows, step):
        values = ",".join(map(_row, range(start, min(start + step, rows))))
        cursor.execute(f"INSERT INTO {database}.{table} VALUES {values}")
    return Place(database, table, rows, file, pos, gtids)


def _round(env: dict[str, str], many: Place, single: Place) -> dict[str, float]:
    """One turn in this process: the library's path and ours, in rows per second."""
    library_cpu, library_wall = _library(env, many)
    ours_cpu, ours_wall = _ours(env, many)
    return {
        "library_decode": many.rows / library_cpu,
        "decode": many.rows / ours_cpu,
        "library_wall": many.rows / library_wall,
        "wall": many.rows / ours_wall,
        "library_single_txn": single.rows / _library(env, single)[1],
        "single_txn": single.rows / _ours(env, single)[1],
    }


def _library(env: dict[str, str], place: Place) -> tuple[float, float]:
    """CPU and wall seconds of the library's own way to JSON bytes."""
    settings = {"host": env["MYSQL_HOST"], "port": int(env["MYSQL_PORT"])}
    settings |= {"user": env["MYSQL_USER"], "password": env["MYSQL_PASSWORD"]}
    stream = BinLogStreamReader(
        connection_settings=settings,
        server_id=4_000_000_000 + os.getpid(),
        log_file=place.file,
        log_pos=place.pos,
        resume_stream=True,
        blocking=True,
        only_events=[WriteRowsEvent],
        only_schemas=[place.database],
        only_tables=[place.table],
        enable_logging=False,
    )
    cpu, wall, count = time.thread_time(), time.perf_counter(), 0
    for event in stream:
        for row in event.rows:
            orjson.dumps({name: str(value) for name, value in row["values"].items()})
            count += 1
        if count >= place.rows:
            break
    spent = time.thread_time() - cpu, time.perf_counter() - wall
    stream.close()
    return spent


def _ours(env: dict[str, str], place: Place) -> tuple[float, float]:
    """CPU seconds of decoding and wall seconds until `poll` returned every row, one per message."""
    decoding, begin = [0.0], ChangeStream.begin

    def timed(self: ChangeStream, event: bytes) -> None:
        began = time.thread_time()
        begin(self, event)
        decoding[0] += time.thread_time() - began

    with patch.object(ChangeStream, "begin", timed):
        wall, count = time.perf_counter(), 0
        for batch in _polls(place.props(env)):
            count += sum(1 for record in batch if record.topic)
            if count >= place.rows:
                break
        return decoding[0], time.perf_counter() - wall


def _polls(props: dict[str, str]) -> Iterator[list[Any]]:
    task = MySqlBinlogTask()
    task.initialize(_Context())  # type: ignore[arg-type]
    task.start(props)
    try:
        while True:
            yield task.poll() or []
    finally:
        task.stop()


def _to_kafka(
    made: Bench, env: dict[str, str], many: Place, cursor: Any, repeat: int
) -> tuple[dict[str, float], dict[str, int]]:
    messages = count_messages(many, env)
    # Messages of many rows end where a read from the socket ended, so their number varies a little.
    together = int(count_messages(many, env, {"snapshot.mode": "initial"}) * _SURE)
    worker = ConnectWorker(made)
    rates: dict[str, list[float]] = {}
    peak = 0.0
    kinds: dict[str, tuple[dict[str, str], int]] = {
        "kafka_multi": ({"rows.per.message": "event", "message.key": "none"}, messages),
        "kafka_single": ({}, many.rows),
        "snapshot": ({"snapshot.mode": "initial"}, many.rows),
        "snapshot_multi": (
            {"snapshot.mode": "initial", "rows.per.message": "event", "message.key": "none"},
            together,
        ),
    }
    for number in range(repeat):
        for kind, (extra, total) in kinds.items():
            name = f"{made.unique}-{kind}{number}"
            topic = made.topic(f"{kind}{number}")
            worker.deploy(name, _config(many.props(env) | extra, topic))
            run = made.follow(worker.process, topic, total)
            rows = many.rows * (_SURE if kind == "snapshot_multi" else 1)
            rates.setdefault(kind, []).append(run.rate * rows / total)
            peak = max(peak, run.rss_mb)
            worker.delete(name)
    result = {kind: median(values) for kind, values in rates.items()}
    result |= _live(made, env, many, cursor, worker)
    peak = max(peak, worker.process.rss_mb())
    worker.process.stop()  # the next part starts a worker of the same name
    return result, {"source": round(peak)}


def _config(props: dict[str, str], topic: str) -> dict[str, str]:
    made = {**props, "connector.class": "MySqlBinlogSource", "topic": topic}
    if made["snapshot.mode"] != "never":  # a snapshot sets the position itself
        del made["start.position"]
    return made


def count_messages(place: Place, env: dict[str, str], options: dict[str, str] | None = None) -> int:
    """The number of messages when all rows of an event are one message."""
    count = rows = 0
    props = place.props(env) | {"rows.per.message": "event", "message.key": "none"} | (options or {})
    if props["snapshot.mode"] != "never":
        del props["start.position"]
    for batch in _polls(props):
        for record in batch:
            if record.topic and record.value is not None:
                value = record.value if isinstance(record.value, bytes) else orjson.dumps(record.value)
                rows += len(orjson.loads(value)["data"])
                count += 1
        if rows >= place.rows:
            return count
    raise AssertionError("poll goes on for ever")


def _live(made: Bench, env: dict[str, str], place: Place, cursor: Any, worker: ConnectWorker) -> dict[str, float]:
    """Latency of paced commits, then the time from a process's start to its first record."""
    topic, name = made.topic("live", 1), f"{made.unique}-live"
    worker.deploy(name, _config(place.props(env) | {"start.position": "latest"}, topic))
    insert = f"INSERT INTO {place.database}.{place.table} VALUES "
    deadline = time.monotonic() + 30
    probe = 10_000_000
    while not made.count(topic, 1):  # until the task reads
        cursor.execute(insert + _row(probe := probe + 1))
        time.sleep(0.1)
        if time.monotonic() > deadline:
            raise TimeoutError(f"no record in {topic}")
    latencies, rate = _paced(made.kafka, topic, lambda number: cursor.execute(insert + _row(number)))
    worker.process.stop()
    before = made.count(topic, 1)
    cursor.execute(insert + _row(30_000_000))
    began = time.monotonic()
    worker.start()
    while made.count(topic, 1) <= before:
        worker.process.check()
        time.sleep(0.01)
    first = time.monotonic() - began
    latencies.sort()
    return {"p99_ms": latencies[int(len(latencies) * 0.99)] * 1000, "paced": rate, "first_record_s": first}


def _paced(kafka: str, topic: str, insert: Callable[[int], Any]) -> tuple[list[float], float]:
    """Insert at 1,000/s while a thread notes arrivals; returns seconds from commit to arrival, and the rate reached."""
    first, stop = 20_000_000, threading.Event()
    arrived: dict[str, float] = {}

    def listen() -> None:
        consumer = ck.Consumer({"bootstrap.servers": kafka, "group.id": f"{topic}-paced", "fetch.wait.max.ms": 10})
        consumer.assign([ck.TopicPartition(topic, 0, 0)])
        while not (stop.is_set() and len(arrived) >= _PACED):
            for message in consumer.consume(500, 0.05):
                arrived.setdefault(orjson.loads(message.value())["data"][0]["aid"], time.monotonic())
        consumer.close()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    time.sleep(1)
    committed, began = {}, time.monotonic()
    for number in range(_PACED):
        time.sleep(max(0.0, began + number * _PACE_S - time.monotonic()))
        insert(first + number)
        committed[f"ID000-{first + number}"] = time.monotonic()
    rate = _PACED / (time.monotonic() - began)
    time.sleep(2)
    stop.set()
    listener.join(30)
    return [arrived[aid] - moment for aid, moment in committed.items()], rate


def _report(figures: dict[str, float], rss: dict[str, int], load: float, trail: dict[str, float]) -> None:
    unit = "rows/s"
    rows = [
        ("decode, library (CPU, with its socket)", f"{figures['library_decode']:,.0f} {unit}"),
        ("decode, ours (CPU)", f"{figures['decode']:,.0f} {unit}"),
        ("whole path, library (wall)", f"{figures['library_wall']:,.0f} {unit}"),
        ("whole path, ours to poll (wall)", f"{figures['wall']:,.0f} {unit}"),
        ("single-row transactions, library (wall)", f"{figures['library_single_txn']:,.0f} {unit}"),
        ("single-row transactions, ours (wall)", f"{figures['single_txn']:,.0f} {unit}"),
        ("to Kafka, multi-row messages", f"{figures['kafka_multi']:,.0f} {unit}"),
        ("to Kafka, a row a message", f"{figures['kafka_single']:,.0f} {unit}"),
        ("snapshot to Kafka, multi-row messages", f"{figures['snapshot_multi']:,.0f} {unit}"),
        ("snapshot to Kafka, a row a message", f"{figures['snapshot']:,.0f} {unit}"),
        (f"commit to Kafka, p99 at {figures['paced']:.0f}/s", f"{figures['p99_ms']:.1f} ms"),
        ("process start to first record", f"{figures['first_record_s']:.2f} s"),
        ("memory of the worker", f"{rss['source']} MB"),
    ]
    names = (
        "library_decode",
        "decode",
        "library_single_txn",
        "single_txn",
        "kafka_multi",
        "kafka_single",
        "snapshot_multi",
        "snapshot",
    )
    result: dict[str, Any] = {f"{name}_rows_per_s": round(figures[name]) for name in names}
    result |= {"commit_to_kafka_p99_ms": round(figures["p99_ms"], 1)}
    result |= {"first_record_s": round(figures["first_record_s"], 2), "rss_mb": rss}
    report(rows + goldengate.rows_of(trail), result | goldengate.values_of(trail), load)


if __name__ == "__main__":
    sys.exit(main())
