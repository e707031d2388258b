"""The async stage from Kafka through a look-up to Kafka, beside what one would write without it.

    python -m benchmarks.async_io [--records 60000] [--repeat 3]

The input topic (4 partitions, JSON of 200 B) is filled first; each variant then reads it from its beginning in a worker
process of its own. A rate runs from the first output seen in Kafka to 98 % of the outputs, so start-up does not count;
CPU is that of the worker process, all its threads, in the same stretch. Broker, worker and this script share the
machine. Variants take turns in each repetition, and the median of the repetitions is reported.

Baselines: bare asyncio in this process, without Kafka (semaphore, `wait_for`, 10 ms); a stock Faust agent that starts a
task for each record; the same with a put into and a delete from a table for each record. The baselines on Faust stop
after a quarter of the records, being slow. The straggler ratio compares the stage at capacity 100, one look-up of 2 s
in 1000, with bare asyncio under the same look-ups. Recovery is the time from the start of a process to its first
call, after kill -9 of one that had 1000 requests pending. Look-ups in Redis and Cassandra are not cached.
`--minutes 10` watches the memory for so long. Where PyFlink is installed (`make bench-flink`) the same look-up runs
there, without Kafka around it, and the ratio is told.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import redis
from cassandra.concurrent import execute_concurrent_with_args

import stack
from benchmarks.measure import Bench, Run, bench, median, options, report
from benchmarks.peers import flink
from examples.pojo.servers import Servers

_DIMENSIONS: Final = 4000
_STRAGGLE: Final = 1000
_PENDING: Final = 1000

_FUNCTIONS: Final = """
import asyncio
import os
from pathlib import Path

async def ten_ms(message):
    await asyncio.sleep(0.01)
    return [message]

async def straggler(message):
    await asyncio.sleep(2 if message.value["n"] % 1000 == 999 else 0.01)
    return [message]

async def never(message):
    Path(os.environ["BENCH_MARK"]).touch()
    await asyncio.sleep(3600)
    return [message]
"""

_STOCK: Final = """
import asyncio
import os
import faust

app = faust.App(os.environ["BENCH_ID"], broker="kafka://" + os.environ["KAFKA_BOOTSTRAP_SERVERS"], store="memory://",
                datadir="stock-" + os.environ["BENCH_ID"], topic_partitions=4, topic_disable_leader=True,
                consumer_auto_offset_reset="earliest", stream_wait_empty=False, web_enabled=False)
source = app.topic(os.environ["BENCH_IN"], value_type=bytes, key_type=bytes, value_serializer="raw")
target = app.topic(os.environ["BENCH_OUT"], value_type=bytes, key_type=bytes, value_serializer="raw")
table = app.Table("pending", partitions=4, value_type=bytes) if os.environ.get("BENCH_TABLE") else None

@app.agent(source)
async def enrich(stream):
    room = asyncio.Semaphore(1000)
    running = set()

    async def one(event):
        try:
            key = event.key.decode()
            if table is not None:
                table[key] = event.value.decode()
            await asyncio.wait_for(asyncio.sleep(0.01), 30)
            await target.send(key=event.key, value=event.value)
            if table is not None:
                with event:
                    table.pop(key, None)
            else:
                event.ack()
        finally:
            room.release()

    async for event in stream.noack().events():
        await room.acquire()
        task = asyncio.create_task(one(event))
        running.add(task)
        task.add_done_callback(running.discard)
"""

_CONFIG: Final = """
application: {{id: "{id}", processing_guarantee: {guarantee}}}
stages:
  - name: s
    input: {source}
    output: {target}
    mode: {mode}
    capacity: {capacity}
    timeout_s: {timeout_s}
    steps: [{{function: "{function}", options: {options}}}]
"""


@dataclass(frozen=True, slots=True)
class Variant:
    """One stage to measure; see `agents.config.StageConfig`."""

    function: str = "functions:ten_ms"
    options: str = "{}"
    mode: str = "unordered"
    capacity: int = 1000
    guarantee: str = "at_least_once"


def main() -> int:
    """Run the benchmark."""
    chosen = options("Measure the async stage.", 60_000, minutes=True)
    load = os.getloadavg()[0]
    env = stack.up(["kafka", "redis", "cassandra"])
    os.environ.update(env)
    servers = Servers(dict(os.environ))
    with bench(env["KAFKA_BOOTSTRAP_SERVERS"], "async-io") as made:
        (made.folder / "functions.py").write_text(_FUNCTIONS)
        (made.folder / "stock.py").write_text(_STOCK)
        source = made.topic("in")
        made.fill(source, _values(chosen.records))
        with _dimensions(servers, made.unique) as keyspace:
            runs, controls = _measure(made, source, chosen.records, chosen.repeat, _variants(made.unique, keyspace))
        peer = _pyflink(made.folder, min(chosen.records, 20_000), chosen.repeat) if flink.installed() else {}
        recovery = _recovery(made, source)
        memory = _memory(made, source, chosen.records, chosen.minutes)
    _report(runs, controls, peer, recovery, memory, load)
    return 0


def _values(count: int) -> Iterator[tuple[bytes, bytes]]:
    for number in range(count):
        body = f'{{"n":{number},"style":"S-{number % _DIMENSIONS}","pad":"'
        yield b"%d" % number, f'{body:x<197}"}}'.encode()


def _variants(unique: str, keyspace: str) -> dict[str, Variant]:
    redis_options = f'{{key: "{unique}:{{style}}", columns: name}}'
    lookup = f"mode: lookup, table: {keyspace}.dim, key: {{style: style}}, columns: {{name: name}}"
    return {
        "unordered": Variant(),
        "ordered": Variant(mode="ordered"),
        "exactly once": Variant(guarantee="exactly_once"),
        "capacity 100": Variant(capacity=100),
        "straggler": Variant("functions:straggler", capacity=100),
        "redis": Variant("redis", redis_options),
        "cassandra single": Variant("cassandra", f"{{{lookup}, batch: none}}"),
        "cassandra": Variant("cassandra", f"{{{lookup}}}"),
    }


class _dimensions:  # noqa: N801 - used like a function
    """The rows to look up, in Redis and Cassandra, while the block runs."""

    def __init__(self, servers: Servers, unique: str) -> None:
        self._servers, self._unique = servers, unique
        self._keyspace = unique.replace("-", "_")

    def __enter__(self) -> str:
        names = [f"S-{number}" for number in range(_DIMENSIONS)]
        with self._servers.redis() as client:
            client.mset({f"{self._unique}:{name}": f"name of {name}" for name in names})
        with self._servers.cassandra() as session:
            strategy = "{'class': 'SimpleStrategy', 'replication_factor': 1}"
            session.execute(f"CREATE KEYSPACE {self._keyspace} WITH replication = {strategy}")
            session.execute(f"CREATE TABLE {self._keyspace}.dim (style text PRIMARY KEY, name text)")
            insert = session.prepare(f"INSERT INTO {self._keyspace}.dim (style, name) VALUES (?, ?)")
            execute_concurrent_with_args(session, insert, [(name, f"name of {name}") for name in names])
        return self._keyspace

    def __exit__(self, *_: object) -> None:
        with self._servers.redis() as client:
            _forget(client, f"{self._unique}:*")
        with self._servers.cassandra() as session:
            session.execute(f"DROP KEYSPACE {self._keyspace}")


def _forget(client: redis.Redis, pattern: str) -> None:
    keys = list(client.scan_iter(pattern, count=1000))
    if keys:
        client.delete(*keys)


def _measure(
    made: Bench, source: str, records: int, repeat: int, variants: dict[str, Variant]
) -> tuple[dict[str, list[Run]], dict[str, list[float]]]:
    runs: dict[str, list[Run]] = {}
    controls: dict[str, list[float]] = {}
    for number in range(repeat):
        for name, capacity, each in (("1000", 1000, 0), ("100 with stragglers", 100, _STRAGGLE)):
            rate = asyncio.run(_control(records if not each else min(records, 20_000), capacity, each))
            controls.setdefault(name, []).append(rate)
        for name, table in (("stock", False), ("table", True)):
            _say(f"{number + 1}/{repeat} {name}")
            runs.setdefault(name, []).append(_stock(made, source, max(records // 4, 2000), f"{name}{number}", table))
        for name, variant in variants.items():
            _say(f"{number + 1}/{repeat} {name}")
            label = f"{name.replace(' ', '-')}{number}"
            runs.setdefault(name, []).append(_stage(made, source, records, label, variant))
    return runs, controls


def _pyflink(folder: Path, records: int, repeat: int) -> dict[int, tuple[float, float]]:
    """Records per second and CPU µs per record by capacity."""
    figures = {}
    for capacity in (100, 1000):
        _say(f"PyFlink, capacity {capacity}")
        laps = [flink.run_job(folder, records, capacity) for _ in range(repeat)]
        rates, cpu = [lap["records_per_s"] for lap in laps], [lap["cpu_us_per_record"] for lap in laps]
        figures[capacity] = median(rates), median(cpu)
    return figures


def _say(what: str) -> None:
    sys.stderr.write(f"async_io: {what}\n")


async def _control(records: int, capacity: int, straggle: int) -> float:
    """Bare asyncio: records per second up to 98 % of them, as for the others."""
    room, done, enough = asyncio.Semaphore(capacity), 0, int(records * 0.98)
    finished = began = time.perf_counter()

    async def one(number: int) -> None:
        nonlocal done, finished
        slow = straggle and number % straggle == straggle - 1
        await asyncio.wait_for(asyncio.sleep(2 if slow else 0.01), 30)
        done += 1
        if done == enough:
            finished = time.perf_counter()
        room.release()

    async with asyncio.TaskGroup() as group:
        for number in range(records):
            await room.acquire()
            group.create_task(one(number))
    return enough / (finished - began)


def _stock(made: Bench, source: str, records: int, label: str, table: bool) -> Run:
    target = made.topic(f"out-{label}")
    env = {"BENCH_ID": f"{made.unique}-{label}", "BENCH_IN": source, "BENCH_OUT": target}
    worker = made.start(
        ["faust", "-A", "stock", "worker", "-l", "warn", "--without-web"], env | ({"BENCH_TABLE": "1"} if table else {})
    )
    try:
        return made.follow(worker, target, records)
    finally:
        worker.kill()  # it need not finish what is left of the input


def _start_stage(
    made: Bench, source: str, target: str, label: str, variant: Variant, timeout_s: float = 30.0
) -> tuple[Path, dict[str, str], list[str]]:
    path = made.folder / f"{label}.yaml"
    made_of = {"id": f"{made.unique}-{label}", "source": source, "target": target, "timeout_s": timeout_s}
    text = _CONFIG.format(**made_of, **asdict(variant))
    path.write_text(text)
    mark = made.folder / f"{label}.mark"
    env = {"ENRICH_CONFIG": str(path), "BENCH_MARK": str(mark), "TMPDIR": str(made.folder)}
    return mark, env, ["faust", "-A", "agents", "worker", "-l", "warn", "--without-web"]


def _stage(made: Bench, source: str, records: int, label: str, variant: Variant) -> Run:
    target = made.topic(f"out-{label}")
    _, env, command = _start_stage(made, source, target, label, variant)
    worker = made.start(command, env)
    try:
        return made.follow(worker, target, records)
    finally:
        worker.stop()


def _recovery(made: Bench, source: str) -> float:
    """Seconds from the start after kill -9, with 1000 requests pending, to the first call."""
    _say("recovery")
    target = made.topic("out-recovery")
    variant = Variant("functions:never", capacity=_PENDING)
    mark, env, command = _start_stage(made, source, target, "recovery", variant, timeout_s=3600)
    changelog = f"{made.unique}-recovery-s-pending-changelog"
    worker = made.start(command, env)
    _wait(lambda: mark.exists(), "the first call")
    _wait(lambda: made.count(changelog) >= _PENDING, "the pending requests in Kafka")
    worker.kill()
    mark.unlink()
    began = time.monotonic()
    made.start(command, env)
    _wait(lambda: mark.exists(), "the first call after the restart")
    return time.monotonic() - began


def _memory(made: Bench, source: str, records: int, minutes: float) -> list[float]:
    """RSS in MB at each tenth of some minutes at full load, the first after a tenth of them."""
    if not minutes:
        return []
    _say(f"memory over {minutes:g} minutes")
    target = made.topic("out-memory")
    _, env, command = _start_stage(made, source, target, "memory", Variant())
    worker = made.start(command, env)
    begun = time.monotonic()
    samples: list[float] = []
    sent = records
    while len(samples) < 10:
        # The input stays ahead of the worker, so that it never rests.
        if made.count(target) > sent - records:
            made.fill(source, _values(records))
            sent += records
        worker.check()
        if time.monotonic() - begun >= (len(samples) + 1) * minutes * 6:
            samples.append(worker.rss_mb())
        time.sleep(0.2)
    _say(f"{made.count(target)} records in {minutes:g} minutes")
    worker.stop()
    return samples


def _wait(condition: Any, what: str, limit_s: float = 60.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited in vain for {what}")
        time.sleep(0.02)


def _report(
    runs: dict[str, list[Run]],
    controls: dict[str, list[float]],
    peer: dict[int, tuple[float, float]],
    recovery: float,
    memory: list[float],
    load: float,
) -> None:
    rates = {name: median([run.rate for run in made]) for name, made in runs.items()}
    cpu = {name: median([run.cpu_us for run in made]) for name, made in runs.items()}
    rss = {name: round(max(run.rss_mb for run in made)) for name, made in runs.items()}
    bare = {name: median(values) for name, values in controls.items()}
    ratio = rates["straggler"] / bare["100 with stragglers"]
    rows = [(f"bare asyncio, capacity {name}", f"{rate:,.0f} records/s") for name, rate in bare.items()]
    rows += [(name, f"{rates[name]:,.0f} records/s, {cpu[name]:.0f} µs CPU, {rss[name]} MB") for name in rates]
    rows += [
        ("ordered / unordered", f"{rates['ordered'] / rates['unordered']:.0%}"),
        ("Cassandra: together / one by one", f"{rates['cassandra'] / rates['cassandra single']:.1f}"),
        ("exactly once / at least once", f"{rates['exactly once'] / rates['unordered']:.0%}"),
        ("straggler / bare asyncio with stragglers", f"{ratio:.0%}"),
        ("recovery after kill -9", f"{recovery:.1f} s"),
    ]
    for capacity, (rate, micros) in peer.items():
        own = rates["unordered" if capacity == 1000 else f"capacity {capacity}"]
        rows.append((f"PyFlink, capacity {capacity}", f"{rate:,.0f} records/s, {micros:.0f} µs CPU"))
        rows.append((f"stage / PyFlink, capacity {capacity}", f"{own / rate:.1f}"))
    if memory:
        rows.append(("RSS at each tenth of the time", ", ".join(f"{each:.0f}" for each in memory) + " MB"))
    keys = {"stock": "faust_stock", "table": "table_per_request"}
    names = {keys.get(name, name.replace(" ", "_")): name for name in rates if name != "straggler"}
    result: dict[str, Any] = {"control_records_per_s": round(bare["1000"])}
    result |= {f"{key}_records_per_s": round(rates[name]) for key, name in names.items()}
    result |= {
        "cpu_us_per_record": round(cpu["unordered"], 1),
        "straggler_ratio": round(ratio, 3),
        "recovery_s": round(recovery, 2),
        "rss_mb": rss,
        "memory_mb": [round(each) for each in memory],
    }
    result |= {f"pyflink_{capacity}_records_per_s": round(rate) for capacity, (rate, _) in peer.items()}
    report(rows, result, load)


if __name__ == "__main__":
    sys.exit(main())
