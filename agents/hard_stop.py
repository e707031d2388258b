"""Ends a process that does not end by itself.

Faust's consumer lives in a thread that Python waits for at exit. Where a rebalance meets the stop, that thread can wait
for an event loop that is closed already, for ever, while its heartbeats keep partitions that nobody works on. After
`LIMIT_S` the process is ended as by kill -9, which loses nothing: that is what the checkpoints are for.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import Final

__all__ = ["LIMIT_S", "end_process_after"]

log = logging.getLogger(__name__)

LIMIT_S: Final = 30.0
"""Above the time that a stop in good order may take: two flushes of five seconds, a commit, the group's leave."""


def end_process_after(seconds: float) -> None:
    """End this process with exit code 1 unless it has ended before.

    Args:
        seconds: How long it may still take.
    """
    timer = threading.Timer(seconds, _end, (seconds,))
    timer.daemon = True
    timer.start()


def _end(seconds: float) -> None:
    log.critical("The worker has not stopped within %.0f s and is ended hard; its partitions go to others", seconds)
    logging.shutdown()
    os._exit(1)
