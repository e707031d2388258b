"""A worker's settings, read from the environment."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from connectors.api.errors import ConfigError, did_you_mean
from connectors.clients.kafka import KafkaSettings
from connectors.runtime.override_policy import policy
from connectors.runtime.rest_settings import RestSettings

__all__ = ["Role", "WorkerSettings"]

Role = Literal["source", "sink", "all"]
_ROLES: tuple[Role, ...] = ("source", "sink", "all")


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Settings of one worker.

    Attributes:
        kafka: How to reach Kafka.
        cluster: Name of the cluster of workers; prefix of its internal topics and its group.
        role: Which tasks it takes.
        rest: How REST is reached, and by whom.
        worker_id: Name among the workers; stable over a restart, so that a worker gets its own tasks back.
        exactly_once_source: Whether sources with `exactly.once.support=requested` write in transactions.
    """

    kafka: KafkaSettings
    cluster: str = "connect"
    role: Role = "all"
    rest: RestSettings = field(default_factory=RestSettings)
    worker_id: str = ""
    exactly_once_source: bool = False

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> WorkerSettings:
        """Read `CONNECTORS_CLUSTER`, `_ROLE`, `_REST_*`, `_WORKER_ID`, `PORT` and `KAFKA_*`.

        `CONNECTORS_EXACTLY_ONCE_SOURCE_SUPPORT` is `enabled` or `disabled`,
        `CONNECTORS_CLIENT_CONFIG_OVERRIDE_POLICY` is `All`, `None` or `Principal`.

        Raises:
            ConfigError: A value cannot be used.
        """
        env = os.environ if env is None else env
        policy(env)  # read where it counts, told here where it is wrong
        port = _port(env)
        return cls(
            kafka=KafkaSettings.from_env(env),
            cluster=env.get("CONNECTORS_CLUSTER", "connect"),
            role=_role(env.get("CONNECTORS_ROLE", "all")),
            rest=RestSettings.from_env(env, port),
            worker_id=env.get("CONNECTORS_WORKER_ID") or f"{socket.gethostname()}:{port}",
            exactly_once_source=_enabled(env, "CONNECTORS_EXACTLY_ONCE_SOURCE_SUPPORT"),
        )

    @property
    def rest_url(self) -> str:
        """Where this worker's REST answers."""
        return self.rest.url

    def internal(self, name: str) -> str:
        """Return the name of an internal topic or group: `configs`, `offsets`, `status`, `workers`."""
        return f"{self.kafka.prefix}{self.cluster}-{name}"

    def group(self, connector: str) -> str:
        """Return the consumer group of a sink connector."""
        return f"{self.kafka.prefix}connect-{connector}"


def _role(text: str) -> Role:
    for role in _ROLES:
        if text == role:
            return role
    near = did_you_mean(text, _ROLES)
    raise ConfigError(f"CONNECTORS_ROLE: {text!r} is not one of {', '.join(_ROLES)}{near}", key="CONNECTORS_ROLE")


def _enabled(env: Mapping[str, str], name: str) -> bool:
    text = env.get(name) or "disabled"
    if text not in ("disabled", "enabled"):
        raise ConfigError(f"{name}: {text!r} is not one of disabled, enabled", key=name)
    return text == "enabled"


def _port(env: Mapping[str, str]) -> int:
    name = "PORT" if env.get("PORT") else "CONNECTORS_REST_PORT"
    text = env.get(name) or "8083"
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise ConfigError(f"{name}: {text!r} is no port", key=name)
    return int(text)
