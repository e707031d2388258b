"""What every server has: downloads, data, processes, a probe, and the variables that tell where it is."""

from __future__ import annotations

import os
import shutil
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import ClassVar

from stack.errors import StackError
from stack.home import Home
from stack.process import Process, Spec, tail

__all__ = ["Server"]

Say = Callable[[str], None]


class Server(ABC):
    """A server made of one or more processes of this machine, bound to 127.0.0.1."""

    name: ClassVar[str]
    port_names: ClassVar[tuple[str, ...]]
    process_names: ClassVar[tuple[str, ...]]
    start_limit_s: ClassVar[float] = 90
    stop_limit_s: ClassVar[float] = 30
    patience_s: ClassVar[float] = 30  # how long a running server may be silent before `up` restarts it

    def __init__(self, home: Home) -> None:
        self.interrupted = Event()
        self.home = home
        self.data = home.data(self.name)

    @property
    def ports(self) -> dict[str, int]:
        """The ports by their names; chosen free the first time."""
        return self.home.ports(self.name, self.port_names)

    @abstractmethod
    def download(self, say: Say) -> None:
        """Fetch programs; quick where they are there already."""

    @abstractmethod
    def initialise(self) -> None:
        """Make the data folder of a new server; called with an empty one."""

    @abstractmethod
    def specs(self) -> list[Spec]:
        """Return how to start its processes."""

    @abstractmethod
    def probe(self) -> None:
        """Talk to the server; raises anything while it is not ready."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """Return the variables that tell where the server is."""

    def after_start(self) -> None:
        """Finish a start: users, grants."""
        return

    @property
    def processes(self) -> list[Process]:
        """Its processes, running or not."""
        return [Process(self.home, name) for name in self.process_names]

    def pids(self) -> list[int]:
        """Return the pids of those processes that run."""
        handles = [process.handle() for process in self.processes]
        return [handle.pid for handle in handles if handle is not None]

    def healthy(self) -> bool:
        """Tell whether all processes run and the server answers."""
        return not self.trouble()

    def trouble(self) -> str:
        """Say why the server is not healthy; empty where it is."""
        if len(self.pids()) < len(self.process_names):
            return "not all of its processes run"
        try:
            self.probe()
        except Exception as error:  # drivers raise what they like while a server is not ready
            return f"{type(error).__name__}: {error}"
        return ""

    def up(self, say: Say) -> None:
        """Have the server running: download, initialise, start and wait until it answers.

        Args:
            say: Takes a word on what is being done.

        Raises:
            StackError: It could not be had; the text has the last lines of its log.
        """
        with self.home.lock(self.name):
            if self.healthy() or self._recovers(say):
                say("running")
                return
            say("downloading")
            self.download(say)
            self._initialise(say)
            self._start(say)
            self.after_start()
            say("running")

    def start(self) -> None:
        """Start it again after `stop` or a crash."""
        self.up(lambda _: None)

    def stop(self) -> None:
        """Stop its processes cleanly, the last started first."""
        with self.home.lock(self.name):
            for process in reversed(self.processes):
                process.stop(self.stop_limit_s)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all its processes."""
        for process in self.processes:
            process.signal(number)

    def wipe(self) -> None:
        """Delete its data and forget its ports; the server must be stopped."""
        shutil.rmtree(self.data, ignore_errors=True)
        self.home.forget_ports(self.name)

    def _recovers(self, say: Say) -> bool:
        """Wait for a running server that is only slow: others use it, and a restart would break their work."""
        deadline = time.monotonic() + self.patience_s
        while len(self.pids()) == len(self.process_names) and time.monotonic() < deadline:
            self._check()
            say("waiting for an answer")
            if self.healthy():
                return True
            time.sleep(0.2)
        return False

    def _check(self) -> None:
        if self.interrupted.is_set():
            raise StackError(f"{self.name}: interrupted")

    def _initialise(self, say: Say) -> None:
        if (self.data / ".complete").exists():
            return
        say("initialising")
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(parents=True)
        try:
            self.initialise()
        except OSError as error:
            raise StackError(f"{self.name}: could not be initialised: {error}") from error
        (self.data / ".complete").touch()

    def _start(self, say: Say) -> None:
        say("starting")
        for process in self.processes:
            process.stop(self.stop_limit_s)
        self.home.drop_taken_ports(self.name)
        try:
            self._check()
            for spec in self.specs():
                Process(self.home, spec.name).start(spec)
            self._wait()
        except BaseException:
            for process in self.processes:
                process.stop(self.stop_limit_s)
            raise

    def _wait(self) -> None:
        deadline = time.monotonic() + self.start_limit_s
        while reason := self.trouble():
            self._check()
            dead = next((process for process in self.processes if process.handle() is None), None)
            if dead is not None or time.monotonic() > deadline:
                which = dead or self.processes[0]
                what = (
                    "ended while starting" if dead else f"did not answer within {self.start_limit_s:.0f} s ({reason})"
                )
                log = self.home.log(which.name)
                raise StackError(f"{which.name} {what}. Last lines of {_short(log)}:\n{tail(log)}")
            time.sleep(0.1)


def _short(path: Path) -> str:
    here = Path.cwd()
    return os.path.relpath(path, here) if path.is_relative_to(here) else str(path)
