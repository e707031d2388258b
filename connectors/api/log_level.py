"""The log level of a worker: Faust's words for it, and no records that no handler shows."""

from __future__ import annotations

import logging

__all__ = ["know_all_levels", "make_only_shown_records"]


def know_all_levels() -> None:
    """Have logging know `crit`, which Faust offers and then fails to start with; called before a worker is made."""
    logging.addLevelName(logging.CRITICAL, "CRIT")
    logging.addLevelName(logging.CRITICAL, "CRITICAL")  # what is shown stays


def make_only_shown_records() -> None:
    """Raise the root logger's level to that of its handlers; called when a worker starts.

    From the level WARN on, which is Faust's default, its progress spinner has the root logger take records of every
    level, only to turn a character while the worker starts. A worker's clients then make hundreds of debug records a
    second, which nobody sees.
    """
    root = logging.getLogger()
    # By name, as this package does without Faust.
    shows = [each.level for each in root.handlers if type(each).__name__ != "SpinnerHandler"]
    shown = min(shows, default=root.level)
    root.setLevel(max(root.level, shown))
