"""Which options of Kafka's clients a connector may set, and where they arrive."""

from __future__ import annotations

from typing import Any

import pytest

from connectors import ConfigError
from connectors.runtime import dead_letters
from connectors.runtime.base_config import check
from connectors.runtime.dead_letters import DeadLetters
from connectors.runtime.kafka_clients import group_of, overrides
from connectors.runtime.metrics import TaskMetrics
from connectors.runtime.settings import WorkerSettings
from connectors.runtime.state import TaskId
from tests.unit.runtime.fakes import SETTINGS
from tests.unit.runtime.test_base_config import ToySink, toys

__all__ = ["toys"]

POLICY = "CONNECTORS_CLIENT_CONFIG_OVERRIDE_POLICY"
SINK = {"name": "x", "connector.class": "ToySink", "url": "u", "topics": "t"}
SOURCE = {"name": "x", "connector.class": "ToySource"}


def errors(props: dict[str, str]) -> list[str]:
    return [text for value in check(props)[1] for text in value.errors]


@pytest.mark.parametrize("kind", ["producer", "consumer", "admin"])
def test_a_sink_may_set_options_of_each_of_its_clients(kind: str) -> None:
    assert errors(SINK | {f"{kind}.override.client.id": "me"}) == []


@pytest.mark.parametrize("kind", ["producer", "admin"])
def test_a_source_may_set_options_of_each_of_its_clients(kind: str) -> None:
    assert errors(SOURCE | {f"{kind}.override.client.id": "me"}) == []


def test_the_options_reach_the_producer_and_the_topic_of_dead_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, dict[str, Any]] = {}
    monkeypatch.setattr(dead_letters, "Producer", lambda options: made.update(producer=options))
    monkeypatch.setattr(dead_letters, "create_topic", lambda options, *_: made.update(admin=options))
    props = {
        "errors.deadletterqueue.topic.name": "dead",
        "producer.override.linger.ms": "77",
        "admin.override.client.id": "letters",
    }
    DeadLetters(TaskId("c", 0), ToySink.task_class()(), props, SETTINGS, TaskMetrics("c", 0)).open()
    assert made["producer"]["linger.ms"] == "77"
    assert "client.id" not in made["producer"]
    assert made["admin"]["client.id"] == "letters"


def test_no_override_passes_the_policy_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(POLICY, "None")
    (text,) = errors(SINK | {"consumer.override.fetch.wait.max.ms": "5"})
    assert text == (
        "Option consumer.override.fetch.wait.max.ms: this worker allows no options of Kafka's clients"
        f" ({POLICY} is None)"
    )


def test_who_a_connector_is_passes_the_policy_principal_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(POLICY, "principal")
    own = {"producer.override.sasl.username": "me", "producer.override.security.protocol": "SASL_SSL"}
    assert errors(SOURCE | own) == []
    (text,) = errors(SOURCE | own | {"producer.override.plugin.library.paths": "evil.so"})
    assert "producer.override.plugin.library.paths: this worker allows only" in text
    assert "sasl.username" in text


def test_a_stored_configuration_is_held_to_the_policy_too(monkeypatch: pytest.MonkeyPatch) -> None:
    props = {"producer.override.linger.ms": "5"}
    assert overrides(props, "producer") == {"linger.ms": "5"}
    monkeypatch.setenv(POLICY, "None")
    with pytest.raises(ConfigError, match="allows no options"):
        overrides(props, "producer")
    assert overrides(props, "consumer") == {}


def test_a_policy_that_nobody_knows_ends_the_worker_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean Principal"):
        WorkerSettings.from_env({POLICY: "Principle", "KAFKA_BOOTSTRAP_SERVERS": "h:1"})


def test_a_group_that_the_connector_names_is_the_one_whose_offsets_count() -> None:
    assert group_of(SETTINGS, "c", {}) == "connect-c"
    assert group_of(SETTINGS, "c", {"consumer.override.group.id": "mine"}) == "mine"
