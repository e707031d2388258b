"""Log lines as JSON, for systems that read them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any, Final

import orjson

__all__ = ["LOGGING_CONFIG", "JsonFormatter", "place_of"]

_PLACE: Final = ("stage", "topic", "partition", "offset")

LOGGING_CONFIG: Final[dict[str, Any]] = {
    "merge": True,  # mode's word: the rest of its configuration, levels above all, stays
    "formatters": {"json": {"()": "agents.json_log.JsonFormatter"}},
    "handlers": {"default": {"class": "logging.StreamHandler", "formatter": "json"}},
}


def place_of(stage: str, topic: str, partition: int, offset: int) -> dict[str, Any]:
    """Return the fields of a message about one record, for `extra`."""
    return {"stage": stage, "topic": topic, "partition": partition, "offset": offset}


class JsonFormatter(logging.Formatter):
    """An object a line: time, level, logger, message; about a record also stage, topic, partition and offset."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in _PLACE if hasattr(record, name)}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()
