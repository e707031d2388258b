"""The binlog source beside Debezium in a standalone Kafka Connect worker, on the same rows, server and broker.

    python -m benchmarks.peers.debezium [--records 350000] [--repeat 2]

Both write one JSON message per row, keyed by the primary key, to a topic of four partitions, and begin at the same
position of the binlog. Debezium has its schemas off, larger batches than its defaults and up to 2 GB of heap. Its
envelope is larger than a Canal message and that is part of its work. After each run the topic is read again: every row
must be there, once. Debezium 3.2 stops at a server whose `gtid_executed` has tags, as our integration tests leave it:
run it with another STACK_HOME then. Broker, server and this script share the machine with both.
"""

from __future__ import annotations

import struct
import sys
import time
from pathlib import Path

import orjson

from benchmarks.measure import WorkerProcess, options
from benchmarks.peers.race import Course, Lap, course, follow, ours, race
from benchmarks.source import COLUMNS
from examples.pojo.workers import free_port
from stack.home import Home
from stack.maven import jars, java

VERSION = "3.2.0"
ARTIFACTS = (
    "org.apache.kafka:connect-runtime:3.9.1",
    f"io.debezium:debezium-connector-mysql:{VERSION}.Final",
    "org.slf4j:slf4j-simple:1.7.36",
)


def main() -> int:
    """Run the benchmark."""
    chosen = options("Measure the binlog source beside Debezium.", 350_000, repeat=2)
    libraries = jars(Home.default(), f"debezium-{VERSION}", print, *ARTIFACTS)
    with course("debezium", chosen.records) as track:

        def run(name: str, number: int) -> Lap:
            if name == "ours":
                return ours(track, number, chosen.records, {})
            return _debezium(track, libraries, number)

        race(track, "debezium", chosen.repeat, run)
    return 0


def _debezium(track: Course, libraries: Path, number: int) -> Lap:
    place, folder = track.place, track.made.folder / f"debezium{number}"
    folder.mkdir()
    prefix = f"{track.made.unique}-debezium{number}"
    topic = track.made.topic(f"debezium{number}.{place.database}.{place.table}")
    position: dict[str, str | int] = {"file": place.file, "pos": place.pos, "gtids": place.gtids}
    key, value = orjson.dumps([prefix, {"server": prefix}]), orjson.dumps(position)
    (folder / "offsets").write_bytes(_java_map(key, value))
    (folder / "history").write_bytes(_history(track, prefix, position))
    worker = _properties(folder / "worker.properties", _worker(track, folder))
    connector = _properties(folder / "connector.properties", _connector(track, folder, prefix))
    command = [java(), "-Xms256M", "-Xmx2G", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{libraries}/*"]
    command += ["org.apache.kafka.connect.cli.ConnectStandalone", worker, connector]
    began = time.monotonic()
    process = WorkerProcess(command, folder, {})
    try:
        return follow(track, process, began, topic, place.rows, fatal="Task is being killed")
    finally:
        process.stop()


def _worker(track: Course, folder: Path) -> dict[str, str]:
    converter = "org.apache.kafka.connect.json.JsonConverter"
    return {
        "bootstrap.servers": track.made.kafka,
        "listeners": f"http://127.0.0.1:{free_port()}",
        "key.converter": converter,
        "key.converter.schemas.enable": "false",
        "value.converter": converter,
        "value.converter.schemas.enable": "false",
        "offset.storage.file.filename": str(folder / "offsets"),
        "producer.linger.ms": "20",
        "producer.batch.size": "131072",
    }


def _connector(track: Course, folder: Path, prefix: str) -> dict[str, str]:
    env, place = track.env, track.place
    return {
        "name": prefix,
        "connector.class": "io.debezium.connector.mysql.MySqlConnector",
        "database.hostname": env["MYSQL_HOST"],
        "database.port": env["MYSQL_PORT"],
        "database.user": env["MYSQL_USER"],
        "database.password": env["MYSQL_PASSWORD"],
        "database.server.id": str(3_000_000_000 + time.time_ns() % 1_000_000_000),
        "topic.prefix": prefix,
        "table.include.list": rf"{place.database}\\.{place.table}",
        "snapshot.mode": "never",
        "include.schema.changes": "false",
        "max.batch.size": "8192",
        "max.queue.size": "32768",
        "schema.history.internal": "io.debezium.storage.file.history.FileSchemaHistory",
        "schema.history.internal.file.filename": str(folder / "history"),
    }


def _properties(path: Path, values: dict[str, str]) -> str:
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    return str(path)


def _history(track: Course, prefix: str, position: dict[str, str | int]) -> bytes:
    """The table's statement, as Debezium would have noted it before the position at which it begins."""
    place = track.place
    record = {
        "source": {"server": prefix},
        "position": {**position, "pos": 4},
        "ts_ms": time.time_ns() // 1_000_000,
        "databaseName": place.database,
        "ddl": f"CREATE TABLE {place.table} ({COLUMNS}) CHARSET utf8mb4",
        "tableChanges": [],
    }
    return orjson.dumps(record) + b"\n"


def _java_map(key: bytes, value: bytes) -> bytes:
    """A serialized `java.util.HashMap` of one entry of byte arrays: the form of Kafka Connect's offset file.

    Source: Java Object Serialization Specification, chapter 6.
    """

    def name(text: bytes) -> bytes:
        return struct.pack(">H", len(text)) + text

    head = b"\xac\xed\x00\x05sr" + name(b"java.util.HashMap") + bytes.fromhex("0507dac1c31660d1030002")
    head += b"F" + name(b"loadFactor") + b"I" + name(b"threshold") + b"xp" + struct.pack(">fi", 0.75, 12)
    head += b"w\x08" + struct.pack(">ii", 16, 1)
    first = b"ur" + name(b"[B") + bytes.fromhex("acf317f8060854e0020000") + b"xp" + struct.pack(">i", len(key)) + key
    return head + first + b"uq\x00\x7e\x00\x02" + struct.pack(">i", len(value)) + value + b"x"


if __name__ == "__main__":
    sys.exit(main())
