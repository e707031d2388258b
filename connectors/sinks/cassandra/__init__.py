"""`CassandraSink`: row changes and plain objects into Cassandra tables."""

from __future__ import annotations

from typing import Any

from connectors.api.config import ConfigDef, ConfigValue
from connectors.api.connector import Props, Task
from connectors.api.sink import SinkConnector
from connectors.clients.cassandra import CassandraClient
from connectors.sinks.cassandra.config import check_topics, parse_settings
from connectors.sinks.cassandra.options import CONFIG
from connectors.sinks.cassandra.task import CassandraSinkTask

__all__ = ["CassandraSink", "CassandraSinkTask"]


class CassandraSink(SinkConnector):
    """Writes row changes to Cassandra, each with its place in the order as the write timestamp.

    Source: the options follow the DataStax Apache Kafka Connector.
    """

    @classmethod
    def task_class(cls) -> type[Task]:
        """Return `CassandraSinkTask`."""
        return CassandraSinkTask

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        return CONFIG

    @classmethod
    async def probe(cls, props: Props) -> None:
        """Connect, and disconnect."""
        client = CassandraClient(parse_settings(props).client)
        try:
            await client.connect()
        finally:
            await client.close()

    @classmethod
    def validate(cls, props: Props) -> list[ConfigValue]:
        """Check a configuration without a connection; the live schema is checked when a task starts."""
        found = super().validate(props)
        errors = check_topics(props)
        return [*found, ConfigValue("topics", props.get("topics"), errors)] if errors else found

    def task_configs(self, max_tasks: int) -> list[dict[str, str]]:
        """Return the same configuration for each task: they share the partitions."""
        props: dict[str, Any] = dict(self.props)
        return [props for _ in range(max_tasks)]
