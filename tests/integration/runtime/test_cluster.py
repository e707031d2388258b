"""Several workers, plugins that hang, and the command line against real workers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from tests.integration.runtime.conftest import Worker
from tests.integration.runtime.test_worker import read_all

MakeWorker = Callable[..., Any]
COUNTING = {"connector.class": "toys.CountingSource", "limit": "1000000", "batch": "1", "pause.ms": "20"}


def command(worker: Any, *arguments: object) -> subprocess.CompletedProcess[str]:
    env = worker.env | {"CONNECTORS_URL": f"http://127.0.0.1:{worker.port}"}
    line = [str(Path(sys.executable).with_name("connectors")), *map(str, arguments)]
    return subprocess.run(line, env=env, capture_output=True, text=True, timeout=60, check=False)


def homes(worker: Any, names: list[str]) -> list[str]:
    """Return where the first task of each connector runs; nothing of one that does not run."""
    states = [worker.get(f"/connectors/{name}/tasks/0/status")[1] for name in names]
    return [state["worker_id"] for state in states if state["state"] == "RUNNING"]


def start_many(worker: Any, unique: str, count: int, *, apart: bool = False) -> list[str]:
    names = [f"{unique}-{number}" for number in range(count)]
    for name in names:
        config = COUNTING | {"topic": name if apart else unique}
        assert worker.request("PUT", f"/connectors/{name}/config", config)[0] == 201
    worker.until(lambda: all(worker.states(name) == ["RUNNING", "RUNNING"] for name in names))
    return names


def test_tasks_spread_move_when_a_worker_leaves_and_come_back_when_it_returns(workers: MakeWorker, unique: str) -> None:
    first = workers("a")
    names = start_many(first, unique, 4)
    assert homes(first, names) == ["a"] * 4
    second = workers("b")
    second.until(lambda: sorted(homes(second, names)) == ["a", "a", "b", "b"])
    second.process.terminate()
    begun = time.monotonic()
    first.until(lambda: homes(first, names) == ["a"] * 4)
    assert time.monotonic() - begun < 6
    second.process.wait(10)
    second.start()
    second.until(lambda: sorted(homes(second, names)) == ["a", "a", "b", "b"])


def test_of_three_workers_one_that_stops_hands_over_without_duplicates_and_a_killed_one_is_replaced(
    workers: MakeWorker, unique: str, kafka: str
) -> None:
    first, killed, stopped = workers("a"), workers("b"), workers("c")
    names = start_many(first, unique, 6, apart=True)
    first.until(lambda: sorted(homes(first, names)) == ["a", "a", "b", "b", "c", "c"])
    moved = [name for name, home in zip(names, homes(first, names), strict=True) if home == "c"]

    def ends() -> list[int]:
        with closing(Consumer({"bootstrap.servers": kafka, "group.id": unique})) as consumer:
            return [consumer.get_watermark_offsets(TopicPartition(name, 0), timeout=10)[1] for name in moved]

    first.until(lambda: all(first.get(f"/connectors/{name}/topics")[1] == {name: {"topics": [name]}} for name in moved))
    begun, before = time.monotonic(), ends()
    stopped.process.terminate()
    first.until(lambda: sorted(homes(first, names)) == ["a"] * 3 + ["b"] * 3)
    assert time.monotonic() - begun < 6
    first.until(lambda: all(now > then + 50 for now, then in zip(ends(), before, strict=True)))
    for name, end in zip(moved, ends(), strict=True):
        found = [json.loads(message.value())["number"] for message in read_all(kafka, name, end)]
        assert found[:end] == list(range(end))
    killed.kill()
    begun = time.monotonic()
    first.until(lambda: homes(first, names) == ["a"] * 6)
    assert time.monotonic() - begun < 15


def test_a_quickly_restarted_worker_gets_its_own_tasks_back(workers: MakeWorker, unique: str) -> None:
    first, second = workers("a"), workers("b")
    names = start_many(first, unique, 2)
    before = homes(first, names)
    assert sorted(before) == ["a", "b"]
    placements = first.log.read_text().count("Placement ") + second.log.read_text().count("Placement ")
    second.kill()
    second.start()
    second.until(lambda: homes(second, names) == before)
    after = first.log.read_text().count("Placement ") + second.log.read_text().count("Placement ")
    assert after == placements


def test_roles_are_kept(workers: MakeWorker, unique: str, tmp_path: Path) -> None:
    workers("a", role="source")
    worker = workers("b", role="sink")
    start_many(worker, unique, 2)
    sink = {"connector.class": "toys.FileSink", "topics": unique, "file": str(tmp_path / "out"), "tasks.max": "2"}
    assert worker.request("PUT", f"/connectors/{unique}-out/config", sink)[0] == 201
    worker.until(lambda: worker.states(f"{unique}-out") == ["RUNNING", "RUNNING"])
    assert homes(worker, [f"{unique}-0", f"{unique}-1", f"{unique}-out"]) == ["a", "a", "b"]


def test_a_change_to_one_connector_restarts_no_other(workers: MakeWorker, unique: str) -> None:
    worker = workers()
    names = start_many(worker, unique, 2)
    starts = worker.log.read_text().count("Starting ")
    changed = COUNTING | {"topic": unique, "pause.ms": "21"}
    assert worker.request("PUT", f"/connectors/{names[0]}/config", changed)[0] == 200
    worker.until(lambda: worker.states(names[0]) == ["RUNNING", "RUNNING"])
    assert worker.request("PUT", f"/connectors/{names[0]}/config", changed)[0] == 200
    time.sleep(1)
    assert worker.states(names[0]) == ["RUNNING", "RUNNING"]
    assert worker.log.read_text().count("Starting ") == starts + 1


def _put(file: Path, text: str) -> None:
    """Change a file in one step, as its reader may look at any moment."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def test_a_connector_lives_on_asks_for_other_tasks_and_fails_by_itself(
    workers: MakeWorker, unique: str, tmp_path: Path
) -> None:
    worker, watch = workers(), tmp_path / "watched"
    _put(watch, "1")
    config = COUNTING | {"connector.class": "toys.WatchingSource", "topic": unique, "watch": str(watch)}
    path = f"/connectors/{unique}"
    assert worker.request("PUT", f"{path}/config", config | {"tasks.max": "3"})[0] == 201
    worker.until(lambda: worker.states(unique) == ["RUNNING"] * 2)
    started = worker.log.read_text().count("Starting ")
    _put(watch, "3")
    worker.until(lambda: worker.states(unique) == ["RUNNING"] * 4)
    assert worker.log.read_text().count("Starting ") == started + 2  # the first task went on
    _put(watch, "fail")
    worker.until(lambda: worker.states(unique) == ["FAILED"] + ["RUNNING"] * 3)
    assert "the file says so" in worker.get(f"{path}/status")[1]["connector"]["trace"]
    _put(watch, "2")
    assert worker.request("POST", f"{path}/restart")[0] == 204
    worker.until(lambda: worker.states(unique) == ["RUNNING"] * 3)
    assert worker.request("PUT", f"{path}/pause")[0] == 202
    worker.until(lambda: worker.states(unique) == ["PAUSED"] * 3)
    assert worker.request("PUT", f"{path}/resume")[0] == 202
    worker.until(lambda: worker.states(unique) == ["RUNNING"] * 3)
    assert worker.log.read_text().count("Starting ") == started + 2  # neither a restart nor a pause made a task anew
    assert worker.request("PUT", f"{path}/stop")[0] == 204
    worker.until(lambda: worker.states(unique) == ["STOPPED"])
    assert watch.with_suffix(".log").read_text().split() == ["start", "stop"] * 3


@pytest.mark.parametrize("where", ["plan", "start", "poll", "stop"])
def test_a_plugin_that_hangs_blocks_nobody(workers: MakeWorker, unique: str, where: str) -> None:
    worker = workers()
    hanging = {"connector.class": "toys.HangingSource", "hang": where}
    assert worker.request("PUT", f"/connectors/{unique}-hang/config", hanging)[0] == 201
    (name,) = start_many(worker, unique, 1)
    expected = {"plan": ["FAILED"], "start": ["RUNNING", "UNASSIGNED"]}.get(where, ["RUNNING", "RUNNING"])
    worker.until(lambda: worker.states(f"{unique}-hang") == expected)
    assert worker.request("DELETE", f"/connectors/{unique}-hang")[0] == 204
    assert worker.request("PUT", f"/connectors/{name}/pause")[0] == 202
    worker.until(lambda: worker.states(name) == ["PAUSED", "PAUSED"])
    worker.process.terminate()
    assert worker.process.wait(20) == 0


def test_the_commands_deploy_show_and_delete(workers: MakeWorker, unique: str, tmp_path: Path) -> None:
    worker, file = workers(SECRET="hush"), tmp_path / "in.yaml"
    text = f"name: {unique}\nconfig:\n  connector.class: toys.CountingSource\n  topic: {unique}\n"
    text += "  secret: ${env:SECRET}\n"
    file.write_text(text)
    done = command(worker, "deploy", file, "--wait")
    assert (done.returncode, done.stdout) == (0, f"{unique}: created\n{unique}: running\n"), done.stderr
    assert command(worker, "deploy", file, "--wait").stdout == f"{unique}: unchanged\n{unique}: running\n"
    file.write_text(text.replace("${env:SECRET}", "literal"))
    assert command(worker, "deploy", file).stdout == f"{unique}: updated\n"
    assert command(worker, "deploy", file).stdout == f"{unique}: unchanged\n"
    shown = command(worker, "config", unique).stdout + command(worker, "status").stdout + worker.log.read_text()
    assert unique in shown
    assert "literal" not in shown
    assert "hush" not in shown
    assert command(worker, "list").stdout.split()[-1] == unique
    assert "MySqlBinlogSource" in command(worker, "plugins").stdout
    assert command(worker, "delete", unique).returncode == 0
    assert command(worker, "status", unique).returncode == 3


def test_deploy_waits_for_the_new_configuration_not_for_the_old_state(
    workers: MakeWorker, unique: str, tmp_path: Path
) -> None:
    worker, file = workers(), tmp_path / "in.yaml"
    text = f"name: {unique}\nconnector.class: toys.CountingSource\ntopic: {unique}\nlimit: 1000000\nbatch: 1000000\n"
    file.write_text(text + "fail.at: 999999\n")
    assert command(worker, "deploy", file).returncode == 0
    worker.until(lambda: worker.states(unique) == ["RUNNING", "FAILED"])
    file.write_text(text.replace("batch: 1000000", "batch: 1") + "pause.ms: 20\n")
    done = command(worker, "deploy", file, "--wait")
    assert (done.returncode, done.stdout) == (0, f"{unique}: updated\n{unique}: running\n"), done.stderr


def test_deploy_of_a_mistyped_option_exits_with_2_and_names_the_near_match(
    workers: MakeWorker, unique: str, tmp_path: Path
) -> None:
    worker, file = workers(), tmp_path / "in.yaml"
    file.write_text(f"name: {unique}\nconnector.class: toys.CountingSource\ntopik: x\n")
    done = command(worker, "deploy", file)
    assert done.returncode == 2
    assert "topik; did you mean topic?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_waits_for_kafka_and_says_so_over_rest_too(tmp_path: Path) -> None:
    worker = Worker({"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}, tmp_path / "w.log")
    try:
        worker.start(ready=503)
        code, answer = worker.get("/health")
        assert (code, answer["status"]) == (503, "starting")
        assert "waits for Kafka at 127.0.0.1:1" in answer["message"]
        for method, path in [("GET", "/connectors"), ("POST", "/connectors"), ("GET", "/connectors/x/status")]:
            code, answer = worker.request(method, path)
            assert (code, "waits for Kafka" in answer["message"]) == (503, True)
        assert worker.get("/connector-plugins")[0] == 200
        assert worker.get("/openapi.json")[0] == 200
        assert worker.get("/metrics")[0] == 200
        worker.until(lambda: "Waiting for Kafka at 127.0.0.1:1" in worker.log.read_text())
    finally:
        worker.stop()
    assert worker.process.returncode == 0
    assert "Traceback" not in worker.log.read_text()


def test_a_wrong_role_is_one_sentence() -> None:
    env = os.environ | {"CONNECTORS_ROLE": "sinks"}
    line = [str(Path(sys.executable).with_name("connectors")), "worker"]
    done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert done.stderr == "CONNECTORS_ROLE: 'sinks' is not one of source, sink, all; did you mean sink?\n"


def test_a_port_that_is_taken_ends_the_worker_with_a_sentence(kafka: str, unique: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        argv = [str(Path(sys.executable).with_name("connectors")), "worker", "--rest-port", port]
        env = os.environ | {"CONNECTORS_CLUSTER": unique}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"REST cannot listen on 127.0.0.1:{port}: Address already in use" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
