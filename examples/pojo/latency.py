"""Latency from a MySQL commit to the row being readable in a sink.

Rows are inserted at a steady rate. About every tenth is a probe: the clock starts as its COMMIT is sent, and both sinks
are asked for the probes on their way again and again, each by a thread of its own. A probe has arrived when an answer
that holds it has come back. So a latency includes the commit and the query that found the row, and is exact to one
polling interval, always on the high side. The write times that the sinks keep are not used: they are the source's own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from connectors.clients.kudu.jvm import start_jvm
from examples.pojo.load import insert_paced
from examples.pojo.pojo import Pojo
from examples.pojo.prepare import KUDU_TABLE
from examples.pojo.servers import Servers

__all__ = ["Latency", "measure", "percentile"]

# Probes are of one style, so that one query finds them all.
_STYLE: Final = 0
_POLL_S: Final = 0.01
_MOST_AT_ONCE: Final = 100

Find = Callable[[list[str]], set[str]]
"""Takes aids, returns those that are readable."""


@dataclass(slots=True)
class Latency:
    """What was measured.

    Attributes:
        rate: Rows per second that were inserted.
        seconds: Latencies by sink, one for each probe that arrived.
        missing: Number of probes by sink that did not arrive in time.
    """

    rate: float = 0.0
    seconds: dict[str, list[float]] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)


class _Watch:
    """The probes of one sink."""

    def __init__(self, find: Find) -> None:
        self.latencies: list[float] = []
        self.error: BaseException | None = None
        self._find = find
        self._lock = threading.Lock()
        self._waiting: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def add(self, aid: str, at: float) -> None:
        with self._lock:
            self._waiting[aid] = at

    @property
    def left(self) -> int:
        with self._lock:
            return len(self._waiting)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            while not self._stop.wait(_POLL_S):
                self._poll()
        except BaseException as error:  # handed to the thread that calls `stop`
            self.error = error

    def _poll(self) -> None:
        with self._lock:
            asked = list(self._waiting)[:_MOST_AT_ONCE]
        if not asked:
            return
        found = self._find(asked)
        now = time.monotonic()
        with self._lock:
            self.latencies += [now - self._waiting.pop(aid) for aid in found]


def measure(servers: Servers, count: int, rate: float, *, first: int, timeout_s: float = 30.0) -> Latency:
    """Insert rows at a rate and measure.

    Args:
        servers: Where.
        count: Number of rows.
        rate: Rows per second.
        first: Number of the first row; none of them may exist.
        timeout_s: How long to wait for the last probes, seconds.
    """
    with servers.cassandra() as session, _kudu_finder(servers) as kudu:
        watches = {"Cassandra": _Watch(_cassandra_finder(session)), "Kudu": _Watch(kudu)}
        for watch in watches.values():
            watch.start()

        def probe(rows: list[Pojo], at: float) -> None:
            for row in rows:
                if row.style == _STYLE and row.i % 2 == 0:
                    for watch in watches.values():
                        watch.add(row.aid, at)

        try:
            with servers.mysql() as connection:
                reached = insert_paced(connection, count, rate, first=first, probe=probe)
            deadline = time.monotonic() + timeout_s
            while any(w.left and w.error is None for w in watches.values()) and time.monotonic() < deadline:
                time.sleep(_POLL_S)
        finally:
            for watch in watches.values():
                watch.stop()
        return Latency(
            reached, {k: w.latencies for k, w in watches.items()}, {k: w.left for k, w in watches.items() if w.left}
        )


def percentile(values: list[float], share: float) -> float:
    """Return the value below which that share of the values lies; NaN where there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def _cassandra_finder(session: Any) -> Find:
    query = session.prepare("SELECT aid FROM m.m_pojo WHERE aid IN ? AND astyle = ? AND astatus = ?")
    return lambda aids: {aid for (aid,) in session.execute(query, (aids, f"STYLE000-{_STYLE}", f"0{_STYLE}"))}


@contextmanager
def _kudu_finder(servers: Servers) -> Iterator[Find]:
    jpype = start_jvm(servers.env.get("KUDU_CLIENT_JARS"), heap_mb=128)
    package = "org.apache.kudu.client."
    predicates = jpype.JClass(package + "KuduPredicate")
    names = jpype.JClass("java.util.ArrayList")
    client = jpype.JClass(package + "KuduClient$KuduClientBuilder")(servers.env["KUDU_MASTERS"]).build()
    table = client.openTable(KUDU_TABLE)
    column = table.getSchema().getColumn("aid")

    def find(aids: list[str]) -> set[str]:
        builder = client.newScannerBuilder(table).setProjectedColumnNames(names(["aid"]))
        builder.addPredicate(predicates.newInListPredicate(column, names(aids)))
        return {str(row.getString(0)) for row in builder.build()}

    try:
        yield find
    finally:
        client.close()
