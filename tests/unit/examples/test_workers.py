"""The processes of a Procfile, started, killed and watched."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from examples.pojo.workers import WorkerDied, Workers, wait_for

SLEEPER = 'python -c "import os, time; print(os.environ[\\"WORD\\"], os.environ[\\"PORT\\"]); time.sleep(60)"'


def workers(folder: Path, procfile: str) -> Workers:
    (folder / "Procfile").write_text(procfile)
    each = {"two": {"PORT": "1234"}}
    return Workers(folder / "logs", {"WORD": "hello"}, procfile=folder / "Procfile", each=each, stop_s=5)


def test_processes_run_with_their_environment_and_end_with_the_block(tmp_path: Path) -> None:
    with workers(tmp_path, f"one: {SLEEPER}\ntwo: {SLEEPER}\n") as running:
        wait_for(lambda: "hello 1234" in running.last_lines("two"), "the log", timeout_s=20, meanwhile=running.check)
        pids = running.pids
        assert list(pids) == running.names == ["one", "two"]
        assert all(size > 1_000_000 for size in running.rss().values())
        assert running.peak_rss()["one"] >= running.rss()["one"] // 2
        assert running.url("two") == "http://127.0.0.1:1234"
    assert not any(psutil.pid_exists(pid) for pid in pids.values())
    assert running.pids == {}


SLOW = """
import os, signal, sys, time
def stop(*_):
    time.sleep(0.7)
    sys.exit()
signal.signal(signal.SIGTERM, stop)
print("pid", os.getpid())
time.sleep(60)
"""


def test_stopping_waits_for_what_the_shell_started(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    with workers(tmp_path, f"one: true; python {tmp_path}/slow.py; true\n") as running:
        wait_for(lambda: "pid" in running.last_lines("one"), "the log", timeout_s=20, meanwhile=running.check)
        child = int(running.last_lines("one").split()[1])
        assert child != running.pids["one"]
    assert not psutil.pid_exists(child)


def test_a_killed_process_can_be_started_again(tmp_path: Path) -> None:
    with workers(tmp_path, f"one: {SLEEPER}\n") as running:
        first = running.pids["one"]
        running.kill("one")
        assert running.pids == {}
        running.check()
        running.start("one")
        second = running.pids["one"]
        running.restart("one")
        assert len({first, second, running.pids["one"]}) == 3


def test_a_death_is_told_with_the_last_lines_of_the_log(tmp_path: Path) -> None:
    with (
        workers(tmp_path, "one: sleep 60\ntwo: echo this is the end; exit 3\n") as running,
        pytest.raises(WorkerDied, match=r"(?s)two ended with exit code 3.*this is the end"),
    ):
        wait_for(lambda: False, "the end", timeout_s=20, meanwhile=running.check)


def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(TimeoutError, match="for godot"):
        wait_for(lambda: False, "godot", timeout_s=0.01, every_s=0.005)
