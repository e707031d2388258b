"""The running pipeline: workers started, connectors deployed, changes counted. Used by demo, tests and benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import orjson

from examples.pojo import prepare
from examples.pojo.hops import Hops
from examples.pojo.produce import TOPIC as JOB_TOPIC
from examples.pojo.servers import Servers
from examples.pojo.workers import Workers, wait_for

__all__ = ["APPLICATION", "CLUSTER", "CONNECTORS", "FILES", "GROUPS", "HOPS", "JOB_KEYSPACE", "Pipeline", "running"]

CLUSTER: Final = "pojo-connect"
APPLICATION: Final = "pojo-enrich"
JOB_KEYSPACE: Final = "m_job"
HOPS: Final = ("m.pojo", "m.pojo.enriched", "Cassandra", "Kudu")
"""The hops after MySQL, in order."""

_HERE: Final = Path(__file__).parent
FILES: Final = tuple(
    str(_HERE / "connectors" / f"{name}.yaml") for name in ("mysql-source", "cassandra-sink", "kudu-sink")
)
CONNECTORS: Final = ("pojo-mysql", "pojo-cassandra", "pojo-kudu")
_TOPICS: Final = {"m.pojo": "m.pojo", "m.pojo.enriched": "m.pojo.enriched", "job": JOB_TOPIC}
GROUPS: Final = {
    "enriched": (APPLICATION, "m.pojo"),
    "Cassandra": ("connect-pojo-cassandra", "m.pojo.enriched"),
    "Kudu": ("connect-pojo-kudu", "m.pojo.enriched"),
    "job done": (APPLICATION, JOB_TOPIC),
}


class Pipeline:
    """The workers and what can be asked of them.

    Attributes:
        servers: The servers behind it.
        workers: Its processes.
    """

    def __init__(self, servers: Servers, workers: Workers) -> None:
        self.servers = servers
        self.workers = workers
        self._hops = Hops(servers.kafka, _TOPICS, GROUPS)

    def counts(self) -> dict[str, int]:
        """Return the number of records at each hop; `enriched` and `job done` are inputs that are finished."""
        return self._hops.counts()

    def close(self) -> None:
        """Disconnect; the workers run on."""
        self._hops.close()

    def deploy(self, timeout_s: float = 120.0) -> None:
        """Deploy the connectors with the command line and wait until their tasks run.

        Raises:
            RuntimeError: One of them does not come to run; the text is the command's.
        """
        rest = self.workers.url(self.workers.names[0])
        wait_for(lambda: _answers(rest), "the workers' REST", timeout_s=timeout_s, meanwhile=self.workers.check)
        argv = [str(Path(sys.executable).with_name("connectors")), "deploy", *FILES, "--wait"]
        env = {**self.workers.env(self.workers.names[0]), "CONNECTORS_URL": rest}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=timeout_s)
        if done.returncode:
            raise RuntimeError(f"connectors deploy ended with {done.returncode}:\n{done.stdout}{done.stderr}")

    def tasks(self) -> dict[str, list[str]]:
        """Return the connectors whose tasks each process runs; the cluster decides that."""
        rest = self.workers.url(self.workers.names[0])
        found: dict[str, list[str]] = {name: [] for name in self.workers.names}
        ports = {self.workers.env(name)["PORT"]: name for name in self.workers.names}
        for connector in CONNECTORS:
            with urllib.request.urlopen(f"{rest}/connectors/{connector}/status", timeout=10) as response:
                status = orjson.loads(response.read())
            for task in status["tasks"]:
                process = ports.get(str(task["worker_id"]).rpartition(":")[2])
                if process is not None:
                    found[process].append(connector)
        return found

    def wait_until_done(
        self, changes: int, *, timeout_s: float = 300.0, seen: Callable[[dict[str, int]], None] = lambda counts: None
    ) -> None:
        """Wait until so many changes went through every hop and nothing is on its way.

        Args:
            changes: Row changes made in MySQL since the topics were made; a restart may have sent some twice.
            timeout_s: Most time without progress, seconds.
            seen: Given the counts at each look.

        Raises:
            TimeoutError: Nothing moves and something is missing.
            WorkerDied: A worker ended.
        """

        def done() -> bool:
            counts = self.counts()
            seen(counts)
            enriched = counts["m.pojo.enriched"]
            return (
                counts["m.pojo"] >= changes
                and counts["enriched"] == counts["m.pojo"]
                and enriched >= changes
                and counts["Cassandra"] == counts["Kudu"] == enriched
            )

        wait_for(
            done, f"{changes:,} changes in both sinks", timeout_s=timeout_s, every_s=0.25, meanwhile=self.workers.check
        )


@contextmanager
def running(
    env: Mapping[str, str], logs: Path, *, each: Mapping[str, Mapping[str, str]] | None = None
) -> Iterator[Pipeline]:
    """Make everything afresh, start the workers of the Procfile, deploy the connectors; stop the workers at the end.

    Args:
        env: The variables of the servers, as `stack.up` returns them.
        logs: Folder for the workers' logs.
        each: More variables by process name.
    """
    servers = Servers({**os.environ, **env})
    prepare.everything(servers, cluster=CLUSTER, application=APPLICATION, job_keyspace=JOB_KEYSPACE)
    own = {
        "CONNECTORS_CLUSTER": CLUSTER,
        "ENRICH_CONFIG": str(_HERE / "enrich.yaml"),
        "ENRICH_ID": APPLICATION,
        "JOB_KEYSPACE": JOB_KEYSPACE,
    }
    with Workers(logs, {**env, **own}, each=each) as workers:
        pipeline = Pipeline(servers, workers)
        try:
            pipeline.deploy()
            yield pipeline
        finally:
            pipeline.close()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/", timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
