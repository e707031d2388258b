"""Reads topics that GoldenGate's Kafka handler writes into batches of messages, each with the offset behind it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import confluent_kafka as ck

from connectors.api.errors import ConfigError, DataError, RetriableError
from connectors.api.record import SourceRecord
from connectors.formats.goldengate import decode_objects
from connectors.sources.goldengate.messages import Messages

__all__ = ["TopicReader"]

log = logging.getLogger(__name__)

_REFRESH_S: Final = 15.0
_TIMEOUT_S: Final = 10.0

MakeMessages = Callable[[dict[str, Any], tuple[int, str]], Messages]
"""Takes a source partition and a stored state, returns what makes its messages."""
StoredOffset = Callable[[Mapping[str, Any]], dict[str, Any] | None]


class TopicReader:
    """Reads the partitions of a topic that are this task's share. Each message is a transaction, or one operation.

    Args:
        topic: The topic.
        client: Connection options of librdkafka.
        share: Number of this task, and number of all tasks.
        stored: Returns the stored offset of a source partition.
        make: Makes the messages of a source partition.
        latest: Whether a partition without stored offset is read from its end.
        max_batch: Most Kafka messages of a batch.
    """

    def __init__(
        self,
        topic: str,
        client: Mapping[str, Any],
        share: tuple[int, int],
        stored: StoredOffset,
        make: MakeMessages,
        *,
        latest: bool,
        max_batch: int,
    ) -> None:
        self._topic = topic
        self._share = share
        self._stored = stored
        self._make = make
        self._latest = latest
        self._max_batch = max_batch
        self._messages: dict[int, Messages] = {}
        self._started = False
        self._refreshed = 0.0
        self._consumer = ck.Consumer(
            {
                "log_level": 2,
                "error_cb": self._on_error,
                **client,
                "group.id": f"{topic}-goldengate-source",  # librdkafka wants one; nothing is committed or joined
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "isolation.level": "read_committed",
                "queued.max.messages.kbytes": 16_384,
                "fetch.wait.max.ms": 100,
            }
        )

    def poll(self, timeout_s: float) -> list[SourceRecord]:
        """Return messages; waits up to `timeout_s` seconds for them.

        Raises:
            RetriableError: Kafka does not answer.
            ConfigError: The stored offset is not in the topic any more.
        """
        if time.monotonic() >= self._refreshed + _REFRESH_S:
            self._refresh()
        if not self._messages:
            time.sleep(timeout_s)
            return []
        found: list[SourceRecord] = []
        for message in self._consumer.consume(self._max_batch, timeout_s):
            error = message.error()
            if error is not None:
                self._refuse(error, message)
            else:
                found += self._records(message)
        return found

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()

    def _on_error(self, error: ck.KafkaError) -> None:
        log.warning("goldengate.topic %s: %s", self._topic, error.str())

    def _refuse(self, error: ck.KafkaError, message: ck.Message) -> None:
        if error.code() == ck.KafkaError._AUTO_OFFSET_RESET:
            raise ConfigError(
                f"{self._topic}-{message.partition()}: the stored offset is not in the topic any more; records between"
                " were deleted before they were read. Delete the connector's offsets to start at"
                " goldengate.start.position",
                key="goldengate.topic",
            )
        raise RetriableError(f"goldengate.topic {self._topic}: {error.str()}")

    def _refresh(self) -> None:
        """Take partitions that are new."""
        try:
            about = self._consumer.list_topics(self._topic, timeout=_TIMEOUT_S).topics[self._topic]
        except ck.KafkaException as error:
            raise RetriableError(f"goldengate.topic {self._topic}: {error.args[0].str()}") from None
        self._refreshed = time.monotonic()
        if about.error is not None:
            log.warning("goldengate.topic %s: %s; waiting for it", self._topic, about.error.str())
            return
        number, count = self._share
        for partition in sorted(about.partitions):
            if partition % count == number and partition not in self._messages:
                self._take(partition)
        # A partition that appears later is new, so it has nothing that could be left out.
        self._started = True

    def _take(self, partition: int) -> None:
        source_partition = {"topic": self._topic, "partition": partition}
        stored = self._stored(source_partition)
        if stored is not None:
            offset, state = int(stored["offset"]), (int(stored["ts_us"]), str(stored["pos"]))
        else:
            place = ck.TopicPartition(self._topic, partition)
            try:
                low, high = self._consumer.get_watermark_offsets(place, timeout=_TIMEOUT_S)
            except ck.KafkaException as error:
                raise RetriableError(f"goldengate.topic {self._topic}: {error.args[0].str()}") from None
            offset, state = high if self._latest and not self._started else low, (0, "")
        self._messages[partition] = self._make(source_partition, state)
        self._consumer.incremental_assign([ck.TopicPartition(self._topic, partition, offset)])

    def _records(self, message: ck.Message) -> list[SourceRecord]:
        partition, offset, value = message.partition() or 0, message.offset() or 0, message.value()
        messages = self._messages[partition]
        place = f"{self._topic}-{partition}@{offset}"
        found: list[SourceRecord] = []
        state = messages.state
        try:
            for record in decode_objects(value or b""):
                found += messages.of(record, place)
        except DataError as error:
            # A transaction counts whole or not at all.
            messages.state = state
            told = DataError(f"{place}: {error}")
            found = [
                SourceRecord.errant(
                    value or b"", told, position=place, key=message.key(), source_partition=messages.source_partition
                )
            ]
        ts_us, pos = messages.state
        after = {"offset": offset + 1, "ts_us": ts_us, "pos": pos}
        if not found:
            return [SourceRecord.heartbeat(messages.source_partition, after)]
        found[-1].source_offset = after
        return found
