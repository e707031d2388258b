"""What an enrich function receives and returns: one Kafka record with its value decoded once."""

from __future__ import annotations

from typing import Any, Final

from agents.formats import Decode
from connectors.api.errors import DataError
from connectors.formats.canal import ROW_TYPES, TS_US_HEADER, decode_object, encode_object, is_flat_message

__all__ = ["Message"]

_UNSET: Final[Any] = object()


class Message:
    """One record on its way through the stage.

    Attributes:
        topic: Topic it was read from.
        partition: Partition it was read from.
        offset: Offset it was read at.
        key: Kafka key, or None.
        raw: Value as it was read, or None for a tombstone.
        value: Decoded value: a Canal flat message or a plain JSON object; an empty dict for a tombstone. Numbers with a
            fraction are `Decimal`s, so that they leave with the digits they came with.
        headers: Kafka headers in their order.
        timestamp_ms: Kafka timestamp, milliseconds since 1970.

    An output keeps key, headers, timestamp and partition of its input, so a function that adds columns changes `value`
    (or the rows in it) and completes with the message itself; `derive` makes further messages.
    """

    __slots__ = (
        "_decode",
        "_handed_out",
        "headers",
        "key",
        "offset",
        "partition",
        "raw",
        "timestamp_ms",
        "topic",
        "value",
    )

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int,
        key: bytes | None,
        raw: bytes | None,
        value: dict[str, Any],
        headers: list[tuple[str, bytes]],
        timestamp_ms: int,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.key = key
        self.raw = raw
        self.value = value
        self.headers = headers
        self.timestamp_ms = timestamp_ms
        self._handed_out = False
        self._decode: Decode = decode_object

    @classmethod
    def decode(
        cls,
        topic: str,
        partition: int,
        offset: int,
        key: bytes | None,
        raw: bytes | None,
        headers: list[tuple[str, bytes]],
        timestamp_ms: int,
        decode: Decode = decode_object,
    ) -> Message:
        """Build a message from what Kafka gave; `decode` turns the bytes of the value into an object.

        Raises:
            DataError: The value is not of the format.
        """
        value = {} if raw is None else decode(raw)
        message = cls(topic, partition, offset, key, raw, value, headers, timestamp_ms)
        message._decode = decode
        return message

    def for_attempt(self) -> Message:
        """Return the message for one attempt: itself the first time, later anew from `raw`.

        So no attempt sees what a failed one has changed in `value`.
        """
        if not self._handed_out:
            self._handed_out = True
            return self
        return Message.decode(
            self.topic,
            self.partition,
            self.offset,
            self.key,
            self.raw,
            list(self.headers),
            self.timestamp_ms,
            self._decode,
        )

    def derive(
        self,
        value: dict[str, Any],
        *,
        key: bytes | None = _UNSET,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> Message:
        """Return another output of the same input.

        Args:
            value: Its value.
            key: Its Kafka key; this message's key when left out.
            headers: Its headers; this message's headers when left out.
        """
        return Message(
            self.topic,
            self.partition,
            self.offset,
            self.key if key is _UNSET else key,
            self.raw,
            value,
            self.headers if headers is None else headers,
            self.timestamp_ms,
        )

    def encode(self) -> bytes | None:
        """Return the value as JSON text, or None for a tombstone.

        Raises:
            DataError: A function put something into the value that JSON cannot say.
        """
        if self.raw is None and not self.value:
            return None
        return encode_object(self.value)

    @property
    def ts_us(self) -> int:
        """Order of the change in microseconds since 1970.

        The header `connect.ts_us`, else the Kafka timestamp times 1000. In a message of several rows it belongs to
        the first, row i is at `ts_us + i`.

        Raises:
            DataError: The header is no number.
        """
        for name, data in self.headers:
            if name == TS_US_HEADER:
                try:
                    return int(data)
                except ValueError:
                    raise DataError(f"header {TS_US_HEADER} is {data!r}, a number of microseconds is needed") from None
        return self.timestamp_ms * 1000

    @property
    def op(self) -> str:
        """INSERT, UPDATE, DELETE, DDL or OTHER of a Canal message, UPSERT for a plain object; INIT counts as INSERT."""
        if not is_flat_message(self.value):
            return "UPSERT"
        if self.value.get("isDdl"):
            return "DDL"
        kind = self.value["type"]
        if kind not in ROW_TYPES:
            return "OTHER"
        return "INSERT" if kind == "INIT" else str(kind)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows: Canal's `data`, or the plain object itself. Changes to them are changes to the message.

        Raises:
            DataError: `data` is not an array of objects.
        """
        if not is_flat_message(self.value):
            return [self.value]
        rows = self.value.get("data")
        if rows is None:
            return []
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise DataError("Canal message: data must be an array of objects")
        return rows

    @property
    def old_rows(self) -> list[dict[str, Any]]:
        """Former values of the changed columns, one dict for each row; empty dicts where Canal gives none."""
        rows = self.rows
        old = self.value.get("old") if is_flat_message(self.value) else None
        if not isinstance(old, list):
            return [{} for _ in rows]
        return [row if isinstance(row, dict) else {} for row in old] + [{} for _ in rows[len(old) :]]

    def __repr__(self) -> str:
        return f"Message({self.topic}-{self.partition}@{self.offset}, key={self.key!r}, op={self.op})"
