"""Processes that outlive the command that started them."""

from __future__ import annotations

import signal
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from stack.home import Home

__all__ = ["Process", "Spec", "stream", "tail"]


# Kept, because an unreferenced Popen warns that its process still runs, which is what is wanted here.
_detached: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Spec:
    """How to start a process.

    Attributes:
        name: Name in state, log and messages.
        argv: Command line.
        env: Its whole environment.
        cwd: Its working folder.
    """

    name: str
    argv: list[str]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


@dataclass(frozen=True)
class Process:
    """A process known by name; the state file remembers its pid and start time."""

    home: Home
    name: str

    def handle(self) -> psutil.Process | None:
        """Return the running process, or None."""
        known = self.home.process(self.name)
        if known is None:
            return None
        try:
            process = psutil.Process(known[0])
            same = abs(process.create_time() - known[1]) < 1 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if same else None

    def start(self, spec: Spec) -> psutil.Process:
        """Start it in a session of its own, output to its log."""
        log = self.home.log(self.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            child = subprocess.Popen(
                spec.argv,
                env=dict(spec.env),
                cwd=spec.cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _detached.append(child)
        process = psutil.Process(child.pid)
        self.home.remember(self.name, child.pid, process.create_time())
        return process

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it, if it runs."""
        process = self.handle()
        if process is not None:
            process.send_signal(number)

    def wait(self, timeout_s: float) -> bool:
        """Wait until it has ended; tell whether it has."""
        process = self.handle()
        if process is None:
            return True
        try:
            process.wait(timeout_s)
        except psutil.TimeoutExpired:
            return False
        return True

    def stop(self, timeout_s: float) -> None:
        """End it: SIGTERM, and SIGKILL where it has not ended after `timeout_s`."""
        process = self.handle()
        if process is not None:
            # A frozen process would not see SIGTERM.
            process.send_signal(signal.SIGCONT)
            process.terminate()
            if not self.wait(timeout_s):
                process.kill()
                process.wait()
        self.home.forget(self.name)


def stream(argv: Sequence[str], line_to: Callable[[str], None], **options: Any) -> tuple[int, str]:
    """Run a command and hand over each line of its output as it comes.

    Args:
        argv: Command line.
        line_to: Takes each line.
        options: Further arguments of `subprocess.Popen`.

    Returns:
        Exit code, and the last lines of output.
    """
    last: deque[str] = deque(maxlen=12)
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options) as child:
        try:
            for line in child.stdout or ():
                last.append(line.rstrip())
                line_to(line)
        except BaseException:  # leaving the block would wait for the command to finish its work
            child.kill()
            raise
    return child.returncode, "\n".join(last)


def tail(file: Path, lines: int = 20) -> str:
    """Return the last lines of a log."""
    if not file.exists():
        return "(no log)"
    return "\n".join(file.read_text(errors="replace").splitlines()[-lines:])
