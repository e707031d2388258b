"""Redis servers of a test's own: plain processes on free ports."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from stack.home import Home
from stack.packages import unpack

START_S = 20.0


class PrivateRedis:
    """Starts processes of redis-server and ends them with the test."""

    def __init__(self, argv: Callable[..., list[str]], folder: Path) -> None:
        self._argv = argv
        self._folder = folder
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    def free_port(self) -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    def start(self, *flags: str, port: int | None = None, plain: bool = True) -> int:
        port = port or self.free_port()
        folder = self._folder / str(port)
        folder.mkdir()
        words = ["--bind", "127.0.0.1", "--port", str(port if plain else 0), "--dir", str(folder), "--save", ""]
        with (folder / "log").open("wb") as log:
            argv = self._argv("usr/bin/redis-server", *words, *flags)
            self._processes[port] = subprocess.Popen(argv, stdout=log, stderr=log)
        if plain:
            with Redis(port=port) as client:
                wait_for(lambda: bool(client.ping()))
        return port

    def start_sentinel(self, master_port: int) -> int:
        port = self.free_port()
        folder = self._folder / str(port)
        folder.mkdir()
        config = folder / "sentinel.conf"
        config.write_text(
            f"bind 127.0.0.1\nport {port}\ndir {folder}\nsentinel monitor main 127.0.0.1 {master_port} 1\n"
            "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n"
        )
        with (folder / "log").open("wb") as log:
            argv = self._argv("usr/bin/redis-server", str(config), "--sentinel")
            self._processes[port] = subprocess.Popen(argv, stdout=log, stderr=log)
        return port

    def start_cluster(self) -> list[int]:
        """Start three masters that share the slots in equal parts."""
        ports, buses = [], []
        for _ in range(3):
            buses.append(self.free_port())
            ports.append(
                self.start(
                    "--cluster-enabled",
                    "yes",
                    "--cluster-node-timeout",
                    "1000",
                    "--cluster-port",
                    str(buses[-1]),
                    "--cluster-require-full-coverage",
                    "no",
                )
            )
        nodes = [Redis(port=port, decode_responses=True) for port in ports]
        for i, node in enumerate(nodes):
            node.execute_command("CLUSTER ADDSLOTSRANGE", i * 16384 // 3, (i + 1) * 16384 // 3 - 1)
            node.execute_command("CLUSTER SET-CONFIG-EPOCH", i + 1)
            node.execute_command("CLUSTER MEET", "127.0.0.1", ports[0], buses[0])
        wait_for(
            lambda: all(
                (info := node.execute_command("CLUSTER INFO"))["cluster_state"] == "ok"
                and info["cluster_slots_ok"] == "16384"
                and info["cluster_known_nodes"] == "3"
                for node in nodes
            )
        )
        for node in nodes:
            node.close()
        return ports

    def kill(self, port: int) -> None:
        process = self._processes.pop(port)
        process.kill()
        process.wait()

    def end(self) -> None:
        for port in list(self._processes):
            self.kill(port)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds; a server that does not answer yet counts as no."""
    end = time.monotonic() + START_S
    while True:
        try:
            if condition():
                return
        except RedisError:
            pass
        assert time.monotonic() < end, "the private Redis did not get ready"
        time.sleep(0.02)


@pytest.fixture
def private_redis(redis_url: str, tmp_path: Path) -> Iterator[PrivateRedis]:
    """Starts servers from the program that the shared Redis runs."""
    assert redis_url
    package = unpack(Home.default(), "bookworm", "redis-server")
    servers = PrivateRedis(package.argv, tmp_path)
    yield servers
    servers.end()
