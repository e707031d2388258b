"""Sink for Apache Kudu: Canal messages and plain JSON objects to upserts and deletes."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.api.config import ConfigDef, ConfigValue
from connectors.api.sink import SinkConnector
from connectors.clients.kudu.backend import open_client
from connectors.sinks.kudu.options import DEFINITION, SinkOptions
from connectors.sinks.kudu.task import KuduSinkTask

__all__ = ["KuduSink", "KuduSinkTask"]


class KuduSink(SinkConnector):
    """Writes row changes to Kudu tables, at least once and idempotent."""

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the sink's own options."""
        return DEFINITION

    @classmethod
    def task_class(cls) -> type[KuduSinkTask]:
        """Return the class of the tasks."""
        return KuduSinkTask

    def task_configs(self, max_tasks: int) -> list[dict[str, str]]:
        """Return the same configuration for each task: the tasks share the partitions."""
        return [dict(self.props) for _ in range(max_tasks)]

    @classmethod
    def probe(cls, props: Mapping[str, str]) -> None:
        """Connect, and disconnect."""
        open_client(SinkOptions.of(props).settings).close()

    @classmethod
    def validate(cls, props: Mapping[str, str]) -> list[ConfigValue]:
        """Check the options, also that each topic option names a topic of the sink and each mapping can be read."""
        values = super().validate({name: value for name, value in props.items() if name != "topics"})
        if not any(value.errors for value in values):
            by_name = {value.name: value for value in values}
            for error in SinkOptions.of(props).errors():
                by_name[str(error.key)].errors.append(str(error))
        return values
