from __future__ import annotations

from typing import Any

import pytest

from connectors.runtime.base_config import check
from connectors.runtime.topic_creation import topic_to_create

GROUPS = {
    "topic.creation.default.partitions": "3",
    "topic.creation.default.cleanup.policy": "compact",
    "topic.creation.groups": "wide, logs",
    "topic.creation.wide.include": r"shop\.orders.*, shop\.items",
    "topic.creation.wide.exclude": r".*\.orders_old",
    "topic.creation.wide.partitions": "12",
    "topic.creation.logs.include": r"shop\..*_log",
    "topic.creation.logs.replication.factor": "2",
    "topic.creation.logs.retention.ms": "1000",
}


@pytest.mark.parametrize(
    ("topic", "partitions", "replicas", "config"),
    [
        ("shop.orders", 12, -1, {}),
        ("shop.orders_old", 3, -1, {"cleanup.policy": "compact"}),
        ("shop.orders_log", 12, -1, {}),  # the first group counts
        ("shop.user_log", 3, 2, {"retention.ms": "1000"}),
        ("shop.users", 3, -1, {"cleanup.policy": "compact"}),
    ],
)
def test_a_topic_is_created_as_its_first_group_says(topic: str, partitions: int, replicas: int, config: Any) -> None:
    made = topic_to_create(topic, GROUPS, "app.")
    assert (made.topic, made.num_partitions, made.replication_factor) == (f"app.{topic}", partitions, replicas)
    assert made.config == config


def test_without_options_the_broker_decides_about_replicas() -> None:
    made = topic_to_create("t", {})
    assert (made.num_partitions, made.replication_factor, made.config) == (1, -1, {})


def errors(**options: str) -> list[str]:
    source = {"name": "s", "connector.class": "GoldenGateSource", "goldengate.topic": "in", "topic": "out"}
    _, values = check(source | {name.replace("_", "."): text for name, text in options.items()})
    return [error for value in values for error in value.errors]


def test_groups_that_make_sense_are_accepted() -> None:
    assert errors(**GROUPS) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"topic.creation.groups": "wide"}, "Missing required option topic.creation.wide.include"),
        ({"topic.creation.wide.partitions": "2"}, "topic.creation.wide.partitions: wide is not in topic.creation.gro"),
        ({"topic.creation.groups": "a", "topic.creation.a.include": "("}, "is no regular expression"),
        ({"topic.creation.default.partitions": "none"}, "topic.creation.default.partitions"),
        ({"topic.creation.default.replication.factor": "0"}, "0 is no number of 1 or more, nor -1"),
        ({"topic.creation.groups": "default"}, "default is always there"),
    ],
)
def test_groups_that_make_no_sense_are_refused(options: dict[str, str], words: str) -> None:
    assert any(words in error for error in errors(**options)), errors(**options)
