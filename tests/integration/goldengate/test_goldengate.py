from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.api.record import SourceRecord
from connectors.formats.canal import changes_of
from connectors.sources.goldengate import GoldenGateTask
from examples.goldengate.trails import Shop, Style, Trail
from tests.integration.runtime.conftest import Worker

Row = dict[str, Any]


class Offsets:
    """What the runtime would have stored."""

    def __init__(self) -> None:
        self.stored: list[tuple[Row, Row]] = []

    def offset(self, partition: Row) -> Row | None:
        return next((offset for known, offset in reversed(self.stored) if known == partition), None)


class Context:
    connector = "ogg"

    def __init__(self, offsets: Offsets) -> None:
        self.offset_storage_reader = offsets


def drained(props: Row, offsets: Offsets, wanted: int) -> list[SourceRecord]:
    """Run one task until it has given so many messages."""
    task = GoldenGateTask()
    task.initialize(Context(offsets))  # type: ignore[arg-type]
    task.start(props)
    found: list[SourceRecord] = []
    empty = 0
    while len(found) < wanted and empty < 100:
        batch = task.poll() or []
        empty = 0 if batch else empty + 1
        found += [record for record in batch if record.topic or record.error is not None]
        for record in batch:
            if record.source_offset is not None:
                offsets.stored.append((dict(record.source_partition or {}), dict(record.source_offset)))
    task.stop()
    return found


@pytest.fixture
def topic(kafka: str, unique: str) -> str:
    admin = AdminClient({"bootstrap.servers": kafka})
    [made] = admin.create_topics([NewTopic(unique, 2)]).values()
    made.result(30)
    return unique


@pytest.fixture
def worker(kafka: str, unique: str, tmp_path: Path) -> Iterator[Worker]:
    made = Worker({"CONNECTORS_CLUSTER": unique}, tmp_path / "worker.log")
    made.start()
    yield made
    made.stop()


def read_all(kafka: str, topic: str, count: int, limit_polls: int = 200) -> list[Any]:
    consumer = Consumer(
        {
            "bootstrap.servers": kafka,
            "group.id": f"{topic}-check-{os.getpid()}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "topic.metadata.refresh.interval.ms": 500,
        }
    )
    consumer.subscribe([topic])
    found: list[Any] = []
    for _ in range(limit_polls):
        found += [message for message in consumer.consume(1000, 0.2) if message.error() is None]
        if len(found) >= count:
            break
    consumer.close()
    return found


def table_of(messages: list[bytes]) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for message in messages:
        for change in changes_of(orjson.loads(message)):
            if change.op == "DELETE":
                rows.pop(change.row["AID"], None)
            else:
                rows[change.row["AID"]] = change.row
    return rows


def as_texts(rows: dict[str, Row]) -> dict[str, Row]:
    return {key: {name: None if v is None else str(v) for name, v in row.items()} for key, row in rows.items()}


def test_a_topic_of_whole_transactions_is_read_with_offsets_between_them(kafka: str, topic: str) -> None:
    shop, trail = Shop(seed=5), Trail(Style(layout="none"))
    made = list(shop.operations(200))
    producer = Producer({"bootstrap.servers": kafka})
    for start in range(0, 200, 10):
        producer.produce(topic, trail.transaction(made[start : start + 10]).encode(), partition=1)
    producer.produce(topic, b'{"table":"S.T","op_type":"I"', partition=0)
    producer.flush(10)
    props = {"goldengate.topic": topic, "goldengate.bootstrap.servers": kafka, "goldengate.mode": "tx"}
    offsets = Offsets()
    first = drained(props | {"max.batch.size": "5"}, offsets, 50)
    moved = sum(1 for op, before, after in made if op == "U" and before and after and before["AID"] != after["AID"])
    rest = drained(props, offsets, 200 + moved + 1 - len(first))
    bad = [record for record in first + rest if record.error is not None]
    good = [record for record in first + rest if record.error is None]
    assert len(good) == 200 + moved
    assert table_of([record.value for record in good]) == as_texts(shop.rows)
    assert [dict(record.headers)["connect.position"] for record in bad] == [f"{topic}-0@0".encode()]
    assert [record.value for record in bad] == [b'{"table":"S.T","op_type":"I"']
    assert offsets.offset({"topic": topic, "partition": 1})["offset"] == 20  # type: ignore[index]


def test_two_tasks_share_the_partitions_of_a_topic(kafka: str, topic: str) -> None:
    producer = Producer({"bootstrap.servers": kafka})
    for number in range(20):
        record = {"table": "S.T", "op_type": "I", "primary_keys": ["N"], "after": {"N": number}}
        producer.produce(topic, json.dumps(record).encode(), partition=number % 2)
    producer.flush(10)
    props = {"goldengate.topic": topic, "goldengate.bootstrap.servers": kafka}
    for share in range(2):
        found = drained(props | {"goldengate.task": f"{share}/2"}, Offsets(), 10)
        assert [int(orjson.loads(record.value)["data"][0]["N"]) for record in found] == list(range(share, 20, 2))


def test_files_reach_kafka_once_over_kill_9_and_broken_lines_become_dead_letters(
    kafka: str, worker: Worker, unique: str, tmp_path: Path
) -> None:
    folder = tmp_path / "trail"
    folder.mkdir()
    shop, trail = Shop(seed=9, key_updates=False), Trail(Style())
    lines = [trail.operation(*each) + "\n" for each in shop.operations(3000)]
    config = {
        "connector.class": "GoldenGate",
        "goldengate.path": str(folder),
        "topic": unique,
        "max.batch.size": "50",
        "exactly.once.support": "required",
        "errors.tolerance": "all",
        "errors.deadletterqueue.topic.name": f"{unique}-dead",
    }
    assert worker.request("PUT", f"/connectors/{unique}/config", config)[0] == 201
    worker.until(lambda: worker.states(unique) == ["RUNNING", "RUNNING"])
    for number in range(3):
        part = lines[number * 1000 : (number + 1) * 1000]
        broken = '{"table":"SALES.ORDERS", broken\n'
        (folder / f"{number}.json").write_text("".join(part[:500]) + broken + "".join(part[500:]))
        assert len(read_all(kafka, unique, number * 1000 + 1)) > number * 1000
        worker.kill()
        worker.start()
    found = read_all(kafka, unique, 3000)
    assert len(found) == 3000
    assert table_of([message.value() for message in found]) == as_texts(shop.rows)
    letters = read_all(kafka, f"{unique}-dead", 3)
    assert [letter.value() for letter in letters] == [b'{"table":"SALES.ORDERS", broken\n'] * 3
    headers = dict(letters[1].headers())
    begin = len("".join(lines[1000:1500]).encode())
    assert headers["connect.position"].decode() == f"{folder}/1.json:{begin}"
    assert headers["__connect.errors.stage"] == b"TASK_POLL"
    assert f"1.json at byte {begin}: malformed JSON" in headers["__connect.errors.exception.message"].decode()


def test_a_sink_reads_goldengates_topic_directly(
    kafka: str, worker: Worker, topic: str, tmp_path: Path, servers: Callable[..., dict[str, str]]
) -> None:
    producer = Producer({"bootstrap.servers": kafka})
    for number in range(5):
        record = {"table": "S.T", "op_type": "I", "after": {"number": number, "v": 1.50}}
        producer.produce(topic, json.dumps(record).encode(), partition=0)
    producer.flush(10)
    out = tmp_path / "out"
    config = {"connector.class": "toys.FileSink", "topics": topic, "file": str(out)}
    config |= {"value.converter": "goldengate-json", "value.converter.key.S.T": "number"}
    assert worker.request("PUT", f"/connectors/{topic}-out/config", config)[0] == 201
    worker.until(lambda: out.exists() and out.read_text().split() == [f'"{number}"' for number in range(5)])
