"""A worker's pages and JSON logs, as an operator sees them."""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from typing import Any

FUNCTIONS = """
    import asyncio

    async def slow(message):
        if message.value["n"] == 3:
            raise ValueError("no cheese")
        if message.value["n"] > 3:
            await asyncio.sleep(600)
        return [message]
"""

CONFIG = """
    application: {id: "{u}g", log_format: json}
    stages:
      - name: s
        input: {u}in
        output: {u}out
        dead_letter: {u}dead
        mode: unordered
        capacity: 10
        timeout_s: 700
        steps: [{function: "functions:slow"}]
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(port: int, path: str, accept: str = "*/*") -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def pending(port: int) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = json.loads(get(port, "/pending"))["requests"]
    except OSError:  # not up yet
        return []
    return found


def test_pages_show_what_the_worker_does(bench) -> None:
    bench.topic("in")
    for number in range(6):
        bench.send("in", b'{"n":%d}' % number)
    bench.configure(CONFIG, FUNCTIONS)
    port = free_port()
    bench.start(web_port=port)
    bench.read("out", 3)
    bench.read("dead", 1)
    end = time.monotonic() + 20
    while [row["offset"] for row in pending(port) if row["row"]] != [4, 5]:
        assert time.monotonic() < end, bench.log.read_text()
        time.sleep(0.1)
    metrics = get(port, "/metrics")
    for line in ('enrich_in_flight{stage="s"} 2.0', 'enrich_completed_total{stage="s"} 3.0'):
        assert line in metrics
    assert 'enrich_dead_letters_total{stage="s"} 1.0' in metrics
    assert "<table>" in get(port, "/pending", "text/html")
    about = [json.loads(line) for line in bench.log.read_text().splitlines() if "no cheese" in line]
    topic = bench.unique + "in"
    assert [(each["stage"], each["topic"], each["offset"]) for each in about] == [("s", topic, 3)]
