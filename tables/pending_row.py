"""How a pending request is written: one line of JSON for people, then the bytes of the record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import orjson

from connectors.api.errors import DataError

__all__ = ["PendingRow"]

_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class PendingRow:
    """A request that was in flight: its input, never its result.

    Attributes:
        partition: Partition of the input.
        offset: Offset of the input.
        key: Kafka key of the input, or None.
        raw: Value of the input, or None.
        headers: Headers of the input.
        timestamp_ms: Kafka timestamp of the input, milliseconds since 1970.
        attempt: Calls so far.
        deadline_ms: When its time is up, milliseconds since 1970; 0 for never. It tells people; a restored request
            gets its full time again, as in Flink.
    """

    partition: int
    offset: int
    key: bytes | None
    raw: bytes | None
    headers: list[tuple[str, bytes]]
    timestamp_ms: int
    attempt: int
    deadline_ms: int

    def row_key(self) -> bytes:
        """Return the key of the row in the changelog."""
        return b"%d-%d" % (self.partition, self.offset)

    def encode(self) -> bytes:
        """Return the value of the row in the changelog."""
        parts = [self.key or b"", self.raw or b"", *(data or b"" for _, data in self.headers)]
        about = {
            "v": _VERSION,
            "partition": self.partition,
            "offset": self.offset,
            "timestamp_ms": self.timestamp_ms,
            "attempt": self.attempt,
            "deadline_ms": self.deadline_ms,
            "key": None if self.key is None else len(self.key),
            "value": None if self.raw is None else len(self.raw),
            "headers": [[name, None if data is None else len(data)] for name, data in self.headers],
        }
        return orjson.dumps(about) + b"\n" + b"".join(parts)

    @classmethod
    def decode(cls, data: bytes) -> PendingRow:
        """Read a row.

        Raises:
            DataError: It was not written by `encode`, or is damaged.
        """
        try:
            line, body = data.split(b"\n", 1)
            about = orjson.loads(line)
            if about["v"] != _VERSION:
                raise DataError(f"a pending row of version {about['v']} is not known here")
            sizes = [about["key"], about["value"], *(size for _, size in about["headers"])]
            parts = _cut(body, sizes)
            names = [str(name) for name, _ in about["headers"]]
            return cls(
                partition=int(about["partition"]),
                offset=int(about["offset"]),
                key=parts[0],
                raw=parts[1],
                headers=list(zip(names, parts[2:], strict=True)),  # type: ignore[arg-type]
                timestamp_ms=int(about["timestamp_ms"]),
                attempt=int(about["attempt"]),
                deadline_ms=int(about["deadline_ms"]),
            )
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise DataError(f"not a pending row: {type(error).__name__}: {error}") from error


def _cut(body: bytes, sizes: list[int | None]) -> list[bytes | None]:
    parts: list[bytes | None] = []
    at = 0
    for size in sizes:
        parts.append(None if size is None else body[at : at + size])
        at += size or 0
    if at != len(body):
        raise ValueError(f"{len(body)} bytes where {at} are announced")
    return parts
