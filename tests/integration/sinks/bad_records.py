"""The records that no sink may choke on, and what must become of each; the same list for every sink.

The target's table has the columns id (text, the key), n (int), amount (decimal), at (timestamp) and v (text).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import confluent_kafka as ck
import orjson
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.integration.runtime.conftest import Worker

CONVERTER = "connectors.formats.canal_converter.CanalJsonConverter"
DATA_ERROR = "connectors.api.errors.DataError"
MOST_BYTES = 20 * 1024 * 1024
GOOD = {"id": "good", "n": "1", "amount": "1.50", "at": "2019-11-22 10:00:00", "v": "text"}


@dataclass(frozen=True)
class Bad:
    """A record.

    Attributes:
        name: What is bad about it.
        value: Its bytes; None for a tombstone.
        stage: Where it must be refused, e.g. `TASK_PUT`; None where it is skipped or stored.
        stored: Whether its row is in the table in the end.
    """

    name: str
    value: bytes | None
    stage: str | None = "TASK_PUT"
    stored: bool = False


def message(row: Mapping[str, Any], **fields: Any) -> bytes:
    """Return the Canal message of an INSERT."""
    value = {"type": "INSERT", "database": "m", "table": "t", "isDdl": False, "pkNames": ["id"], "data": [row]}
    return orjson.dumps(value | {"old": None} | fields)


def bad_records(*, empty_key: bool) -> list[Bad]:
    """Return the list.

    Args:
        empty_key: Whether the target takes an empty text as key.
    """
    return [
        Bad("wrong type", message(GOOD | {"id": "wrong", "n": "many"})),
        Bad("NaN", message(GOOD | {"id": "nan", "amount": "NaN"})),
        Bad("lone surrogate", message(GOOD | {"id": "s"}).replace(b'"text"', b'"\\ud800"'), "VALUE_CONVERTER"),
        Bad("null key", message(GOOD | {"id": None})),
        Bad("empty key", message(GOOD | {"id": ""}), None if empty_key else "TASK_PUT", empty_key),
        Bad("key of 70 KB", message(GOOD | {"id": "k" * 70_000})),
        Bad("value of 17 MiB", message(GOOD | {"id": "large", "v": "v" * 17 * 1024 * 1024})),
        Bad("unknown column", message(GOOD | {"id": "", "other": "x"} | {"id": "unknown"}), None, True),
        Bad("date out of range", message(GOOD | {"id": "date", "at": "0000-00-00 00:00:00"})),
        Bad("truncated JSON", message(GOOD | {"id": "cut"})[:-9], "VALUE_CONVERTER"),
        Bad("no object", b"[1, 2]", "VALUE_CONVERTER"),
        Bad("DDL", message({}, isDdl=True, type="ALTER", data=None, sql="ALTER TABLE t ADD x INT"), None),
        Bad("tombstone", None, None),
    ]


@dataclass
class BadInput:
    """Writes each bad record between two good ones, and checks what became of all of them.

    Attributes:
        kafka: Bootstrap servers.
        topic: Topic to make.
        records: What `bad_records` returned.
    """

    kafka: str
    topic: str
    records: list[Bad]
    offsets: dict[str, int] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, str]:
        """Options that the connector needs beside its own."""
        return {
            "topics": self.topic,
            "errors.tolerance": "all",
            "errors.deadletterqueue.topic.name": f"{self.topic}.dead",
            "consumer.override.fetch.message.max.bytes": str(MOST_BYTES),
        }

    def fill(self) -> None:
        """Make the topic of one partition and write all records."""
        admin = AdminClient({"bootstrap.servers": self.kafka})
        limits = {"max.message.bytes": str(MOST_BYTES)}
        admin.create_topics([NewTopic(self.topic, 1, 1, config=limits)])[self.topic].result()
        producer = ck.Producer({"bootstrap.servers": self.kafka, "message.max.bytes": MOST_BYTES})
        for number, bad in enumerate(self.records):
            producer.produce(self.topic, message(GOOD | {"id": f"good-{number}"}), b"key")
            producer.produce(self.topic, bad.value, b"key", headers=[("own", b"kept")])
            producer.flush(30)
            self.offsets[bad.name] = 2 * number + 1
        producer.produce(self.topic, message(GOOD | {"id": "good-last"}), b"key")
        assert producer.flush(30) == 0

    @property
    def total(self) -> int:
        """Records in the topic."""
        return 2 * len(self.records) + 1

    def ids(self) -> set[str]:
        """Return the keys that must be in the table in the end."""
        good = {f"good-{number}" for number in range(len(self.records))} | {"good-last"}
        stored = {orjson.loads(bad.value)["data"][0]["id"] for bad in self.records if bad.stored and bad.value}
        return good | stored

    def run(self, worker: Worker, config: Mapping[str, str]) -> None:
        """Deploy the connector and wait until it has committed the last record."""
        code, answer = worker.request("PUT", f"/connectors/{self.topic}/config", {**config, **self.options})
        assert code == 201, answer
        worker.until(lambda: self._committed() == self.total, 60)

    def check_dead_letters(self, task_class: str, text_of: Callable[[str], str]) -> None:
        """Compare the dead letters, bytes and headers.

        Args:
            task_class: What `class.name` must be where the task refused a record.
            text_of: Returns a part of the error's text for the name of a bad record.
        """
        expected = [bad for bad in self.records if bad.stage is not None]
        letters = self._dead_letters(len(expected))
        assert sorted(found["__connect.errors.offset"] for found, _ in letters) == sorted(
            str(self.offsets[bad.name]) for bad in expected
        )
        by_offset = {headers["__connect.errors.offset"]: (headers, letter) for headers, letter in letters}
        for bad in expected:
            headers, letter = by_offset[str(self.offsets[bad.name])]
            assert (letter.key(), letter.value()) == (b"key", bad.value), bad.name
            text = headers.pop("__connect.errors.exception.message")
            assert text_of(bad.name) in text, bad.name
            assert "DataError" in headers.pop("__connect.errors.exception.stacktrace")
            assert headers == {
                "own": "kept",
                "__connect.errors.topic": self.topic,
                "__connect.errors.partition": "0",
                "__connect.errors.offset": str(self.offsets[bad.name]),
                "__connect.errors.connector.name": self.topic,
                "__connect.errors.task.id": "0",
                "__connect.errors.stage": bad.stage,
                "__connect.errors.class.name": CONVERTER if bad.stage == "VALUE_CONVERTER" else task_class,
                "__connect.errors.exception.class.name": DATA_ERROR,
            }, bad.name

    def _committed(self) -> int:
        admin = AdminClient({"bootstrap.servers": self.kafka})
        request = ck.ConsumerGroupTopicPartitions(f"connect-{self.topic}")
        [future] = admin.list_consumer_group_offsets([request]).values()
        return max((each.offset for each in future.result().topic_partitions), default=-1)

    def _dead_letters(self, count: int) -> list[tuple[dict[str, str], Any]]:
        options = {"bootstrap.servers": self.kafka, "group.id": f"{self.topic}-reader"}
        reader = ck.Consumer(options | {"auto.offset.reset": "earliest", "fetch.message.max.bytes": MOST_BYTES})
        reader.assign([ck.TopicPartition(f"{self.topic}.dead", 0, 0)])
        letters = []
        deadline = time.monotonic() + 30
        while len(letters) < count and time.monotonic() < deadline:
            letter = reader.poll(0.5)
            if letter is not None and letter.error() is None:
                letters.append(({name: value.decode() for name, value in letter.headers()}, letter))
        extra = reader.poll(0.5)
        reader.close()
        assert extra is None
        return letters
