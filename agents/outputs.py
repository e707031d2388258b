"""Where results, failures and unusable records go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agents.async_io.errors import AsyncOperationError
from agents.message import Message
from agents.producer import ANY_PARTITION, DeliveryCallback, Producer
from connectors.api.errors import DataError

__all__ = ["Outputs", "error_headers"]


class Outputs:
    """Output and dead-letter topic of one stage.

    Args:
        producer: The way to Kafka.
        stage: Name of the stage.
        output: Output topic, or None.
        dead_letter: Dead-letter topic, or None.
        same_partition: Whether the output topic has as many partitions as the input, so that outputs keep theirs.
    """

    def __init__(
        self, producer: Producer, stage: str, output: str | None, dead_letter: str | None, same_partition: bool
    ) -> None:
        self.producer = producer
        self._stage = stage
        self.output = output
        self.dead_letter = dead_letter
        self._same_partition = same_partition
        self.dead_letters = 0

    def encode(self, results: list[Any]) -> list[tuple[Message, bytes | None]]:
        """Return the results with their bytes; all of them before any is sent.

        Raises:
            DataError: A result is no `Message`, or JSON cannot say it.
        """
        encoded = []
        for result in results:
            if not isinstance(result, Message):
                raise DataError(f"a function of this stage completed with a {type(result).__name__}, not a Message")
            encoded.append((result, result.encode()))
        return encoded

    def send(self, source: Message, result: Message, value: bytes | None, on_delivery: DeliveryCallback) -> None:
        """Produce one result.

        Args:
            source: The input.
            result: The output; its key decides the partition where it is not the input's.
            value: The output's bytes.
            on_delivery: Called with an error or None.
        """
        assert self.output is not None, "a stage without output sends nothing"
        keeps = self._same_partition and result.key == source.key
        self.producer.send(
            self.output,
            value,
            result.key,
            result.headers,
            on_delivery,
            partition=source.partition if keeps else ANY_PARTITION,
            timestamp_ms=max(result.timestamp_ms, 0),
        )

    def send_dead_letter(
        self, message: Message, error: BaseException, function: str, on_delivery: DeliveryCallback
    ) -> None:
        """Produce a record as it was read into the dead-letter topic, with the reason in its headers."""
        assert self.dead_letter is not None, "a stage without a dead-letter topic sends none"
        self.dead_letters += 1
        headers = error_headers(message.topic, message.partition, message.offset, self._stage, function, error)
        self.producer.send(
            self.dead_letter,
            message.raw,
            message.key,
            [*message.headers, *headers],
            on_delivery,
            timestamp_ms=max(message.timestamp_ms, 0),
        )

    def send_dead_row(
        self, place: tuple[str, int, int], key: bytes, value: bytes, error: BaseException, done: Callable[..., None]
    ) -> None:
        """Produce an unreadable row of the pending table into the dead-letter topic."""
        assert self.dead_letter is not None, "a stage without a dead-letter topic sends none"
        headers = error_headers(*place, self._stage, "PendingTable", error)
        self.producer.send(self.dead_letter, value, key, headers, done)


def error_headers(
    topic: str, partition: int, offset: int, stage: str, function: str, error: BaseException
) -> list[tuple[str, bytes]]:
    """Return the headers that tell why a record is a dead letter.

    Source: Kafka Connect, `DeadLetterQueueReporter`.
    """
    cause = error.__cause__ if isinstance(error, AsyncOperationError) and error.__cause__ is not None else error
    texts = {
        "topic": topic,
        "partition": str(partition),
        "offset": str(offset),
        "stage": stage,
        "class.name": function,
        "exception.class.name": f"{type(cause).__module__}.{type(cause).__qualname__}",
        "exception.message": str(cause),
    }
    return [(f"__connect.errors.{name}", text.encode()) for name, text in texts.items()]
