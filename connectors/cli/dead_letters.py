"""Reads dead-letter topics and sends their records back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from connectors.cli.errors import FAILED, NOT_FOUND, UNREACHABLE, CommandError
from connectors.clients.kafka import KafkaSettings

__all__ = ["PREFIX", "Letter", "Topic"]

PREFIX: Final = "__connect.errors."
_LIMIT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter.

    Attributes:
        partition: Its partition of the dead-letter topic.
        offset: Its offset there.
        key: Key bytes of the record as it was.
        value: Value bytes of the record as it was.
        headers: The record's own headers.
        context: Why it is here: what follows `__connect.errors.` -> text.
        timestamp_ms: The record's timestamp.
    """

    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]
    context: Mapping[str, str]
    timestamp_ms: int

    @property
    def origin(self) -> str:
        """Topic, partition and offset that it came from."""
        known = [self.context.get(name, "?") for name in ("topic", "partition", "offset")]
        return "{}-{}@{}".format(*known)


class Topic:
    """One dead-letter topic.

    Args:
        name: Its name, without `KAFKA_PREFIX`.
        settings: How to reach Kafka.
    """

    def __init__(self, name: str, settings: KafkaSettings) -> None:
        self.name = settings.prefix + name
        self._settings = settings
        self._options = settings.librdkafka() | {"log_level": 0}

    def ends(self, consumer: Consumer | None = None) -> dict[int, tuple[int, int]]:
        """Return the first and the next offset of each partition.

        Raises:
            CommandError: Kafka does not answer, or there is no such topic.
        """
        own = consumer or self._consumer("connectors-dlq")
        try:
            found = own.list_topics(self.name, timeout=_LIMIT_S).topics[self.name]
            if found.error is not None:
                raise CommandError(f"No dead-letter topic {self.name}: nothing has failed yet", NOT_FOUND)
            places = [TopicPartition(self.name, number) for number in found.partitions]
            return {place.partition: own.get_watermark_offsets(place, timeout=_LIMIT_S) for place in places}
        except KafkaException as error:
            message = f"Kafka at {self._settings.bootstrap_servers} does not answer: {error.args[0].str()}"
            raise CommandError(f"{message}; set KAFKA_BOOTSTRAP_SERVERS", UNREACHABLE) from None
        finally:
            if consumer is None:
                own.close()

    def last(self, count: int) -> list[Letter]:
        """Return the last letters of all partitions, oldest first."""
        consumer = self._consumer("connectors-dlq")
        try:
            ends = self.ends(consumer)
            begins = {number: max(low, high - count) for number, (low, high) in ends.items()}
            letters = list(self._between(consumer, begins, {number: high for number, (_, high) in ends.items()}))
        finally:
            consumer.close()
        return sorted(letters, key=lambda letter: (letter.timestamp_ms, letter.offset))[-count:]

    def unreplayed(self) -> Iterator[Letter]:
        """Iterate over the letters that were not replayed, up to those that are there now."""
        consumer = self._consumer(self._replay_group)
        try:
            ends = self.ends(consumer)
            places = [TopicPartition(self.name, number) for number in ends]
            done = {each.partition: each.offset for each in consumer.committed(places, timeout=_LIMIT_S)}
            begins = {number: max(low, done[number]) for number, (low, _) in ends.items()}
            yield from self._between(consumer, begins, {number: high for number, (_, high) in ends.items()})
        finally:
            consumer.close()

    def replay(self, letters: list[Letter], to: str | None) -> int:
        """Send letters to the topic that they came from, or to another; acknowledged when this returns.

        Raises:
            CommandError: A letter does not say where it came from, or Kafka refused one.
        """
        producer = Producer(self._options | {"enable.idempotence": True, "acks": "all", "linger.ms": 5})
        problems: list[str] = []

        def delivered(error: Any, _message: Any) -> None:
            if error is not None:
                problems.append(error.str())

        for letter in letters:
            origin = letter.context.get("topic")
            if to is None and origin is None:
                message = f"{self.name}-{letter.partition}@{letter.offset} does not say where it came from: use --to"
                raise CommandError(message)
            target = self._settings.prefix + to if to is not None else str(origin)
            self._produce(producer, target, letter, delivered)
        left = producer.flush(_LIMIT_S)
        if problems or left:
            raise CommandError(f"Kafka took not all of it back: {problems[0] if problems else 'time is up'}", FAILED)
        return len(letters)

    def mark_replayed(self, letters: list[Letter]) -> None:
        """Remember letters as replayed, so that the next replay begins after them."""
        nexts: dict[int, int] = {}
        for letter in letters:
            nexts[letter.partition] = max(nexts.get(letter.partition, 0), letter.offset + 1)
        consumer = self._consumer(self._replay_group)
        try:
            consumer.commit(
                offsets=[TopicPartition(self.name, number, offset) for number, offset in nexts.items()],
                asynchronous=False,
            )
        except KafkaException as error:
            message = f"Sent, but not remembered: {error.args[0].str()}; the next replay sends the same again"
            raise CommandError(message) from None
        finally:
            consumer.close()

    @property
    def _replay_group(self) -> str:
        return f"{self._settings.prefix}connect-dlq-replay-{self.name.removeprefix(self._settings.prefix)}"

    def _consumer(self, group: str) -> Consumer:
        return Consumer(self._options | {"group.id": group, "enable.auto.commit": False, "auto.offset.reset": "error"})

    def _produce(self, producer: Producer, target: str, letter: Letter, delivered: Any) -> None:
        options = {"headers": letter.headers, "timestamp": letter.timestamp_ms, "on_delivery": delivered}
        while True:
            try:
                producer.produce(target, letter.value, letter.key, **options)
            except BufferError:
                producer.poll(0.1)
            else:
                return

    def _between(self, consumer: Consumer, begins: dict[int, int], ends: dict[int, int]) -> Iterator[Letter]:
        open_ = {number for number, begin in begins.items() if begin < ends[number]}
        if not open_:
            return
        consumer.assign([TopicPartition(self.name, number, begins[number]) for number in open_])
        until = time.monotonic() + _LIMIT_S
        while open_:
            if time.monotonic() > until:
                raise CommandError(f"{self.name} could not be read in {_LIMIT_S:.0f} s", UNREACHABLE)
            for message in consumer.consume(500, 0.5):
                if message.error() is not None:
                    raise CommandError(f"{self.name} could not be read: {message.error().str()}", FAILED)
                until = time.monotonic() + _LIMIT_S
                if message.offset() < ends[message.partition()]:
                    yield _letter(message)
            # Transaction markers have offsets and no message, so it is the position that tells the end.
            reached = consumer.position([TopicPartition(self.name, number) for number in open_])
            open_ -= {each.partition for each in reached if each.offset >= ends[each.partition]}


def _letter(message: Message) -> Letter:
    headers = [(name, bytes(value)) for name, value in message.headers() or [] if value is not None]
    context = {
        name.removeprefix(PREFIX): value.decode(errors="replace") for name, value in headers if name.startswith(PREFIX)
    }
    return Letter(
        message.partition(),
        message.offset(),
        message.key(),
        message.value(),
        [each for each in headers if not each[0].startswith(PREFIX)],
        context,
        message.timestamp()[1],
    )
