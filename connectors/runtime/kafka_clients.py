"""What librdkafka's clients of a task have in common."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, Literal

from confluent_kafka import KafkaError

from connectors.runtime.override_policy import check_override
from connectors.runtime.settings import WorkerSettings
from connectors.runtime.state import TaskId

__all__ = ["Client", "client_options", "group_of", "overrides"]

log = logging.getLogger(__name__)

Client = Literal["producer", "consumer", "admin"]


class _Seldom:
    """Logs a client's connection errors, at most one in a while: they come many a second while Kafka is away."""

    PAUSE_S = 30.0

    def __init__(self, task_id: TaskId, servers: str) -> None:
        self._task_id = task_id
        self._servers = servers
        self._next = 0.0

    def __call__(self, error: KafkaError) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self.PAUSE_S
            log.warning("%s: Kafka at %s: %s", self._task_id, self._servers, error.str())


def client_options(settings: WorkerSettings, task_id: TaskId) -> dict[str, Any]:
    """Return the connection options of a task's client."""
    quiet = {"log_level": 2, "error_cb": _Seldom(task_id, settings.kafka.bootstrap_servers)}
    return settings.kafka.librdkafka() | quiet


def overrides(props: Mapping[str, str], kind: Client) -> dict[str, str]:
    """Return the client options that a connector sets, e.g. with `producer.override.linger.ms` for kind `producer`.

    Raises:
        ConfigError: The worker's policy does not allow one of them.
    """
    prefix = f"{kind}.override."
    given = [name for name in props if name.startswith(prefix)]
    for name in given:
        check_override(name)
    return {name.removeprefix(prefix): props[name] for name in given}


def group_of(settings: WorkerSettings, connector: str, props: Mapping[str, str]) -> str:
    """Return the consumer group of a sink: its own, or the one that `consumer.override.group.id` names."""
    return overrides(props, "consumer").get("group.id") or settings.group(connector)
