"""The processes of the Procfile, each in its own session, as honcho or Heroku would run them.

Used by the demo, the acceptance tests and the benchmarks.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
from honcho.environ import parse_procfile

__all__ = ["ROOT", "WorkerDied", "Workers", "free_port", "wait_for"]

ROOT = Path(__file__).resolve().parents[2]


class WorkerDied(Exception):  # noqa: N818 - an event, told with its log
    """A worker ended without being asked to; the message ends with its last log lines."""


@dataclass(slots=True)
class _Worker:
    name: str
    command: str
    env: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    peak_rss: int = 0
    family: list[psutil.Process] = field(default_factory=list)


class Workers(AbstractContextManager["Workers"]):
    """Starts processes of a Procfile on entry and stops them on exit.

    Args:
        logs: Folder for `<name>.log`; made if need be.
        env: Variables for all of them, laid over this process's environment.
        names: Processes to start; all when left out.
        each: More variables by process name.
        procfile: The Procfile.
        stop_s: Time a process gets between SIGTERM and SIGKILL, seconds.
    """

    def __init__(
        self,
        logs: Path,
        env: Mapping[str, str],
        *,
        names: Iterable[str] | None = None,
        each: Mapping[str, Mapping[str, str]] | None = None,
        procfile: Path = ROOT / "Procfile",
        stop_s: float = 20.0,
    ) -> None:
        commands: dict[str, str] = parse_procfile(procfile.read_text()).processes
        chosen = list(commands) if names is None else list(names)
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        base = {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", **env}
        self._logs = logs
        self._stop_s = stop_s
        self._stopped = False
        self._workers: dict[str, _Worker] = {}
        for name in chosen:
            own = {**base, "PORT": str(free_port()), **(each or {}).get(name, {})}
            self._workers[name] = _Worker(name, commands[name], own, logs / f"{name}.log")

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        for worker in self._workers.values():
            worker.log.unlink(missing_ok=True)
        try:
            for name in self._workers:
                self.start(name)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def names(self) -> list[str]:
        """The processes, in the Procfile's order."""
        return list(self._workers)

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of those that run."""
        return {
            w.name: w.process.pid for w in self._workers.values() if w.process is not None and w.process.poll() is None
        }

    def url(self, name: str) -> str:
        """Return the address of a process's web server."""
        return f"http://127.0.0.1:{self._workers[name].env['PORT']}"

    def env(self, name: str) -> dict[str, str]:
        """Return the environment of a process."""
        return self._workers[name].env

    def start(self, name: str) -> None:
        """Start a process that does not run; its log is appended to.

        Raises:
            RuntimeError: All were stopped; nobody would stop this one.
        """
        if self._stopped:
            raise RuntimeError(f"{name} cannot be started after stop()")
        worker = self._workers[name]
        with worker.log.open("ab") as log:
            worker.process = subprocess.Popen(
                worker.command,
                shell=True,  # a Procfile's lines are shell commands
                cwd=ROOT,
                env=worker.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """End a process and its children with SIGKILL, at once, and wait until they are gone."""
        self._signal(self._workers[name], signal.SIGKILL)
        self._wait(self._workers[name], self._stop_s)

    def restart(self, name: str) -> None:
        """Start a process again; one that still runs is stopped first."""
        worker = self._workers[name]
        self._signal(worker, signal.SIGTERM)
        self._wait(worker, self._stop_s)
        self.start(name)

    def check(self) -> None:
        """Notice processes that ended on their own.

        Raises:
            WorkerDied: One did.
        """
        for worker in self._workers.values():
            code = None if worker.process is None else worker.process.poll()
            if code is not None:
                raise WorkerDied(
                    f"Worker {worker.name} ended with exit code {code}. Its log:\n{self.last_lines(worker.name)}"
                )

    def last_lines(self, name: str, count: int = 20) -> str:
        """Return the end of a process's log, with the last errors before it: what follows them is often the stop."""
        log = self._workers[name].log
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        errors = [line for line in lines[:-count] if "[ERROR]" in line or "[CRITICAL]" in line]
        return "\n".join(f"  {line}" for line in [*errors[-5:], *lines[-count:]])

    def rss(self) -> dict[str, int]:
        """Return the resident memory of each process with its children, bytes."""
        found = {worker.name: _rss(worker.process) for worker in self._workers.values()}
        for name, size in found.items():
            self._workers[name].peak_rss = max(self._workers[name].peak_rss, size)
        return found

    def peak_rss(self) -> dict[str, int]:
        """Return the most that `rss` saw of each process."""
        self.rss()
        return {worker.name: worker.peak_rss for worker in self._workers.values()}

    def stop(self) -> None:
        """Stop all for good: SIGTERM, and SIGKILL for those that do not end in time."""
        self._stopped = True
        for worker in self._workers.values():
            self._signal(worker, signal.SIGTERM)
        deadline = time.monotonic() + self._stop_s
        for worker in self._workers.values():
            self._wait(worker, deadline - time.monotonic())

    def _signal(self, worker: _Worker, number: signal.Signals) -> None:
        if worker.process is None:
            return
        worker.family = _family(worker.process) or worker.family
        with suppress(ProcessLookupError):  # all ended meanwhile
            os.killpg(worker.process.pid, number)

    def _wait(self, worker: _Worker, seconds: float) -> None:
        if worker.process is None:
            return
        # The shell ends at once; what it started is waited for as well.
        _, alive = psutil.wait_procs(worker.family, max(0.0, seconds))
        if alive:
            self._signal(worker, signal.SIGKILL)
            psutil.wait_procs(alive, self._stop_s)
        worker.process.wait()
        worker.process = None


def _family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        top = psutil.Process(process.pid)
        return [top, *top.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _rss(process: subprocess.Popen[bytes] | None) -> int:
    if process is None:
        return 0
    total = 0
    for member in _family(process):
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:  # a child that ended meanwhile holds no memory
            continue
    return total


def free_port() -> int:
    """Return a TCP port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(
    condition: Callable[[], Any],
    what: str,
    *,
    timeout_s: float = 60.0,
    every_s: float = 0.1,
    meanwhile: Callable[[], None] = lambda: None,
) -> Any:
    """Poll a condition until it is true and return what it returned.

    Args:
        condition: Asked again and again.
        what: What is waited for, for the message.
        timeout_s: Most time to wait, seconds.
        every_s: Time between two questions, seconds.
        meanwhile: Called each time, e.g. `Workers.check`.

    Raises:
        TimeoutError: It did not become true in time.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        meanwhile()
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_s:.0f} s in vain for {what}")
        time.sleep(every_s)
