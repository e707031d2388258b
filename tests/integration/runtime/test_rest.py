"""Rows of Kafka Connect's REST interface on one real worker."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest
from confluent_kafka import Producer

from tests.integration.runtime.test_worker import read_all

COUNTING = {"connector.class": "toys.CountingSource", "limit": "10", "offset.flush.interval.ms": "100"}


def stopped(worker: Any, name: str) -> None:
    assert worker.request("PUT", f"/connectors/{name}/stop") == (204, None)
    worker.until(lambda: worker.states(name) == ["STOPPED"])


def source(worker: Any, name: str, **extra: str) -> str:
    config = COUNTING | {"topic": name} | extra
    assert worker.request("PUT", f"/connectors/{name}/config", config)[0] == 201
    worker.until(lambda: worker.states(name) == ["RUNNING", "RUNNING"])
    return name


def test_patch_sets_and_removes_options_and_keeps_the_others(one_worker: Any, unique: str) -> None:
    name = source(one_worker, unique, batch="3", secret="hush")
    assert one_worker.request("PATCH", f"/connectors/{name}/config", {"batch": None, "limit": 2})[0] == 200
    config = one_worker.get(f"/connectors/{name}/config")[1]
    assert config == COUNTING | {"name": name, "topic": name, "limit": "2", "secret": "[hidden]"}
    assert one_worker.request("PATCH", "/connectors/nobody/config", {"a": "b"})[0] == 404
    code, answer = one_worker.request("PATCH", f"/connectors/{name}/config", {"topic": None})
    assert (code, "topic" in answer["message"]) == (400, True)


def test_a_signal_reaches_the_running_task_and_one_that_means_nothing_is_refused(one_worker: Any, unique: str) -> None:
    name = source(one_worker, unique)
    path, offsets = f"/connectors/{name}/signals", f"/connectors/{name}/offsets"

    def next_() -> Any:
        return [pair["offset"]["next"] for pair in one_worker.get(offsets)[1]["offsets"]]

    one_worker.until(lambda: next_() == [10])
    code, answer = one_worker.request("POST", path, {"type": "dance"})
    assert (code, answer["message"]) == (400, "Field type: CountingSource knows no signal dance; it takes jump")
    assert one_worker.request("POST", "/connectors/nobody/signals", {"type": "jump"})[0] == 404
    assert one_worker.request("POST", path, {"type": "jump", "data": {"to": "nowhere"}})[0] == 202
    one_worker.until(lambda: "jump needs a number in to" in one_worker.log.read_text())
    written = f'connect_source_record_write_total{{connector="{name}",task="0"}}'
    assert f"{written} 10.0" in one_worker.get("/metrics")[1]
    assert one_worker.request("POST", path, {"type": "jump", "data": {"to": 7}})[0] == 202
    one_worker.until(lambda: f"{written} 13.0" in one_worker.get("/metrics")[1])
    stopped(one_worker, name)
    assert one_worker.request("POST", path, {"type": "jump", "data": {"to": 7}})[0] == 409


def test_source_offsets_are_altered_and_reset_while_the_connector_is_stopped(one_worker: Any, unique: str) -> None:
    name, partition = source(one_worker, unique), {"numbers": "all"}
    path = f"/connectors/{name}/offsets"

    def next_() -> Any:
        return [pair["offset"]["next"] for pair in one_worker.get(path)[1]["offsets"]]

    one_worker.until(lambda: next_() == [10])
    new = {"offsets": [{"partition": partition, "offset": {"next": 5}}]}
    code, answer = one_worker.request("PATCH", path, new)
    assert (code, "STOPPED" in answer["message"]) == (400, True)
    stopped(one_worker, name)
    code, answer = one_worker.request("PATCH", path, new)
    assert (code, answer["message"].startswith("The Connect framework-managed offsets")) == (200, True)
    assert next_() == [5]
    bad = {"offsets": [{"partition": partition, "offset": {"next": "x"}}]}
    code, answer = one_worker.request("PATCH", path, bad)
    assert (code, "next is no number" in answer["message"]) == (400, True)
    assert one_worker.request("PUT", f"/connectors/{name}/resume")[0] == 202
    one_worker.until(lambda: next_() == [10])
    stopped(one_worker, name)
    for _ in range(2):
        assert one_worker.request("DELETE", path)[0] == 200
        assert one_worker.get(path)[1] == {"offsets": []}


def test_a_connector_made_stopped_begins_where_its_offsets_were_set_to(
    one_worker: Any, unique: str, kafka: str
) -> None:
    body = {"name": unique, "config": COUNTING | {"topic": unique}, "initial_state": "STOPPED"}
    assert one_worker.request("POST", "/connectors", body)[0] == 201
    one_worker.until(lambda: one_worker.states(unique) == ["STOPPED"])
    new = {"offsets": [{"partition": {"numbers": "all"}, "offset": {"next": 5}}]}
    assert one_worker.request("PATCH", f"/connectors/{unique}/offsets", new)[0] == 200
    assert one_worker.request("PUT", f"/connectors/{unique}/resume")[0] == 202
    offsets = f"/connectors/{unique}/offsets"
    one_worker.until(lambda: one_worker.get(offsets)[1]["offsets"][0]["offset"] == {"next": 10})
    assert [json.loads(message.value())["number"] for message in read_all(kafka, unique, 5)] == [5, 6, 7, 8, 9]


def test_another_number_of_tasks_leaves_exactly_these(one_worker: Any, unique: str) -> None:
    def numbers() -> list[int]:
        return [task["id"] for task in one_worker.get(f"/connectors/{unique}/status")[1]["tasks"]]

    source_of_four = {"tasks": "4", "tasks.max": "4", "limit": "1000000", "pause.ms": "20", "topic": unique}
    one_worker.request("PUT", f"/connectors/{unique}/config", COUNTING | source_of_four)
    for count in (4, 2, 5):
        change = {"tasks": str(count), "tasks.max": str(count)}
        assert one_worker.request("PATCH", f"/connectors/{unique}/config", change)[0] == 200
        one_worker.until(lambda count=count: one_worker.states(unique) == ["RUNNING"] * (count + 1))
        assert numbers() == list(range(count))
        assert [each["id"]["task"] for each in one_worker.get(f"/connectors/{unique}/tasks")[1]] == numbers()


def test_a_deleted_connector_leaves_no_thread_behind(workers: Any, unique: str) -> None:
    # On a worker of its own: threads that end beside it, of another test's tasks, would be counted in `before`.
    worker = workers()
    process = psutil.Process(worker.process.pid)
    source(worker, f"{unique}-kept")
    before = process.num_threads()
    for number in range(3):
        name = source(worker, f"{unique}-{number}", limit="1000000", **{"pause.ms": "10"})
        assert process.num_threads() > before
        assert worker.request("DELETE", f"/connectors/{name}")[0] == 204
    # The pool that waits for tasks to end may have grown by a few.
    worker.until(lambda: process.num_threads() <= before + 3)


def test_a_plugin_with_offsets_of_its_own_is_asked(one_worker: Any, unique: str) -> None:
    name = source(one_worker, f"{unique}own")
    stopped(one_worker, name)
    code, answer = one_worker.request("DELETE", f"/connectors/{name}/offsets")
    assert (code, answer) == (200, {"message": "The offsets for this connector have been reset successfully"})


def test_sink_offsets_are_those_of_its_group(one_worker: Any, unique: str, tmp_path: Path, kafka: str) -> None:
    producer = Producer({"bootstrap.servers": kafka})
    for number in range(4):
        producer.produce(unique, f'{{"number": {number}}}', b"k")
    producer.flush(10)
    name, file, path = f"{unique}-out", tmp_path / "out", f"/connectors/{unique}-out/offsets"
    config = {"connector.class": "toys.FileSink", "topics": unique, "file": str(file)}
    assert one_worker.request("PUT", f"/connectors/{name}/config", config)[0] == 201
    partition = {"kafka_topic": unique, "kafka_partition": 0}

    def shown(offset: int) -> Any:
        return {"offsets": [{"partition": partition, "offset": {"kafka_offset": offset}}]}

    one_worker.until(lambda: one_worker.get(path)[1] == shown(4))
    one_worker.until(lambda: one_worker.get(f"/connectors/{name}/topics")[1] == {name: {"topics": [unique]}})
    stopped(one_worker, name)
    assert one_worker.request("PATCH", path, shown(3))[0] == 200
    assert one_worker.get(path)[1] == shown(3)
    for wrong in ({"kafka_topic": "no-such-topic"}, {"kafka_partition": 9}):
        body = {"offsets": [{"partition": partition | wrong, "offset": {"kafka_offset": 1}}]}
        assert one_worker.request("PATCH", path, body)[0] == 400
    one_worker.request("PUT", f"/connectors/{name}/resume")
    one_worker.until(lambda: file.read_text().split() == ["0", "1", "2", "3", "3"])
    stopped(one_worker, name)
    none = {"offsets": [{"partition": partition, "offset": None}]}
    assert one_worker.request("PATCH", path, none)[0] == 200
    assert one_worker.get(path)[1] == {"offsets": []}
    for _ in range(2):
        assert one_worker.request("DELETE", path)[0] == 200
    one_worker.request("PUT", f"/connectors/{name}/resume")
    one_worker.until(lambda: len(file.read_text().split()) == 9)


@pytest.mark.parametrize(
    "body",
    [{}, {"offsets": []}, {"offsets": [{"partition": {}, "offset": {}}]}, {"offsets": [{"partition": {"a": 1}}]},
     {"offsets": None}, {"offsets": [1]}],
)  # fmt: skip
def test_malformed_offsets_are_a_400(one_worker: Any, unique: str, body: Any) -> None:
    config = COUNTING | {"topic": unique}
    created = {"name": unique, "config": config, "initial_state": "stopped"}
    assert one_worker.request("POST", "/connectors", created)[0] == 201
    code, answer = one_worker.request("PATCH", f"/connectors/{unique}/offsets", body)
    assert (code, answer["error_code"]) == (400, 400)


def test_topics_are_noted_forgotten_and_noted_again(one_worker: Any, unique: str) -> None:
    name = source(one_worker, unique)
    shown = {name: {"topics": [unique]}}
    one_worker.until(lambda: one_worker.get(f"/connectors/{name}/topics")[1] == shown)
    assert one_worker.request("PUT", f"/connectors/{name}/topics/reset") == (202, None)
    assert one_worker.request("PUT", "/connectors/nobody/topics/reset")[0] == 404
    assert one_worker.get("/connectors/nobody/topics") == (200, {"nobody": {"topics": []}})
    one_worker.until(lambda: one_worker.get(f"/connectors/{name}/topics")[1] == shown)


def test_levels_of_loggers_are_changed_here_and_in_the_cluster(one_worker: Any) -> None:
    path = "/admin/loggers/connectors.runtime"
    code, names = one_worker.request("PUT", path, {"level": "debug"})
    assert (code, "connectors.runtime.herder" in names, names == sorted(names)) == (200, True, True)
    assert one_worker.get(path)[1]["level"] == "DEBUG"
    assert abs(one_worker.get(path)[1]["last_modified"] / 1000 - time.time()) < 60
    assert one_worker.request("PUT", f"{path}?scope=cluster", {"level": "INFO"}) == (204, None)
    one_worker.until(lambda: one_worker.get(path)[1]["level"] == "INFO")
    assert "root" in one_worker.get("/admin/loggers")[1]
    assert one_worker.get("/admin/loggers/no.such")[0] == 404
    for body in ({}, {"level": "LOUD"}, {"level": 1}, []):
        assert one_worker.request("PUT", path, body)[0] == 400


def test_validate_counts_errors_and_shows_neither_secrets_nor_what_references_stand_for(one_worker: Any) -> None:
    path = "/connector-plugins/toys.CountingSource/config/validate"
    code, answer = one_worker.request("PUT", path, {"secret": "hush-hush", "batch": "${env:PATH}"})
    errors = {each["value"]["name"]: each["value"]["errors"] for each in answer["configs"] if each["value"]["errors"]}
    assert (code, answer["error_count"]) == (200, 3)
    assert set(errors) == {"name", "topic", "batch"}
    assert "hush-hush" not in str(answer)
    assert "/usr/bin" not in str(answer)
    values = {each["value"]["name"]: each["value"]["value"] for each in answer["configs"]}
    assert (values["secret"], values["batch"]) == ("[hidden]", "${env:PATH}")
    good = {"name": "x", "topic": "t", "connector.class": "toys.CountingSource"}
    assert one_worker.request("PUT", path, good)[1]["error_count"] == 0
    assert one_worker.request("PUT", path, good | {"connector.class": "toys.FileSink"})[0] == 400


def test_all_kinds_of_plugins_are_listed_with_their_options(one_worker: Any) -> None:
    kinds = {row["type"] for row in one_worker.get("/connector-plugins")[1]}
    assert kinds == {"source", "sink"}
    rows = one_worker.get("/connector-plugins?connectorsOnly=false")[1]
    assert {row["type"] for row in rows} == kinds | {"converter", "transformation", "predicate"}
    assert all(row["version"] for row in rows)
    assert "regex" in [key["name"] for key in one_worker.get("/connector-plugins/RegexRouter/config")[1]]
    assert "database.hostname" in str(one_worker.get("/connector-plugins/MySqlBinlog/config")[1])
    assert one_worker.get("/connector-plugins/Nobody/config")[0] == 404


def test_a_plugin_that_hangs_in_validate_is_not_waited_for_and_nothing_is_created_later(
    one_worker: Any, unique: str
) -> None:
    begun = time.monotonic()
    code, answer = one_worker.request("PUT", f"/connectors/{unique}/config", COUNTING | {"topic": "hang"})
    assert (code, "did not answer within" in answer["message"]) == (504, True)
    assert 8 < time.monotonic() - begun < 18
    assert one_worker.get(f"/connectors/{unique}")[0] == 404


def test_names_with_special_characters_are_found_again(one_worker: Any, unique: str) -> None:
    name = f"{unique}/ä;%2F%"
    body = {"name": name, "config": COUNTING | {"topic": unique}, "initial_state": "PAUSED"}
    assert one_worker.request("POST", "/connectors", body)[0] == 201
    assert one_worker.request("POST", "/connectors", body)[0] == 409
    path = f"/connectors/{quote(name, safe='')}"
    assert one_worker.get(path)[1]["name"] == name
    one_worker.until(lambda: one_worker.get(f"{path}/status")[1]["connector"]["state"] == "PAUSED")
    assert one_worker.request("DELETE", path)[0] == 204
    for bad in ("", " ", "a\nb", "x" * 300, 5, None):
        assert one_worker.request("POST", "/connectors", body | {"name": bad})[0] == 400


def test_status_tells_stage_progress_and_health(one_worker: Any, unique: str) -> None:
    name = source(one_worker, unique)
    task = one_worker.until(
        lambda: (t := one_worker.get(f"/connectors/{name}/status")[1]["tasks"][0])["last_progress"] and t
    )
    assert task["stage"] in ("poll", "waiting", "commit")
    assert one_worker.get(f"/connectors/{name}/status")[1]["health"] == "HEALTHY"
    assert one_worker.get(f"/health?connector={name}")[0] == 200
    assert one_worker.get("/health?connector=nobody")[0] == 404
    everything = one_worker.get("/connectors?expand=status&expand=info&expand=nothing")[1][name]
    assert set(everything) == {"status", "info"}


def test_a_failed_task_is_restarted_by_the_policy_and_the_status_tells(
    one_worker: Any, unique: str, tmp_path: Path
) -> None:
    extra = {"fail.times": str(tmp_path / "failures"), "restart.policy": "on-failure", "restart.delay.ms": "300"}
    config = COUNTING | {"topic": unique} | extra
    assert one_worker.request("PUT", f"/connectors/{unique}/config", config)[0] == 201
    seen = []

    def running() -> bool:
        task = (one_worker.get(f"/connectors/{unique}/status")[1]["tasks"] or [{"state": ""}])[0]
        seen.append((task["state"], task.get("restarts", {}).get("count", 0), "next" in task.get("restarts", {})))
        return task["state"] == "RUNNING"

    one_worker.until(running)
    assert seen[-1] == ("RUNNING", 3, False)
    assert ("FAILED", 0, True) in seen
    assert ("FAILED", 2, True) in seen


def test_restarts_end_at_the_limit_and_a_restart_by_hand_begins_anew(
    one_worker: Any, unique: str, tmp_path: Path
) -> None:
    extra = {"fail.with.secret": "true", "secret": "hush", "restart.policy": "on-failure", "restart.delay.ms": "50"}
    config = COUNTING | {"topic": unique, "restart.max": "1"} | extra
    assert one_worker.request("PUT", f"/connectors/{unique}/config", config)[0] == 201

    def restarts() -> Any:
        tasks = one_worker.get(f"/connectors/{unique}/status")[1]["tasks"]
        return (tasks[0]["state"], tasks[0].get("restarts")) if tasks else None

    one_worker.until(lambda: restarts() == ("FAILED", {"count": 1}))
    code, answer = one_worker.get(f"/health?connector={unique}")
    assert (code, answer["connectors"][0]["health"]) == (503, "FAILED")
    assert one_worker.request("POST", f"/connectors/{unique}/tasks/0/restart")[0] == 204
    seen = []
    one_worker.until(lambda: seen.append(restarts()) or (len(seen) > 2 and restarts() == ("FAILED", {"count": 1})))


def test_metrics_tell_of_running_and_failed_tasks_and_forget_those_that_left(one_worker: Any, unique: str) -> None:
    good = source(one_worker, unique)
    bad = COUNTING | {"topic": unique, "fail.with.secret": "true", "secret": "hush"}
    one_worker.request("PUT", f"/connectors/{unique}-bad/config", bad)
    one_worker.until(lambda: one_worker.states(f"{unique}-bad") == ["RUNNING", "FAILED"])

    def metrics() -> str:
        return str(one_worker.get("/metrics")[1])

    one_worker.until(lambda: f'connect_source_record_write_total{{connector="{good}",task="0"}} 10.0' in metrics())
    text = metrics()
    for line in [
        f'connect_source_record_write_bytes_total{{connector="{good}",task="0"}} ',
        f'connect_task_status{{connector="{good}",state="RUNNING",task="0"}} 1.0',
        f'connect_task_status{{connector="{unique}-bad",state="FAILED",task="0"}} 1.0',
        f'connect_task_startup_failure_total{{connector="{unique}-bad",task="0"}} 1.0',
        f'connect_worker_connector_task_count{{connector="{unique}-bad",status="failed"}} 1.0',
        f'connect_connector_status{{connector="{good}",state="RUNNING"}} 1.0',
        "connect_worker_rebalance_workers 1.0",
        f'connect_task_running_ratio{{connector="{good}",task="0"}} 0.',
        f'connect_task_pause_ratio{{connector="{good}",task="0"}} 0.0',
    ]:
        assert line in text, line
    assert f'state="UNASSIGNED",task="0"}} 1.0\nconnect_task_status{{connector="{good}"' not in text
    one_worker.request("DELETE", f"/connectors/{good}")
    one_worker.until(lambda: f'connector="{good}"' not in metrics())
