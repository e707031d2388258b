from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import stack
from stack import Home
from stack.servers.redis import Redis


def test_all_servers_answer_and_a_second_up_leaves_them_alone() -> None:
    env = stack.up()
    pids = {name: stack.server(name).pids() for name in stack.NAMES}
    assert stack.up() == env
    assert {name: stack.server(name).pids() for name in stack.NAMES} == pids
    assert all(stack.server(name).healthy() for name in stack.NAMES)
    assert set(env) >= {
        "KAFKA_BOOTSTRAP_SERVERS",
        "MYSQL_PORT",
        "MARIADB_PORT",
        "REDIS_URL",
        "CASSANDRA_PORT",
        "KUDU_MASTERS",
        "KUDU_CLIENT_JARS",
    }


@pytest.fixture
def other_home(tmp_path: Path) -> Home:
    """A home of its own, so that nobody's servers are disturbed; the downloads are shared."""
    stack.up(["redis"])
    (tmp_path / "downloads").symlink_to(Home.default().downloads())
    return Home(tmp_path)


def test_a_server_that_fails_to_start_shows_its_last_log_lines_and_exits_with_1(other_home: Home) -> None:
    redis = Redis(other_home)
    redis.start()
    redis.stop()
    (redis.data / "appendonlydir/appendonly.aof.manifest").write_text("garbage\n")
    command = [sys.executable, "-m", "stack", "up", "redis"]
    environment = os.environ | {"STACK_HOME": str(other_home.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "redis ended while starting. Last lines of" in done.stderr
    assert "manifest" in done.stderr
    assert "Traceback" not in done.stderr
    assert redis.pids() == []


def test_a_killed_server_starts_again(other_home: Home) -> None:
    redis = Redis(other_home)
    redis.start()
    [first] = redis.pids()
    os.kill(first, signal.SIGKILL)
    assert redis.processes[0].wait(10)
    redis.start()
    assert redis.healthy()
    assert redis.pids() != [first]
    redis.stop()
