"""The sinks from Kafka to the target, beside the client library alone.

    python -m benchmarks.sinks [cassandra] [kudu] [--records 100000] [--repeat 3] [--memory-rows 1000000]

The topics (4 partitions, one Canal message for each row of the job's table) are filled first; each run reads them from
the beginning in a worker process of its own. A rate runs from the first rows stored to the last, so start-up does not
count; "with start" counts from the start of the process. The baseline of each sink is the client library alone with
the rows in memory. Broker, target, worker and this script share the machine; variants take turns in each repetition,
and the median counts.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from typing import Any, Final

import stack
from benchmarks.measure import Bench, bench, report
from benchmarks.sinks import cassandra, kudu
from benchmarks.sinks.run import Part

PARTS: Final[dict[str, Callable[[Bench, argparse.Namespace], Part]]] = {
    "cassandra": cassandra.measure,
    "kudu": kudu.measure,
}
"""Sink to its benchmark; the names are those of the servers, too."""


def main() -> int:
    """Run the benchmarks."""
    parser = argparse.ArgumentParser(description="Measure the sinks.")
    parser.add_argument("sinks", nargs="*", metavar="SINK", help=f"{', '.join(PARTS)}; all when left out")
    parser.add_argument("--records", type=int, default=100_000, help="rows a run (default 100000)")
    parser.add_argument("--repeat", type=int, default=3, help="repetitions; the median counts (default 3)")
    parser.add_argument("--memory-rows", type=int, default=0, help="rows of one more run that watches the memory")
    options = parser.parse_args()
    unknown = set(options.sinks) - PARTS.keys()
    if unknown:
        parser.error(f"no benchmark of {', '.join(sorted(unknown))}; there is {', '.join(PARTS)}")
    chosen = options.sinks or list(PARTS)
    load = os.getloadavg()[0]
    logging.getLogger("cassandra").setLevel(logging.ERROR)
    os.environ.update(stack.up(["kafka", *chosen]))
    lines: list[tuple[str, str]] = []
    result: dict[str, Any] = {}
    rss: dict[str, int] = {}
    with bench(os.environ["KAFKA_BOOTSTRAP_SERVERS"], "sinks") as made:
        for name in chosen:
            part = PARTS[name](made, options)
            lines += part.lines
            result |= part.result
            rss |= part.rss_mb
    report(lines, result | {"rss_mb": rss}, load)
    return 0


if __name__ == "__main__":
    sys.exit(main())
