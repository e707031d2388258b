"""What sources and sinks have in common: the connector, which plans, and the task, which works."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final, Protocol

from connectors.api.config import ConfigDef, ConfigValue

__all__ = ["Connector", "ConnectorContext", "Task"]

Props = Mapping[str, str]

_TOPICS: Final = frozenset({"topics", "topics.regex"})
"""Options of every sink that its tasks are given too, as its own options may refer to topics."""


class ConnectorContext(Protocol):
    """What a connector may ask of the runtime."""

    def request_task_reconfiguration(self) -> None:
        """Have `task_configs` called again, because the source or target changed."""

    def raise_error(self, error: Exception) -> None:
        """Fail the connector from a background thread."""


class Task(ABC):
    """A unit of work. Methods may be coroutines or plain functions; plain ones run in a thread of the task.

    Called in this order: `start`, the work of the subclass, `stop`. Nothing is called after `stop`; after a crash
    `stop` may not have been called.
    """

    @property
    def version(self) -> str:
        """Version shown in status and logs."""
        return "0"

    @abstractmethod
    def start(self, props: Props) -> Any:
        """Open connections.

        Args:
            props: The task's configuration, all values as text, secrets resolved.

        Raises:
            RetriableError: Not possible for now; the runtime calls again after a back-off.
            ConfigError: The configuration is at fault; the task fails with this sentence.
        """

    @abstractmethod
    def stop(self) -> Any:
        """Release everything. Called once, also after a failed `start`."""


class Connector(ABC):
    """Validates a configuration and splits the work into tasks. Does not move data itself."""

    context: ConnectorContext

    def initialize(self, context: ConnectorContext) -> None:
        """Receive the runtime's context. Called once, before `start`."""
        self.context = context

    @property
    def version(self) -> str:
        """Version shown in the plugin list."""
        return "0"

    def start(self, props: Props) -> Any:
        """Take the configuration. The default keeps it for `task_configs`."""
        self.props = dict(props)

    def stop(self) -> Any:
        """Release what `start` opened."""
        return

    @classmethod
    @abstractmethod
    def task_class(cls) -> type[Task]:
        """Return the class of the tasks."""

    def task_configs(self, max_tasks: int) -> list[dict[str, str]]:
        """Return one configuration for each task, at most `max_tasks`. The default is a single task."""
        del max_tasks
        return [dict(self.props)]

    @classmethod
    @abstractmethod
    def config(cls) -> ConfigDef:
        """Return the plugin's own options; the runtime adds those that every connector has."""

    @classmethod
    def parse(cls, props: Props) -> dict[str, Any]:
        """Return the plugin's own options with their types, defaults filled in; what `Task.start` begins with.

        Args:
            props: What `start` got: the plugin's own options, and the topics of a sink, which are left out here
                unless the plugin defines them.

        Raises:
            ConfigError: One or more options cannot be used.
        """
        own = cls.config()
        return own.parse({name: value for name, value in props.items() if name not in _TOPICS or name in own})

    @classmethod
    def probe(cls, props: Props) -> Any:
        """Try to reach the system that a valid configuration names, and change nothing there; may be a coroutine.

        What `connectors deploy --dry-run` asks for. The default has nothing to reach.

        Args:
            props: What a task's `start` would get.

        Raises:
            ConnectError: It cannot be reached or used; the message says why and what to do.
        """
        del props
        return

    @classmethod
    def validate(cls, props: Props) -> list[ConfigValue]:
        """Check a configuration without opening a connection.

        Args:
            props: The plugin's own options.

        Returns:
            One entry for each option, errors inside.
        """
        return cls.config().validate(props)
