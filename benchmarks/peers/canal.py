"""The binlog source beside Canal with its own Kafka producer and flat messages, on the same rows, server and broker.

    python -m benchmarks.peers.canal [--records 350000] [--repeat 2]

Both write one Canal JSON message per row event of the binlog, without a key, and begin at the same position. Maven has
no current deployer of Canal, hence `CanalToKafka.java`, which wires Canal's instance, `CanalMQStarter` and
`CanalKafkaProducer` with the deployer's defaults but keeps the cursor in memory, which is a little kinder to Canal.
Inserts of many rows are the kindest case for it, too. After each run the topic is read again: every row must be there,
once. Broker, server and this script share the machine with both.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import orjson

from benchmarks.measure import WorkerProcess, options
from benchmarks.peers.race import Course, Lap, course, follow, ours, race
from benchmarks.source import count_messages
from stack.home import Home
from stack.maven import jars, java
from stack.packages import require

VERSION = "1.1.7"
ARTIFACTS = (f"com.alibaba.otter:canal.server:{VERSION}", f"com.alibaba.otter:connector.kafka:{VERSION}")
_LOGGING = (
    "<configuration><appender name='E' class='ch.qos.logback.core.ConsoleAppender'><encoder><pattern>%d %p %c %m%n"
    "</pattern></encoder></appender><root level='WARN'><appender-ref ref='E'/></root></configuration>"
)


def main() -> int:
    """Run the benchmark."""
    chosen = options("Measure the binlog source beside Canal.", 350_000, repeat=2)
    libraries = jars(Home.default(), f"canal-{VERSION}", print, *ARTIFACTS)
    with course("canal", chosen.records) as track:
        classes = _compiled(libraries, track.made.folder)
        messages = count_messages(track.place, track.env)

        def run(name: str, number: int) -> Lap:
            if name == "ours":
                return ours(track, number, messages, {"rows.per.message": "event", "message.key": "none"})
            return _canal(track, f"{classes}:{libraries}/*", number, messages)

        race(track, "canal", chosen.repeat, run)
    return 0


def _compiled(libraries: Path, folder: Path) -> Path:
    source = Path(__file__).with_name("CanalToKafka.java")
    javac = require("javac", "openjdk-17-jdk-headless")
    subprocess.run([javac, "--release", "17", "-cp", f"{libraries}/*", "-d", str(folder), str(source)], check=True)
    return folder


def _canal(track: Course, class_path: str, number: int, messages: int) -> Lap:
    topic, folder = track.made.topic(f"canal{number}"), track.made.folder / f"canal{number}"
    folder.mkdir()
    (folder / "logback.xml").write_text(_LOGGING)
    properties = folder / "canal.properties"
    properties.write_text("".join(f"{name}={value}\n" for name, value in _settings(track, topic).items()))
    command = [java(), "-Xms256M", "-Xmx2G", f"-Dlogback.configurationFile={folder / 'logback.xml'}"]
    command += ["-cp", class_path, "CanalToKafka", str(properties)]
    began = time.monotonic()
    process = WorkerProcess(command, folder, {})
    try:
        return follow(track, process, began, topic, messages)
    finally:
        process.stop()


def _settings(track: Course, topic: str) -> dict[str, str]:
    env, place = track.env, track.place
    position = {"journalName": place.file, "position": place.pos, "timestamp": 0}
    return {
        "topic": topic,
        "host": env["MYSQL_HOST"],
        "port": env["MYSQL_PORT"],
        "user": env["MYSQL_USER"],
        "password": env["MYSQL_PASSWORD"],
        "position": orjson.dumps(position).decode(),
        "filter": rf"{place.database}\\.{place.table}",
        "server.id": str(3_000_000_000 + time.time_ns() % 1_000_000_000),
        "canal.mq.flatMessage": "true",
        "canal.mq.canalBatchSize": "50",
        "canal.mq.canalGetTimeout": "100",
        "kafka.bootstrap.servers": track.made.kafka,
        "kafka.acks": "all",
        "kafka.compression.type": "none",
        "kafka.batch.size": "16384",
        "kafka.linger.ms": "1",
        "kafka.max.request.size": "1048576",
        "kafka.buffer.memory": "33554432",
        "kafka.max.in.flight.requests.per.connection": "1",
        "kafka.retries": "0",
    }


if __name__ == "__main__":
    sys.exit(main())
