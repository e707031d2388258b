from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer

MakeWorker = Callable[..., Any]


def source(topic: str, **extra: str) -> dict[str, str]:
    return {"connector.class": "toys.CountingSource", "topic": topic} | extra


def sink(topic: str, file: Path, **extra: str) -> dict[str, str]:
    return {"connector.class": "toys.FileSink", "topics": topic, "file": str(file)} | extra


def numbers(file: Path) -> Counter[int]:
    return Counter(int(line) for line in file.read_text().split()) if file.exists() else Counter()


def read_all(kafka: str, topic: str, count: int) -> list[Any]:
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": f"{topic}-check", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    found: list[Any] = []
    deadline = time.monotonic() + 20
    while len(found) < count and time.monotonic() < deadline:
        found += [message for message in consumer.consume(1000, 0.3) if message.error() is None]
    consumer.close()
    return found


def test_records_go_from_source_to_sink_and_survive_kill_9(
    workers: MakeWorker, unique: str, tmp_path: Path, kafka: str
) -> None:
    worker, file = workers(), tmp_path / "out"
    often = {"offset.flush.interval.ms": "200"}
    paced = source(unique, limit="5000", **often, **{"pause.ms": "30", "topic.creation.default.partitions": "3"})
    assert worker.request("POST", "/connectors", {"name": f"{unique}-in", "config": paced})[0] == 201
    assert worker.request("PUT", f"/connectors/{unique}-out/config", sink(unique, file, **often))[0] == 201
    worker.until(lambda: len(numbers(file)) > 1000)
    worker.kill()
    worker.start()
    assert worker.get("/connectors")[1] == [f"{unique}-in", f"{unique}-out"]
    worker.until(lambda: len(numbers(file)) == 5000)
    assert worker.states(f"{unique}-in") == ["RUNNING", "RUNNING"]
    # At least once: what came after the last stored offset comes again, and no more than that: 200 ms of each side.
    assert sum(numbers(file).values()) < 9000
    offsets = worker.until(lambda: worker.get(f"/connectors/{unique}-in/offsets")[1]["offsets"])
    assert offsets[0]["partition"] == {"numbers": "all"}


def test_pause_resume_stop_restart_and_delete(workers: MakeWorker, unique: str, tmp_path: Path) -> None:
    worker, name = workers(), f"{unique}-in"
    paced = source(unique, limit="1000000", batch="1", **{"pause.ms": "20"})
    worker.request("PUT", f"/connectors/{name}/config", paced)
    worker.until(lambda: worker.states(name) == ["RUNNING", "RUNNING"])
    assert worker.request("PUT", f"/connectors/{name}/pause") == (202, None)
    worker.until(lambda: worker.states(name) == ["PAUSED", "PAUSED"])
    assert worker.request("PUT", f"/connectors/{name}/resume")[0] == 202
    worker.until(lambda: worker.states(name) == ["RUNNING", "RUNNING"])
    assert worker.request("POST", f"/connectors/{name}/restart?includeTasks=true")[0] == 202
    worker.until(lambda: worker.states(name) == ["RUNNING", "RUNNING"])
    assert worker.request("PUT", f"/connectors/{name}/stop")[0] == 204
    worker.until(lambda: worker.states(name) == ["STOPPED"])
    assert worker.request("DELETE", f"/connectors/{name}")[0] == 204
    assert worker.get(f"/connectors/{name}")[0] == 404
    assert worker.get("/connectors") == (200, [])


def test_a_failed_task_shows_its_trace_and_restarts_on_request(workers: MakeWorker, unique: str) -> None:
    worker, name = workers(), f"{unique}-in"
    config = source(unique, **{"fail.at": "150"})
    worker.request("PUT", f"/connectors/{name}/config", config)
    worker.until(lambda: worker.states(name) == ["RUNNING", "FAILED"])
    trace = worker.get(f"/connectors/{name}/tasks/0/status")[1]["trace"]
    assert "ValueError: number 150 is out of cheese" in trace
    assert worker.request("PUT", f"/connectors/{name}/config", config | {"fail.at": "-1"})[0] == 200
    worker.until(lambda: worker.states(name) == ["RUNNING", "RUNNING"])


def test_bad_records_become_dead_letters_and_the_stream_goes_on(
    workers: MakeWorker, unique: str, tmp_path: Path, kafka: str
) -> None:
    producer = Producer({"bootstrap.servers": kafka})
    values = [
        b'{"number": 1}',
        b"{",
        b"[1]",
        b'{"number": 2}',
        b'{"type":"INSERT","database":"a","table":"b","data":1}',
    ]
    values += [b'{"number": 7}', b'{"number": 3}']
    for value in values:
        producer.produce(unique, value, b"k")
    producer.flush(10)
    worker, file, dead = workers(), tmp_path / "out", f"{unique}-dead"
    policy = {"errors.tolerance": "all", "errors.deadletterqueue.topic.name": dead, "refuse": "7"}
    worker.request("PUT", f"/connectors/{unique}-out/config", sink(unique, file, **policy))
    worker.until(lambda: set(numbers(file)) == {1, 2, 3})
    letters = read_all(kafka, dead, 4)
    assert [letter.value() for letter in letters] == [values[1], values[2], values[4], values[5]]
    headers = [{key: value.decode() for key, value in letter.headers()} for letter in letters]
    assert [each["__connect.errors.offset"] for each in headers] == ["1", "2", "4", "5"]
    assert [each["__connect.errors.stage"] for each in headers] == ["VALUE_CONVERTER"] * 3 + ["TASK_PUT"]
    assert headers[0]["__connect.errors.topic"] == unique
    assert headers[3]["__connect.errors.exception.message"] == "7 is refused"
    assert worker.states(f"{unique}-out") == ["RUNNING", "RUNNING"]


def test_without_tolerance_a_bad_record_fails_the_task_with_its_place(
    workers: MakeWorker, unique: str, tmp_path: Path, kafka: str
) -> None:
    producer = Producer({"bootstrap.servers": kafka})
    producer.produce(unique, b"{")
    producer.flush(10)
    worker, name = workers(), f"{unique}-out"
    worker.request("PUT", f"/connectors/{name}/config", sink(unique, tmp_path / "out"))
    worker.until(lambda: worker.states(name) == ["RUNNING", "FAILED"])
    assert f"{unique}-0@0" in worker.get(f"/connectors/{name}/status")[1]["tasks"][0]["trace"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("POST", "/connectors", {"name": "x"}, 400, "Field config"),
        ("POST", "/connectors", {"nam": "x"}, 400, "did you mean name?"),
        ("POST", "/connectors", {"name": "x", "config": {}}, 400, "connector.class"),
        ("POST", "/connectors", {"name": "x", "config": {"connector.class": "MySqlBinlogSurce"}}, 400, "MySqlBinlog"),
        ("PUT", "/connectors/x/config", {"connector.class": "toys.CountingSource", "topic": "t", "task.max": "1"}, 400,
         "Unknown option task.max; did you mean tasks.max?"),
        ("PUT", "/connectors/x/config", {"connector.class": "toys.CountingSource", "topic": "t", "limit": "x"}, 400,
         "limit"),
        ("PUT", "/connectors/x/config", {"connector.class": "toys.FileSink", "file": "f"}, 400, "topics"),
        ("PUT", "/connectors/x/config", {"connector.class": "toys.CountingSource", "topic": "${env:NO_SUCH}"}, 400,
         "NO_SUCH"),
        ("PUT", "/connectors/x/config", [1], 400, "object"),
        ("GET", "/connectors/none/status", None, 404, "none"),
        ("DELETE", "/connectors/none", None, 404, "none"),
        ("POST", "/connectors/none/restart", None, 404, "none"),
        ("GET", "/nowhere", None, 404, "Not Found"),
        ("PATCH", "/connectors", None, 405, "Not Allowed"),
    ],
)  # fmt: skip
def test_bad_requests_are_told_what_is_wrong(
    one_worker: Any, method: str, path: str, body: Any, status: int, words: str
) -> None:
    code, answer = one_worker.request(method, path, body)
    assert (code, answer["error_code"]) == (status, status)
    assert words in answer["message"]


def test_malformed_json_is_a_400(one_worker: Any) -> None:
    assert one_worker.request("POST", "/connectors", raw=b"{")[0] == 400


def test_secrets_are_masked_and_references_stay(workers: MakeWorker, unique: str) -> None:
    worker, name = workers(MY_TOPIC=unique), f"{unique}-in"
    config = source("${env:MY_TOPIC}", secret="hush")
    worker.request("PUT", f"/connectors/{name}/config", config)
    worker.until(lambda: worker.states(name) == ["RUNNING", "RUNNING"])
    shown = worker.get(f"/connectors/{name}/config")[1]
    assert shown["secret"] == "[hidden]"
    assert shown["topic"] == "${env:MY_TOPIC}"
    assert worker.get(f"/connectors/{name}/tasks")[1][0]["config"]["topic"] == "${env:MY_TOPIC}"
    assert worker.request("PUT", f"/connectors/{name}/config", shown)[0] == 200
    assert "hush" not in worker.log.read_text()


def test_a_dead_workers_task_runs_elsewhere_and_states_are_right(
    workers: MakeWorker, unique: str, tmp_path: Path
) -> None:
    first, second = workers("a"), workers("b")
    paced = source(unique, limit="1000000", batch="1", **{"pause.ms": "20"})
    for number in range(2):
        first.request("PUT", f"/connectors/{unique}-{number}/config", paced)
    names = [f"{unique}-{number}" for number in range(2)]
    second.until(lambda: all(second.states(name) == ["RUNNING", "RUNNING"] for name in names))

    def homes() -> set[str]:
        return {second.get(f"/connectors/{name}/status")[1]["tasks"][0]["worker_id"] for name in names}

    assert homes() == {"a", "b"}
    first.kill()
    begun = time.monotonic()
    second.until(lambda: homes() == {"b"} and all(second.states(n) == ["RUNNING", "RUNNING"] for n in names))
    assert time.monotonic() - begun < 15


def test_transforms_and_predicates_apply_to_what_a_sink_gets(
    workers: MakeWorker, unique: str, tmp_path: Path, kafka: str
) -> None:
    producer = Producer({"bootstrap.servers": kafka})
    for number in range(6):
        headers = [("drop", b"1")] if number % 2 else []
        producer.produce(unique, f'{{"number": {number}}}', b"k", headers=headers)
    producer.flush(10)
    worker, file, name = workers(), tmp_path / "out", f"{unique}-out"
    chain = {
        "transforms": "route,odd",
        "transforms.route.type": "org.apache.kafka.connect.transforms.RegexRouter",
        "transforms.route.regex": ".*",
        "transforms.route.replacement": "elsewhere",
        "transforms.odd.type": "Filter",
        "transforms.odd.predicate": "marked",
        "predicates": "marked",
        "predicates.marked.type": "HasHeaderKey",
        "predicates.marked.name": "drop",
    }
    assert worker.request("PUT", f"/connectors/{name}/config", sink(unique, file, **chain))[0] == 201
    worker.until(lambda: set(numbers(file)) == {0, 2, 4})
    wrong = sink(unique, file, **(chain | {"predicates": ""}))
    code, problem = worker.request("PUT", f"/connectors/{name}/config", wrong)
    assert code == 400
    assert "Option transforms.odd.predicate: no predicate marked" in problem["message"]


def test_an_expression_of_topics_matches_whole_names_as_java_does(
    workers: MakeWorker, unique: str, tmp_path: Path, kafka: str
) -> None:
    producer = Producer({"bootstrap.servers": kafka})
    for number, topic in enumerate(["1", "22", "a.x", "x", "1-more", "aax-more"]):
        producer.produce(f"{unique}-{topic}", f'{{"number": {number}}}')
    producer.flush(10)
    worker, file, name = workers(), tmp_path / "out", f"{unique}-out"
    config = {key: value for key, value in sink("", file).items() if key != "topics"}
    config["topics.regex"] = rf"{unique}-\d+|{unique}-(?:[\w\.]{{2,}}x)"
    assert worker.request("PUT", f"/connectors/{name}/config", config)[0] == 201
    worker.until(lambda: {0, 1, 2} <= set(numbers(file)))
    wanted = {f"{unique}-{each}" for each in ("1", "22", "a.x")}

    def committed() -> set[str]:
        pairs = worker.get(f"/connectors/{name}/offsets")[1]["offsets"]
        return {pair["partition"]["kafka_topic"] for pair in pairs}

    worker.until(lambda: committed() == wanted)
    assert set(numbers(file)) == {0, 1, 2}
