"""Stand-ins for Kafka's clients, and helpers to run a task to its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import TopicPartition as KafkaPartition

from connectors.clients.kafka import KafkaSettings
from connectors.runtime.settings import WorkerSettings
from connectors.runtime.state import State, TaskId
from connectors.runtime.task import TaskRunner, TaskSpec

SETTINGS = WorkerSettings(KafkaSettings("127.0.0.1:1"), cluster="unit", worker_id="w")


def spec(task_class: Any, **props: str) -> TaskSpec:
    given = {"key.converter": "bytes", "value.converter": "bytes"} | props
    return TaskSpec(TaskId("c", 0), task_class, given, given, SETTINGS)


class Reports:
    """Keeps what a task reports."""

    def __init__(self) -> None:
        self.seen: list[tuple[State, str]] = []

    def __call__(self, _task: TaskId, state: State, trace: str) -> None:
        self.seen.append((state, trace))

    @property
    def states(self) -> list[State]:
        return [state for state, _ in self.seen]


def until(condition: Callable[[], Any], limit_s: float = 5) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "not reached"
        time.sleep(0.005)


def ended(runner: TaskRunner, limit_s: float = 5) -> bool:
    runner.stop()
    return runner.join(limit_s)


class Message:
    """A record as the consumer gives it."""

    def __init__(self, offset: int, value: bytes | None = b"v", partition: int = 0, topic: str = "t") -> None:
        self._facts = (topic, partition, offset, value)

    def __len__(self) -> int:
        return len(self._facts[3] or b"")

    def error(self) -> None:
        return None

    def topic(self) -> str:
        return self._facts[0]

    def partition(self) -> int:
        return self._facts[1]

    def offset(self) -> int:
        return self._facts[2]

    def value(self) -> bytes | None:
        return self._facts[3]

    def key(self) -> None:
        return None

    def headers(self) -> None:
        return None

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_700_000_000_000


class FakeConsumer:
    """A consumer of one partition; rebalances happen in `poll`, as they do in librdkafka."""

    made: FakeConsumer

    def __init__(self, _options: dict[str, Any]) -> None:
        FakeConsumer.made = self
        self.log = [Message(number, b"%d" % number) for number in range(10)]
        self.position = 0
        self.paused = False
        self.committed: list[int] = []
        self.events: list[str] = ["assign"]
        self.closed = False

    def subscribe(self, _topics: list[str], **callbacks: Any) -> None:
        self.callbacks = callbacks

    def poll(self, timeout: float = 0) -> Message | None:
        while self.events:
            event = self.events.pop(0)
            if event == "assign":
                self.position = self.committed[-1] if self.committed else 0
                self.paused = False
            self.callbacks[f"on_{event}"](self, [KafkaPartition("t", 0)])
        return self._next() or time.sleep(min(timeout, 0.01))

    def consume(self, number: int, _timeout: float) -> list[Message]:
        found = []
        while len(found) < number and (message := self._next()) is not None:
            found.append(message)
        return found

    def _next(self) -> Message | None:
        if self.paused or self.position >= len(self.log):
            return None
        self.position += 1
        return self.log[self.position - 1]

    def pause(self, partitions: list[KafkaPartition]) -> None:
        self.paused = self.paused or bool(partitions)

    def resume(self, partitions: list[KafkaPartition]) -> None:
        self.paused = self.paused and not partitions

    def seek(self, partition: KafkaPartition) -> None:
        self.position = partition.offset

    def commit(self, offsets: list[KafkaPartition], asynchronous: bool) -> None:
        assert not asynchronous
        self.committed += [each.offset for each in offsets]

    def get_watermark_offsets(self, _partition: KafkaPartition, cached: bool) -> tuple[int, int]:
        assert cached
        return 0, len(self.log)

    def close(self) -> None:
        self.callbacks["on_revoke"](self, [KafkaPartition("t", 0)])
        self.closed = True


_NOT_GIVEN = object()


class FakeProducer:
    """A producer that acknowledges when it is told to."""

    made: FakeProducer

    def __init__(self, _options: dict[str, Any]) -> None:
        FakeProducer.made = self
        self.waiting: list[tuple[str, Any, Any, Any]] = []
        self.sent: list[tuple[str, Any, Any]] = []
        self.headers: dict[Any, dict[str, bytes]] = {}
        self.acks = True
        self.room = 1_000_000
        self.error: Any = None
        self.lock = threading.Lock()

    def produce(  # in the order of confluent-kafka, whose `callback` hides `on_delivery` even where it is None
        self,
        topic: str,
        value: Any = None,
        key: Any = None,
        partition: int = -1,
        callback: Any = _NOT_GIVEN,
        on_delivery: Any = None,
        timestamp: int = 0,
        headers: Any = None,
    ) -> None:
        if len(self.waiting) >= self.room:
            raise BufferError
        with self.lock:
            self.waiting.append((topic, value, key, on_delivery if callback is _NOT_GIVEN else callback))
            self.headers[value] = dict(headers or ())

    def poll(self, timeout: float = 0) -> None:
        time.sleep(min(timeout, 0.005))
        if self.acks:
            with self.lock:
                waiting, self.waiting = self.waiting, []
            for topic, value, key, delivered in waiting:
                if self.error is None:
                    self.sent.append((topic, value, key))
                delivered(self.error, _Delivered(topic))

    def flush(self, _timeout: float) -> None:
        self.poll()

    def purge(self) -> None:
        self.waiting.clear()

    def values(self, topic: str = "t") -> list[Any]:
        return [value for where, value, _key in self.sent if where == topic]


class _Delivered:
    def __init__(self, topic: str) -> None:
        self._topic = topic

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return 7
