"""Levels of this process's loggers, changed while it runs (KIP-495, KIP-976)."""

from __future__ import annotations

import logging
import time
from typing import Any

__all__ = ["LEVELS", "Loggers"]

LEVELS = {
    "TRACE": 5,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
    "FATAL": logging.CRITICAL,
    "OFF": logging.CRITICAL + 10,
}
"""Kafka Connect's words."""


class Loggers:
    """Reads and sets levels; `root` is the logger of all."""

    def __init__(self) -> None:
        self._changed: dict[str, int] = {}

    def all(self) -> dict[str, dict[str, Any]]:
        """Return the level of each logger that exists."""
        return {name: self._shown(name, logger) for name, logger in sorted(_existing().items())}

    def one(self, name: str) -> dict[str, Any] | None:
        """Return the level of a logger, or None where there is none of this name."""
        logger = _existing().get(name)
        return None if logger is None else self._shown(name, logger)

    def set(self, name: str, level: str) -> list[str]:
        """Set the level of a logger and of all below it.

        Args:
            name: The logger; one that does not exist yet is made.
            level: A key of `LEVELS`.

        Returns:
            The loggers that were changed, sorted.
        """
        logging.getLogger(None if name == "root" else name)
        below = {each: logger for each, logger in _existing().items() if _is_below(each, name)}
        now = int(time.time() * 1000)
        for each, logger in below.items():
            logger.setLevel(LEVELS[level])
            self._changed[each] = now
        for handler in logging.root.handlers:  # or they keep back what the logger lets through
            handler.setLevel(min(handler.level, LEVELS[level]))
        return sorted(below)

    def _shown(self, name: str, logger: logging.Logger) -> dict[str, Any]:
        number = logger.getEffectiveLevel()
        word = max((word for word in LEVELS if LEVELS[word] <= max(number, 5)), key=lambda word: LEVELS[word])
        return {"level": word, "last_modified": self._changed.get(name)}


def _existing() -> dict[str, logging.Logger]:
    made = dict(logging.root.manager.loggerDict)
    return {"root": logging.root} | {name: each for name, each in made.items() if isinstance(each, logging.Logger)}


def _is_below(name: str, ancestor: str) -> bool:
    return ancestor == "root" or name == ancestor or name.startswith(f"{ancestor}.")
