"""Where records go that cannot be handled.

Source: Kafka Connect's `DeadLetterQueueReporter`: the original bytes, and headers `__connect.errors.*` as UTF-8 text.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.api.connector import Task
from connectors.api.errors import ConnectError, DataError, FatalError
from connectors.api.record import Headers, SinkRecord, SourceRecord
from connectors.runtime.kafka_clients import client_options, overrides
from connectors.runtime.metrics import TaskMetrics
from connectors.runtime.settings import WorkerSettings
from connectors.runtime.state import TaskId

__all__ = ["DeadLetters", "create_topic", "described", "error_headers"]

log = logging.getLogger(__name__)

_MOST_BYTES = 100 * 1024 * 1024
"""A record that was small enough for its own topic must not be too large for the dead letters."""


_MOST_SHOWN = 1000
"""So many characters of a key, of a value or of headers stand in a line of the log."""


class DeadLetters:
    """The error policy of one sink task: `errors.tolerance`, the log and the dead-letter topic.

    Args:
        task_id: The task.
        task: The plugin's task, as far as headers name it.
        props: Its configuration.
        settings: The worker's settings.
        metrics: The task's series.
    """

    def __init__(
        self, task_id: TaskId, task: Task, props: Mapping[str, str], settings: WorkerSettings, metrics: TaskMetrics
    ) -> None:
        self.failure: ConnectError | None = None
        self._task_id = task_id
        self._plugin = task
        self._tolerant = props.get("errors.tolerance") == "all"
        self._logged = props.get("errors.log.enable", "true") == "true"
        self._shown = props.get("errors.log.include.messages", "false") == "true"
        self._headers = props.get("errors.deadletterqueue.context.headers.enable", "true") == "true"
        name = props.get("errors.deadletterqueue.topic.name", "")
        self._topic = settings.kafka.prefix + name if name else ""
        self._replicas = int(props.get("errors.deadletterqueue.topic.replication.factor", -1))
        self._connection = client_options(settings, task_id)
        self._props = props
        self._metrics = metrics
        self._producer: Producer | None = None
        self._waiting: list[Future[None]] = []

    def open(self) -> None:
        """Make the producer, and the topic where it is missing.

        Raises:
            FatalError: Kafka refuses the topic.
            ConfigError: The worker's policy does not allow an option of the clients.
        """
        if not self._topic:
            return
        create_topic(self._connection | overrides(self._props, "admin"), self._topic, self._replicas)
        options = {"enable.idempotence": True, "acks": "all", "linger.ms": 5, "message.timeout.ms": 0}
        options["message.max.bytes"] = _MOST_BYTES
        self._producer = Producer(self._connection | options | overrides(self._props, "producer"))

    def report(self, record: SinkRecord, error: Exception) -> Future[None]:
        """Handle a record that the target refused; may be called from any thread."""
        return self.handle(record, error, "TASK_PUT", self._plugin)

    def handle(self, record: SinkRecord, error: Exception, stage: str, component: object) -> Future[None]:
        """Handle a bad record.

        Args:
            record: The record, with its original bytes.
            error: Why it is bad.
            stage: Kafka Connect's name of the step that failed, e.g. `VALUE_CONVERTER`.
            component: What raised the error: the converter, the transforms or the task.

        Returns:
            Done once the dead letter is acknowledged; failed where the task must not go on.
        """
        self._metrics.errors.inc()
        if self._logged:
            self._metrics.errors.logged()
            shown = f" ({described(record, record.raw_key, record.raw_value)})" if self._shown else ""
            log.warning("%s: %s: %s%s", self._task_id, record.where, error, shown)
        future: Future[None] = Future()
        if self._producer is not None:
            context = self._context(record, error, stage, component) if self._headers else []
            self._produce(record, context, future)
        if self._tolerant:
            self._metrics.errors.skipped()
        else:
            self._metrics.errors.failed()
            self.failure = self.failure or DataError(f"{record.where}: {error} (errors.tolerance is none)")
            if not future.done():
                future.set_exception(self.failure)
        if self._tolerant and self._producer is None:
            future.set_result(None)
        self._waiting.append(future)
        return future

    def settle(self, timeout_s: float = 30) -> None:
        """Wait until all dead letters are acknowledged; blocks.

        Raises:
            ConnectError: The policy says that the task must not go on, or a dead letter was refused.
        """
        if self._producer is not None and self._waiting:
            self._producer.flush(timeout_s)
        waiting, self._waiting = self._waiting, []
        if self.failure is not None:
            raise self.failure
        for future in waiting:
            if not future.done():
                raise FatalError(f"dead letters were not acknowledged by {self._topic} within {timeout_s:.0f} s")
            future.result()

    def _produce(self, record: SinkRecord, context: list[tuple[str, bytes]], future: Future[None]) -> None:
        def delivered(problem: KafkaError | None, _message: Any) -> None:
            if problem is not None:
                self._metrics.errors.undelivered()
                self.failure = FatalError(f"dead-letter topic {self._topic}: Kafka refused a record: {problem.str()}")
                if not future.done():
                    future.set_exception(self.failure)
            elif not future.done():
                future.set_result(None)

        assert self._producer is not None
        self._metrics.dead_letters.inc()
        options = {"headers": list(record.headers) + context, "timestamp": record.timestamp_ms}
        while True:
            try:
                self._producer.produce(self._topic, record.raw_value, record.raw_key, on_delivery=delivered, **options)
            except BufferError:  # more bad records than Kafka takes: wait for acknowledgements
                self._producer.poll(0.1)
            else:
                break
        self._producer.poll(0)

    def _context(self, record: SinkRecord, error: Exception, stage: str, what: object) -> Headers:
        place = {
            "topic": record.topic_partition.topic,
            "partition": str(record.partition),
            "offset": str(record.offset),
        }
        return error_headers(place, self._task_id, error, stage, what)


def described(record: SinkRecord | SourceRecord, key: object, value: object) -> str:
    """Return a record as the log shows it with `errors.log.include.messages`."""
    return (
        f"timestamp {record.timestamp_ms}, key {_cut(key)}, value {_cut(value)}, headers {_cut(list(record.headers))}"
    )


def _cut(what: object) -> str:
    text = repr(what)
    length = f" ({len(what)} bytes)" if isinstance(what, bytes) else ""
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}...{length}"


def create_topic(connection: dict[str, Any], topic: str, replicas: int) -> None:
    """Make a dead-letter topic of one partition where it is missing; blocks.

    Raises:
        FatalError: Kafka refuses.
    """
    admin = AdminClient(connection)
    limits = {"max.message.bytes": str(_MOST_BYTES)}
    for future in admin.create_topics([NewTopic(topic, 1, replicas, config=limits)]).values():
        try:
            future.result(30)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                message = f"dead-letter topic {topic} could not be created: {error.args[0].str()}"
                raise FatalError(message) from error


def error_headers(
    place: Mapping[str, str], task_id: TaskId, error: Exception, stage: str, component: object
) -> Headers:
    """Return Kafka Connect's headers of a dead letter.

    Args:
        place: Where the record comes from: the first headers, by their names without the common prefix.
        task_id: The task.
        error: Why the record is bad.
        stage: Kafka Connect's name of the step that failed, e.g. `VALUE_CONVERTER`.
        component: What raised the error.
    """
    values = {
        **place,
        "connector.name": task_id.connector,
        "task.id": str(task_id.number),
        "stage": stage,
        "class.name": _class_name(component),
        "exception.class.name": _class_name(error),
        "exception.message": str(error),
        "exception.stacktrace": "".join(traceback.format_exception(error)),
    }
    return [(f"__connect.errors.{key}", value.encode(errors="replace")) for key, value in values.items()]


def _class_name(what: object) -> str:
    return f"{type(what).__module__}.{type(what).__qualname__}"
