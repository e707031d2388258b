"""The garbage collector of a worker: it must not walk over all records in flight again and again."""

from __future__ import annotations

import ctypes
import gc

__all__ = ["free_memory", "spare_the_collector"]


def spare_the_collector() -> None:
    """Take modules out of the collector's sight and let it look seldom; called once a worker has started.

    Records are made by the ten thousand and freed by their reference counts. By default the collector looks at them
    after every 700, which took a tenth of a sink's time and more of an enrich stage's.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def free_memory() -> None:
    """Free what is no longer used, also to the system; called once tasks have stopped or paused.

    The collector looks too seldom by itself then, and glibc keeps what other threads freed: a worker grew with each
    connector that came and went.
    """
    gc.collect()
    # Other C libraries than glibc have no such call, and most of them no need of it.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
