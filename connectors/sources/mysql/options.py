"""The options of `MySqlBinlogSource`."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.api.errors import ConfigError
from connectors.formats.temporal import zone_of
from connectors.sources.mysql.column_rules import column_rules
from connectors.sources.mysql.connection import Address, Tls
from connectors.sources.mysql.definition import CONFIG
from connectors.sources.mysql.fields import Rendering
from connectors.sources.mysql.filters import TableFilter, TopicName
from connectors.sources.mysql.predicate import Condition
from connectors.sources.mysql.routing import DynamicTopics, PartitionCounts, PartitionRule, Routing
from connectors.sources.mysql.rules import Rules
from connectors.sources.mysql.start import StartPosition, start_position

__all__ = ["CONFIG", "Settings", "check_together", "read_settings"]

_ROW_FILTER = "row.filter."


@dataclass(frozen=True, slots=True)
class Settings:
    """The options, parsed.

    Attributes:
        address: The server.
        server_id: Id of this reader.
        filter: Which tables.
        rules: What is done with their rows.
        ddl_topic: Where schema changes go; None: to the table's topic.
        transaction_topic: Where BEGIN and END of transactions go; None: nowhere.
        per_event: Whether all rows of an event are one message.
        snapshot_mode: When to read all rows: initial, never, when_needed or initial_only.
        snapshot_type: `type` of a snapshot's messages.
        chunk_rows: Rows of a table that a snapshot reads in one statement.
        signal_table: (schema, table) of signals, or None.
        history: Whether table layouts are kept here.
        statement_topic: Where the texts of statements go that stand beside their rows; None: nowhere.
        start: Where to start without a snapshot and a stored offset.
        change_time: Whether a record's timestamp is the time of the change, not that of sending.
        rendering: Choices of text form.
        max_batch: Most records handed over at once.
        max_queue_bytes: Most bytes that wait.
    """

    address: Address
    server_id: int
    filter: TableFilter
    rules: Rules
    ddl_topic: TopicName | None
    transaction_topic: str | None
    per_event: bool
    snapshot_mode: str
    snapshot_type: str
    chunk_rows: int
    signal_table: tuple[str, str] | None
    history: bool
    statement_topic: TopicName | None
    change_time: bool
    start: StartPosition
    rendering: Rendering
    max_batch: int
    max_queue_bytes: int

    @property
    def snapshot(self) -> bool:
        """Whether to read all rows first where there is no stored offset."""
        return self.snapshot_mode != "never"

    @property
    def source_partition(self) -> dict[str, Any]:
        """What offsets are stored under."""
        return {"server": str(self.address)}


def check_together(values: Mapping[str, Any]) -> None:
    """Check what single options cannot tell.

    Raises:
        ConfigError: Two options contradict each other.
    """
    if values["rows.per.message"] == "event" and values["message.key"] == "primary-key":
        raise ConfigError(
            "Option rows.per.message=event needs message.key=none: the rows of an event have different keys",
            key="rows.per.message",
        )
    if values["snapshot.mode"] not in (None, "never") and values["start.position"] is not None:
        raise ConfigError(
            "Option start.position needs snapshot.mode=never: a snapshot sets the position itself",
            key="start.position",
        )
    if values["partition.hash"] and not values["partition.count"]:
        raise ConfigError("Option partition.hash needs partition.count", key="partition.count")
    if values["message.key.columns"] and values["message.key"] == "none":
        raise ConfigError("Option message.key.columns needs message.key=primary-key", key="message.key.columns")
    column_rules(values)


def read_settings(props: Mapping[str, Any], connector: str) -> Settings:
    """Parse the options.

    Args:
        props: Options as given.
        connector: Name of the connector.

    Raises:
        ConfigError: One or more of them cannot be used.
    """
    values = CONFIG.parse(props)
    check_together(values)
    keyed = values["message.key"] == "primary-key"
    start, signals = values["start.position"], values["signal.table"]
    rendering = Rendering(
        zone_of(values["time.zone"]),
        values["enum.mode"],
        values["binary.mode"],
        values["canal.compat"] == "exact",
        values["tinyint1"] == "bit",
    )
    return Settings(
        _address(values),
        values["database.server.id"] or 0x80000000 | zlib.crc32(connector.encode()) & 0x7FFFFFFF,
        TableFilter(values["database.include.list"], values["table.include.list"], values["table.exclude.list"]),
        _rules(values, keyed=keyed),
        TopicName("topic.ddl", values["topic.ddl"]) if values["topic.ddl"] else None,
        values["topic.transaction"],
        values["rows.per.message"] == "event" or (not keyed and values["rows.per.message"] is None),
        values["snapshot.mode"] or ("initial" if start is None else "never"),
        values["snapshot.type"],
        values["snapshot.chunk.rows"],
        (signals.partition(".")[0], signals.partition(".")[2]) if signals else None,
        values["schema.history"],
        TopicName("topic.statements", values["topic.statements"]) if values["topic.statements"] else None,
        values["record.timestamp"] == "change",
        start_position("start.position", start or "latest"),
        rendering,
        values["max.batch.size"],
        values["max.queue.bytes"],
    )


def _address(values: Mapping[str, Any]) -> Address:
    tls = Tls(*(values[f"database.ssl.{name}"] for name in ("mode", "ca", "cert", "key")))
    host, port, user, password = (values[f"database.{name}"] for name in ("hostname", "port", "user", "password"))
    return Address(host, port, user, password, tls)


def _rules(values: Mapping[str, Any], *, keyed: bool) -> Rules:
    keys = PartitionRule.parse("message.key.columns", values["message.key.columns"] or "")
    return Rules(
        _routing(values),
        column_rules(values),
        tuple(
            (name.removeprefix(_ROW_FILTER), Condition(name, text))
            for name, text in values.items()
            if name.startswith(_ROW_FILTER)
        ),
        tuple((rule.matches, rule.columns) for rule in keys if rule.columns),
        keyed,
        frozenset(values["skipped.operations"]) - {"none"},
        values["skip.messages.without.change"],
        values["enum.mode"] == "label",
        values["canal.compat"] == "exact",
    )


def _routing(values: Mapping[str, Any]) -> Routing:
    dynamic, counts = values["dynamic.topic"], values["partition.count"]
    return Routing(
        TopicName("topic", values["topic"]),
        DynamicTopics("dynamic.topic", dynamic) if dynamic else None,
        PartitionCounts("partition.count", counts) if counts else None,
        tuple(PartitionRule.parse("partition.hash", values["partition.hash"] or "")),
        values["partition.hash.database"],
    )
