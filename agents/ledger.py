"""What of a partition may be committed.

Faust 0.15.3 commits past records that are still in flight when they are acknowledged out of order (`_new_offset` looks
at the head only where the gap is wider than one, and not at all in a new group). The stage never asks Faust: a record
is safe when its outputs are delivered or its pending row is, and the commit stops before the first that is neither.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

__all__ = ["Ledger"]

Request = TypeVar("Request")


class Ledger(Generic[Request]):
    """Requests of one partition during one assignment.

    Attributes:
        position: Offset behind the last accepted record, or None before the first.
        committed: What was committed last, or None.
    """

    __slots__ = ("_open", "_persisted", "committed", "position")

    def __init__(self) -> None:
        # Accepted, but neither finished nor persisted; in the order of offsets, so the first key holds back the commit.
        self._open: dict[int, Request] = {}
        self._persisted: dict[int, Request] = {}
        self.position: int | None = None
        self.committed: int | None = None

    def accept(self, offset: int, request: Request) -> bool:
        """Take a record in; false if it was taken before.

        Offsets that Kafka leaves out (compaction, transaction markers) need no entry.
        """
        if self.position is not None and offset < self.position:
            return False
        self.position = offset + 1
        self._open[offset] = request
        return True

    def skip(self, offset: int) -> None:
        """Pass a record that the pending table brings anyway."""
        if self.position is None or offset >= self.position:
            self.position = offset + 1

    def restore(self, offset: int, request: Request) -> None:
        """Take in a request of the pending table; it holds no commit back."""
        self._persisted[offset] = request

    def persisted(self, offset: int) -> None:
        """Note that the pending row of a record is delivered; no effect if it finished before."""
        request = self._open.pop(offset, None)
        if request is not None:
            self._persisted[offset] = request

    def finish(self, offset: int) -> None:
        """Note that a record needs nothing any more: its outputs are delivered."""
        if self._open.pop(offset, None) is None:
            self._persisted.pop(offset, None)

    def unsafe(self) -> Iterator[Request]:
        """Iterate over the requests that hold the commit back, oldest first."""
        return iter(self._open.values())

    def requests(self) -> Iterator[Request]:
        """Iterate over all requests, the restored and persisted ones first."""
        yield from self._persisted.values()
        yield from self._open.values()

    @property
    def committable(self) -> int | None:
        """Offset that may be committed now (the next to read), or None where nothing was accepted."""
        return next(iter(self._open), self.position)

    def __len__(self) -> int:
        return len(self._open) + len(self._persisted)
