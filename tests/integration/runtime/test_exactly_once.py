from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
import pytest
from confluent_kafka import Consumer

MakeWorker = Callable[..., Any]


class Committed:
    """What a consumer of committed records has seen of a topic, in order."""

    def __init__(self, kafka: str, topic: str) -> None:
        self.values: list[Any] = []
        self._stop = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": kafka,
                "group.id": f"{topic}-committed",
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "topic.metadata.refresh.interval.ms": 500,
                "log_level": 0,
            }
        )
        self._consumer.subscribe([topic])
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            self.values += [json.loads(m.value()) for m in self._consumer.consume(500, 0.1) if m.error() is None]

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._consumer.close()


@pytest.fixture
def committed(kafka: str) -> Iterator[Callable[[str], Committed]]:
    made: list[Committed] = []

    def make(topic: str) -> Committed:
        made.append(Committed(kafka, topic))
        return made[-1]

    yield make
    for each in made:
        each.close()


def counting(topic: str, **extra: str) -> dict[str, str]:
    once = {"exactly.once.support": "required", "limit": "4000", "batch": "20", "pause.ms": "3"}
    return {"connector.class": "toys.CountingSource", "topic": topic} | once | extra


@contextmanager
def frozen(worker: Any) -> Iterator[None]:
    os.kill(worker.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker.process.pid, signal.SIGCONT)


@pytest.mark.parametrize("boundary", ["poll", "interval"])
def test_every_record_counts_once_and_in_order_over_kill_9_rounds(
    workers: MakeWorker, unique: str, committed: Callable[[str], Committed], boundary: str
) -> None:
    worker, seen = workers(), committed(unique)
    how = {"transaction.boundary": boundary, "transaction.boundary.interval.ms": "150"}
    assert worker.request("POST", "/connectors", {"name": unique, "config": counting(unique, **how)})[0] == 201
    for reached in (800, 1600, 2800):
        worker.until(lambda reached=reached: len(seen.values) >= reached)
        worker.kill()
        worker.start()
    worker.until(lambda: len(seen.values) >= 4000)
    assert [value["number"] for value in seen.values] == list(range(4000))
    offsets = worker.until(lambda: worker.get(f"/connectors/{unique}/offsets")[1]["offsets"])
    assert offsets == [{"partition": {"numbers": "all"}, "offset": {"next": 4000}}]


def test_a_worker_that_was_frozen_and_comes_back_writes_nothing_twice(
    workers: MakeWorker, unique: str, committed: Callable[[str], Committed]
) -> None:
    first, second, seen = workers("a"), workers("b"), committed(unique)
    first.request("PUT", f"/connectors/{unique}/config", counting(unique))
    first.until(lambda: len(seen.values) >= 500)
    home = first.get(f"/connectors/{unique}/status")[1]["tasks"][0]["worker_id"]
    zombie, other = (first, second) if home == "a" else (second, first)
    with frozen(zombie):
        stood = len(seen.values)
        other.until(lambda: len(seen.values) >= stood + 1000)
    other.until(lambda: len(seen.values) >= 4000)
    assert [value["number"] for value in seen.values] == list(range(4000))


def test_a_task_that_falls_away_is_fenced_where_it_hangs(
    workers: MakeWorker, unique: str, committed: Callable[[str], Committed]
) -> None:
    first, second, seen = workers("a"), workers("b"), committed(unique)
    config = counting(unique, limit="3000", **{"tasks": "2", "tasks.max": "2", "pause.ms": "10"})
    first.request("PUT", f"/connectors/{unique}/config", config)
    first.until(lambda: first.states(unique) == ["RUNNING"] * 3)
    first.until(lambda: len(seen.values) >= 200)
    tasks = first.get(f"/connectors/{unique}/status")[1]["tasks"]
    homes = {task["id"]: first if task["worker_id"] == "a" else second for task in tasks}
    assert homes[0] is not homes[1]
    with frozen(homes[1]):
        homes[0].request("PUT", f"/connectors/{unique}/config", config | {"tasks": "1"})
        homes[0].until(lambda: len(homes[0].states(unique)) == 2)
        homes[0].until(lambda: "fencing its tasks" in homes[0].log.read_text())
        homes[0].until(lambda: [value["task"] for value in seen.values].count(0) == 3000)
        others = [value["task"] for value in seen.values].count(1)
    # It is stopped once its worker reads the new configuration, if it has not sent anything before that.
    ends = ("another instance of this task took over", f"Stopped {unique}-1")
    homes[1].until(lambda: any(end in homes[1].log.read_text() for end in ends))
    assert [value["task"] for value in seen.values].count(1) == others


def test_the_connector_may_commit_and_drop_transactions_itself(
    workers: MakeWorker, unique: str, committed: Callable[[str], Committed]
) -> None:
    worker, seen = workers(), committed(unique)
    how = {"transaction.boundary": "connector", "abort.every": "5", "limit": "1000"}
    worker.request("PUT", f"/connectors/{unique}/config", counting(unique, **how))
    wanted = [number for number in range(1000) if (number // 20 + 1) % 5]
    worker.until(lambda: len(seen.values) >= len(wanted))
    assert [value["number"] for value in seen.values] == wanted


def test_a_connector_that_cannot_is_told_so(one_worker: Any) -> None:
    config = {"connector.class": "toys.HangingSource", "hang": "no", "exactly.once.support": "required"}
    code, answer = one_worker.request("PUT", "/connectors/x/config", config | {"transaction.boundary": "connector"})
    assert code == 400
    assert "HangingSource does not say that it can deliver exactly once" in answer["message"]
    assert "does not define transaction boundaries" in answer["message"]


def test_rows_of_mysql_count_once_and_in_order_over_kill_9_rounds(
    workers: MakeWorker,
    unique: str,
    committed: Callable[[str], Committed],
    servers: Callable[..., dict[str, str]],
) -> None:
    env = servers("mysql")
    access = {name: env[f"MYSQL_{name.upper()}"] for name in ("host", "user", "password")}
    connection = pymysql.connect(**access, port=int(env["MYSQL_PORT"]), autocommit=False)
    with connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {unique}")
        cursor.execute(f"CREATE TABLE {unique}.t (id int PRIMARY KEY, v varchar(20))")
        config = {
            "connector.class": "MySqlBinlogSource",
            "database.hostname": env["MYSQL_HOST"],
            "database.port": env["MYSQL_PORT"],
            "database.user": env["MYSQL_USER"],
            "database.password": env["MYSQL_PASSWORD"],
            "table.include.list": rf"{unique}\.t",
            "snapshot.mode": "never",
            "topic": unique,
            "exactly.once.support": "required",
        }
        worker, seen = workers(), committed(unique)
        worker.request("PUT", f"/connectors/{unique}/config", config)
        worker.until(lambda: worker.states(unique) == ["RUNNING", "RUNNING"])
        cursor.execute(f"INSERT INTO {unique}.t VALUES (0, 'v')")
        connection.commit()
        worker.until(lambda: seen.values)
        number = 1
        for round_ in range(4):
            end, begun = number + 800, number
            while number < end:  # transactions of one to seven rows
                size = number % 7 + 1
                rows = ",".join(f"({each}, 'v')" for each in range(number, number + size))
                cursor.execute(f"INSERT INTO {unique}.t VALUES {rows}")
                connection.commit()
                number += size
            if round_ < 3:  # somewhere in the middle of what was just written
                worker.until(lambda begun=begun: len(seen.values) > begun + 50)
                worker.kill()
                worker.start()
        worker.until(lambda: len(seen.values) >= number)
        cursor.execute(f"DROP DATABASE {unique}")
    assert [int(value["data"][0]["id"]) for value in seen.values if value["type"] == "INSERT"] == list(range(number))
