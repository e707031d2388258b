"""How the topics of a source are created: the first group that a topic belongs to, and the default group behind it.

Source: KIP-158, Kafka Connect's `TopicCreationGroup`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from connectors.api.config import ConfigValue
from connectors.api.errors import ConfigError, FatalError
from connectors.api.validators import regex_list

__all__ = ["check_groups", "create_missing", "topic_to_create"]

GROUPS: Final = "topic.creation.groups"
_PREFIX: Final = "topic.creation."
_DEFAULT: Final = "default"


async def create_missing(
    topics: Iterable[str], connection: dict[str, Any], props: Mapping[str, str], prefix: str
) -> None:
    """Create those of a source's topics that are not there.

    Args:
        topics: Their names, without the prefix.
        connection: Options of librdkafka's admin client.
        props: The connector's options.
        prefix: Put before each name (Heroku's shared Kafka).

    Raises:
        FatalError: Kafka refuses one.
    """
    # Not kept: a client has threads and buffers of its own, and new topics are rare.
    admin = AdminClient(connection)
    existing = (await asyncio.to_thread(admin.list_topics, timeout=30)).topics
    missing = [topic_to_create(topic, props, prefix) for topic in sorted(topics) if prefix + topic not in existing]
    if not missing:
        return
    for topic, future in admin.create_topics(missing).items():
        try:
            await asyncio.wrap_future(future)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise FatalError(f"topic {topic} could not be created: {error.args[0].str()}") from error


def topic_to_create(topic: str, props: Mapping[str, str], prefix: str = "") -> NewTopic:
    """Return what to ask Kafka for.

    Args:
        topic: The topic's name; `include` and `exclude` are about it.
        props: The connector's options.
        prefix: Put before the name (Heroku's shared Kafka).
    """
    options = _options(_DEFAULT, props)
    group = next((group for group in _groups(props) if _belongs(topic, _options(group, props))), _DEFAULT)
    partitions, replicas = options.pop("partitions", "1"), options.pop("replication.factor", "-1")
    if group != _DEFAULT:
        options = _options(group, props)
        partitions = options.pop("partitions", partitions)
        replicas = options.pop("replication.factor", replicas)
    config = {name: value for name, value in options.items() if name not in ("include", "exclude")}
    return NewTopic(prefix + topic, int(partitions), int(replicas), config=config)


def check_groups(checked: dict[str, ConfigValue], props: Mapping[str, str]) -> None:
    """Check that groups are named, and that each says which topics it is for."""
    groups = _groups(props)
    for name, text in props.items():
        group, _, option = name.removeprefix(_PREFIX).partition(".")
        if not name.startswith(_PREFIX) or name == GROUPS or not option:
            continue
        errors = checked.setdefault(name, ConfigValue(name)).errors
        if group not in (*groups, _DEFAULT):
            errors.append(f"Option {name}: {group} is not in {GROUPS}")
        elif option in ("include", "exclude"):
            try:
                regex_list(name, _list(text))
            except ConfigError as error:
                errors.append(str(error))
        elif option in ("partitions", "replication.factor") and not re.fullmatch(r"-1|[1-9]\d*", text.strip()):
            errors.append(f"Option {name}: {text} is no number of 1 or more, nor -1")
    for group in groups:
        needed = f"{_PREFIX}{group}.include"
        if group == _DEFAULT:
            checked[GROUPS].errors.append(f"Option {GROUPS}: default is always there and has no include")
        elif not props.get(needed):
            entry = checked.setdefault(needed, ConfigValue(needed))
            entry.errors.append(f"Missing required option {needed}: regular expressions of the topics of {group}")


def _groups(props: Mapping[str, str]) -> list[str]:
    return _list(props.get(GROUPS, ""))


def _list(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _options(group: str, props: Mapping[str, str]) -> dict[str, str]:
    prefix = f"{_PREFIX}{group}."
    return {name.removeprefix(prefix): value for name, value in props.items() if name.startswith(prefix)}


def _belongs(topic: str, options: Mapping[str, str]) -> bool:
    def matches(option: str) -> bool:
        return any(re.fullmatch(pattern, topic) for pattern in _list(options.get(option, "")))

    return matches("include") and not matches("exclude")
