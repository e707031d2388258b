"""`connectors dlq` on a real Kafka."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Consumer, Producer
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.cli import main
from connectors.cli.errors import NOT_FOUND, USAGE
from tests.unit.cli.conftest import FakeRest, start

OPTION = "errors.deadletterqueue.topic.name"


class Bench:
    """A connector with a dead-letter topic of three letters, two of them about JSON."""

    def __init__(self, kafka: str, rest: FakeRest) -> None:
        self.kafka = kafka
        self.rest = rest
        unique = uuid4().hex[:8]
        self.source, self.letters = f"in-{unique}", f"dlq-{unique}"
        admin = AdminClient({"bootstrap.servers": kafka})
        for future in admin.create_topics([NewTopic(self.source, 2, 1), NewTopic(self.letters, 1, 1)]).values():
            future.result(30)
        rest.configs = {"sink": {"name": "sink", OPTION: self.letters}, "plain": {"name": "plain"}}
        producer = Producer({"bootstrap.servers": kafka})
        for number, why in enumerate(["malformed JSON", "column too long", "malformed JSON"]):
            producer.produce(self.letters, b"value %d" % number, b"key", headers=_headers(self.source, number, why))
        assert producer.flush(30) == 0

    def run(self, *arguments: str) -> Result:
        command = ["--url", self.rest.url, "dlq", *arguments]
        return CliRunner().invoke(main, command, env={"KAFKA_BOOTSTRAP_SERVERS": self.kafka})

    def replayed(self, topic: str, count: int) -> list[Any]:
        consumer = Consumer({"bootstrap.servers": self.kafka, "group.id": uuid4().hex, "auto.offset.reset": "earliest"})
        consumer.assign([KafkaPartition(topic, number, 0) for number in range(2)])
        found: list[Any] = []
        while len(found) < count:
            (message,) = consumer.consume(1, 30)
            found.append(message)
        assert consumer.consume(1, 0.5) == []
        consumer.close()
        return sorted(found, key=lambda message: message.value())


def _headers(topic: str, offset: int, why: str) -> list[tuple[str, bytes]]:
    context = {"topic": topic, "partition": "1", "offset": str(offset), "stage": "VALUE_CONVERTER"}
    context["exception.message"] = why
    return [("own", b"\xff"), *((f"__connect.errors.{name}", text.encode()) for name, text in context.items())]


@pytest.fixture
def bench(kafka: str) -> Iterator[Bench]:
    rest = FakeRest()
    server = start(rest)
    yield Bench(kafka, rest)
    server.shutdown()
    server.server_close()


def test_topics_are_listed_with_their_letters(bench: Bench) -> None:
    found = json.loads(bench.run("list", "-o", "json").stdout)
    assert found == [{"connector": "sink", "topic": bench.letters, "letters": 3}]


@pytest.mark.parametrize("arguments", [("sink",), ("{letters}", "--topic")], ids=["connector", "topic"])
def test_letters_are_shown_with_where_they_came_from_and_why(bench: Bench, arguments: tuple[str, ...]) -> None:
    given = [each.format(letters=bench.letters) for each in arguments]
    result = bench.run("show", *given, "-n", "2")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()[1:]
    assert [line.split()[:3] for line in lines] == [
        ["0@1", f"{bench.source}-1@1", "VALUE_CONVERTER"],
        ["0@2", f"{bench.source}-1@2", "VALUE_CONVERTER"],
    ]
    assert "column too long" in lines[0]
    (last,) = json.loads(bench.run("show", *given, "-n", "1", "-o", "json").stdout)
    assert (last["value"], last["headers"]) == ("value 2", {"own": {"base64": "/w=="}})


def test_letters_go_back_as_they_were_and_only_once(bench: Bench) -> None:
    assert "3 letters" in bench.run("replay", "sink", "--dry-run").stdout
    assert bench.run("replay", "sink").exit_code == USAGE
    assert "3 letters" in bench.run("replay", "sink", "--yes").stdout
    assert "0 letters" in bench.run("replay", "sink", "--yes").stdout
    found = bench.replayed(bench.source, 3)
    assert [message.value() for message in found] == [b"value 0", b"value 1", b"value 2"]
    assert {message.key() for message in found} == {b"key"}
    assert [message.headers() for message in found] == [[("own", b"\xff")]] * 3


def test_letters_are_chosen_by_their_error_and_go_elsewhere(bench: Bench) -> None:
    other = f"{bench.source}-repaired"
    admin = AdminClient({"bootstrap.servers": bench.kafka})
    for future in admin.create_topics([NewTopic(other, 2, 1)]).values():
        future.result(30)
    result = bench.run("replay", "sink", "--to", other, "--match", "JSON", "--yes")
    assert "2 letters" in result.stdout, result.stderr
    assert [message.value() for message in bench.replayed(other, 2)] == [b"value 0", b"value 2"]


def test_limit_leaves_the_rest_for_later(bench: Bench) -> None:
    assert "2 letters" in bench.run("replay", "sink", "--limit", "2", "--yes").stdout
    assert "1 letters" in bench.run("replay", "sink", "--yes").stdout


@pytest.mark.parametrize(("arguments", "text"), [(("plain",), OPTION), (("no-such", "--topic"), "nothing has failed")])
def test_connector_without_letters_is_told(bench: Bench, arguments: tuple[str, ...], text: str) -> None:
    result = bench.run("show", *arguments)
    assert result.exit_code == NOT_FOUND
    assert text in result.stderr
