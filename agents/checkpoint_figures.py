"""Numbers of a stage's checkpoints."""

from __future__ import annotations

__all__ = ["CheckpointFigures"]


class CheckpointFigures:
    """What the checkpoints of a stage did.

    Attributes:
        count: How many have ended.
        last_s: Time that the last one took, seconds.
        last_rows: Rows of the pending table that it wrote.
    """

    __slots__ = ("count", "last_rows", "last_s")

    def __init__(self) -> None:
        self.count = self.last_rows = 0
        self.last_s = 0.0

    def ended(self, seconds: float, rows: int) -> None:
        """Count a checkpoint.

        Args:
            seconds: How long it took.
            rows: How many rows it wrote.
        """
        self.count += 1
        self.last_s, self.last_rows = seconds, rows
