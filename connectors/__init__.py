"""A Kafka Connect-style plugin framework on Faust: the names that a plugin author needs."""

from connectors.api.config import ConfigDef, ConfigValue, Importance, Password, Recommendation, Type, Width
from connectors.api.connector import Connector, Task
from connectors.api.converter import Converter
from connectors.api.errors import ConfigError, ConnectError, DataError, FatalError, RetriableError
from connectors.api.provider import ConfigProvider
from connectors.api.record import Headers, RecordMetadata, SinkRecord, SourceRecord, TopicPartition
from connectors.api.sink import SinkConnector, SinkTask
from connectors.api.source import SourceConnector, SourceConnectorContext, SourceTask
from connectors.api.transform import Predicate, Transform

__all__ = [
    "ConfigDef",
    "ConfigError",
    "ConfigProvider",
    "ConfigValue",
    "ConnectError",
    "Connector",
    "Converter",
    "DataError",
    "FatalError",
    "Headers",
    "Importance",
    "Password",
    "Predicate",
    "Recommendation",
    "RecordMetadata",
    "RetriableError",
    "SinkConnector",
    "SinkRecord",
    "SinkTask",
    "SourceConnector",
    "SourceConnectorContext",
    "SourceRecord",
    "SourceTask",
    "Task",
    "TopicPartition",
    "Transform",
    "Type",
    "Width",
]
