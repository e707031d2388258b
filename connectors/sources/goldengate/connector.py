"""The connector: options, and how many tasks share the input."""

from __future__ import annotations

from connectors.api.config import ConfigDef, ConfigValue
from connectors.api.connector import Props
from connectors.api.errors import ConfigError
from connectors.api.source import SourceConnector
from connectors.sources.goldengate.options import CONFIG, TASK, check_together
from connectors.sources.goldengate.task import GoldenGateTask

__all__ = ["GoldenGateSource"]


class GoldenGateSource(SourceConnector):
    """Reads the JSON that Oracle GoldenGate writes, from files or a Kafka topic, and writes Canal's flat messages.

    A directory is one task's; the partitions of a topic are shared by `tasks.max` tasks.
    """

    @classmethod
    def exactly_once_support(cls, props: Props) -> bool:
        """Return whether transactions make it exactly once: every batch ends with the offset behind it."""
        del props
        return True

    @classmethod
    def task_class(cls) -> type[GoldenGateTask]:
        """Return the class of the tasks."""
        return GoldenGateTask

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        return CONFIG

    @classmethod
    def validate(cls, props: Props) -> list[ConfigValue]:
        """Check the options, also those that contradict each other."""
        found = super().validate(props)
        if not any(value.errors for value in found):
            try:
                check_together({value.name: value.value for value in found})
            except ConfigError as error:
                next(value for value in found if value.name == error.key).errors.append(str(error))
        return found

    def task_configs(self, max_tasks: int) -> list[dict[str, str]]:
        """Return the tasks' configurations."""
        count = max_tasks if self.props.get("goldengate.topic") else 1
        return [{**self.props, TASK: f"{number}/{count}"} for number in range(count)]
