"""The contract of config providers: where values of references such as `${vault:path:key}` come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

__all__ = ["ConfigProvider"]


class ConfigProvider(ABC):
    """Finds values for `${NAME:REFERENCE}`; NAME is that of its entry point (group `faust_connect.config_providers`).

    A worker makes one instance and asks it whenever a connector or task starts, from one thread.

    Args:
        environment: The worker's environment; options of the provider come from there, never from a connector.

    Source: Kafka Connect's `ConfigProvider`.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment

    @abstractmethod
    def get(self, reference: str) -> str:
        """Return the value.

        Args:
            reference: The text behind the colon.

        Raises:
            ConfigError: There is none, or it may not be used; the message holds no value.
        """
