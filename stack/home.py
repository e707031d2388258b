"""Where the servers keep their things, and the file that remembers ports and processes."""

from __future__ import annotations

import fcntl
import json
import os
import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Home"]


@dataclass(frozen=True)
class Home:
    """The folder of a stack.

    Attributes:
        path: `STACK_HOME`, or `.stack` in the project.
    """

    path: Path

    @classmethod
    def default(cls) -> Home:
        """Return the folder that `STACK_HOME` names, or `.stack` beside this package."""
        given = os.environ.get("STACK_HOME")
        return cls(Path(given).resolve() if given else Path(__file__).resolve().parent.parent / ".stack")

    def downloads(self, *parts: str) -> Path:
        """Return a path under the downloads, which `down --wipe` keeps."""
        return self.path.joinpath("downloads", *parts)

    def data(self, *parts: str) -> Path:
        """Return a path under the servers' data."""
        return self.path.joinpath("data", *parts)

    def log(self, process: str) -> Path:
        """Return the log file of a process."""
        return self.path / "logs" / f"{process}.log"

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Keep other processes out; the lock goes with the process that holds it."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / f"{name}.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def ports(self, server: str, names: tuple[str, ...]) -> dict[str, int]:
        """Return the ports of a server, chosen free at the first call and kept from then on."""
        with self._state() as state:
            kept: dict[str, int] = state.setdefault("ports", {}).setdefault(server, {})
            taken = {port for ports in state["ports"].values() for port in ports.values()}
            for name in names:
                if name not in kept:
                    kept[name] = _free_port(taken)
                    taken.add(kept[name])
            return dict(kept)

    def forget_ports(self, server: str) -> None:
        """Have other ports chosen next time."""
        with self._state() as state:
            state.setdefault("ports", {}).pop(server, None)

    def drop_taken_ports(self, server: str) -> None:
        """Have another port chosen for each on which somebody else listens; the server itself must be stopped."""
        with self._state() as state:
            kept: dict[str, int] = state.get("ports", {}).get(server, {})
            for name in [name for name, port in kept.items() if _listens(port)]:
                del kept[name]

    def process(self, name: str) -> tuple[int, float] | None:
        """Return pid and start time of a process that was started, or None."""
        with self._state() as state:
            entry = state.get("processes", {}).get(name)
            return (entry["pid"], entry["created"]) if entry else None

    def remember(self, name: str, pid: int, created: float) -> None:
        """Keep the pid of a started process; with its start time, so that a recycled pid is never taken for it."""
        with self._state() as state:
            state.setdefault("processes", {})[name] = {"pid": pid, "created": created}

    def forget(self, name: str) -> None:
        """Drop a process that ended."""
        with self._state() as state:
            state.get("processes", {}).pop(name, None)

    @contextmanager
    def _state(self) -> Iterator[dict[str, Any]]:
        with self.lock("state"):
            file = self.path / "state.json"
            state: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
            before = json.dumps(state)
            yield state
            if json.dumps(state) != before:
                fresh = file.with_suffix(".new")
                fresh.write_text(json.dumps(state, indent=2))
                fresh.replace(file)


def _free_port(taken: set[int]) -> int:
    # Below the range that outgoing connections use, so that a stopped server finds its port free again.
    while True:
        port = random.randrange(20_000, 32_000)
        if port not in taken and not _listens(port):
            return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
