"""The connector: options and the single task."""

from __future__ import annotations

from connectors.api.config import ConfigDef, ConfigValue
from connectors.api.connector import Props
from connectors.api.errors import ConfigError
from connectors.api.source import SourceConnector
from connectors.sources.mysql.incremental import SIGNALS
from connectors.sources.mysql.options import CONFIG, check_together, read_settings
from connectors.sources.mysql.preflight import inspect
from connectors.sources.mysql.queries import queries
from connectors.sources.mysql.task import MySqlBinlogTask

__all__ = ["MySqlBinlogSource"]


class MySqlBinlogSource(SourceConnector):
    """Reads the binlog of MySQL 8.0.14+ or MariaDB 10.5+ and writes Canal's flat messages.

    One task, whatever `tasks.max` says: a binlog is one sequence.
    """

    @classmethod
    def exactly_once_support(cls, props: Props) -> bool:
        """Return whether transactions make it exactly once: every batch ends with the offset behind it."""
        del props
        return True

    @classmethod
    def signals(cls) -> tuple[str, ...]:
        """Return what may be asked for: snapshots of single tables while streaming goes on."""
        return SIGNALS

    @classmethod
    def task_class(cls) -> type[MySqlBinlogTask]:
        """Return the class of the task."""
        return MySqlBinlogTask

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        return CONFIG

    @classmethod
    def probe(cls, props: Props) -> None:
        """Connect, and check the server's settings and the user's grants."""
        settings = read_settings(props, "probe")
        with queries(settings.address) as ask:
            inspect(ask, str(settings.address), history=settings.history)

    @classmethod
    def validate(cls, props: Props) -> list[ConfigValue]:
        """Check the options, also those that contradict each other, without connecting."""
        found = super().validate(props)
        if not any(value.errors for value in found):
            try:
                check_together({value.name: value.value for value in found})
            except ConfigError as error:
                next(value for value in found if value.name == error.key).errors.append(str(error))
        return found
