"""What a running source shows of itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Final

from connectors.api.errors import ConnectError
from connectors.sources.mysql.binlog_reader import BinlogReader
from connectors.sources.mysql.preflight import Ask
from connectors.sources.mysql.reader import SourceReader

__all__ = ["Figures"]

logger = logging.getLogger(__name__)

_EVERY_S: Final = 1.0
_ASK_EVERY_S: Final = 10.0


class Figures:
    """Shows figures of a reader, at most once a second; what the server has to be asked for, every ten.

    Args:
        gauge: Shows a figure by name.
        queries: Opens a connection for queries.
    """

    def __init__(self, gauge: Callable[[str, float], None], queries: Callable[[], AbstractContextManager[Ask]]) -> None:
        self._gauge = gauge
        self._queries = queries
        self._next = 0.0
        # Not at once: what comes first is the first record.
        self._next_ask = time.monotonic() + _EVERY_S

    def show(self, reader: SourceReader[Any]) -> None:
        """Show the figures of a reader where it is time."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _EVERY_S
        for name, value in reader.figures().items():
            self._gauge(name, value)
        self._gauge("snapshot_running", float(not isinstance(reader, BinlogReader)))
        if isinstance(reader, BinlogReader) and now >= self._next_ask:
            self._next_ask = now + _ASK_EVERY_S
            self._show_bytes(reader)

    def _show_bytes(self, reader: BinlogReader) -> None:
        try:
            with self._queries() as ask:
                sizes = {str(row[0]): int(row[1]) for row in ask("SHOW BINARY LOGS")}
        except ConnectError as error:
            logger.debug("lag_bytes is not known: %s", error)
            return
        file, pos = reader.reached
        if file in sizes:
            names = list(sizes)
            self._gauge("lag_bytes", max(0, sum(sizes[name] for name in names[names.index(file) :]) - pos))
