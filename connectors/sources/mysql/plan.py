"""What the readers have to know besides what they read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from connectors.sources.mysql.charsets import Charsets
from connectors.sources.mysql.fields import Rendering
from connectors.sources.mysql.filters import TableFilter, TopicName
from connectors.sources.mysql.history import SchemaHistory
from connectors.sources.mysql.rules import Rules

__all__ = ["ColumnTypes", "Plan"]

ColumnTypes = Callable[[str, str], dict[str, str]]
"""Takes database and table, returns the catalogue's present COLUMN_TYPE by column."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the stream has to know besides the events.

    Attributes:
        source_partition: Of every record.
        filter: Which tables.
        rules: What is done with their rows.
        ddl_topic: Where schema changes go; None: to the table's topic.
        transaction_topic: Where BEGIN and END of transactions go; None: nowhere.
        per_event: Whether all rows of an event are one message.
        rendering: Choices of text form.
        flavor: `mysql` or `mariadb`.
        server: Identity of the server.
        charsets: Character sets of the server.
        column_types: Asks the catalogue for what events do not tell.
        snapshot_type: `type` of a snapshot's messages.
        chunk_rows: Rows that a snapshot reads in one statement.
        signal_table: (schema, table) of signals, or None.
        history: Table layouts where events do not tell them, or None.
        statement_topic: Where the texts of statements go that the binlog holds beside their rows; None: nowhere.
        change_time: Whether a record's timestamp is the time of the change, not that of sending.
    """

    source_partition: dict[str, Any]
    filter: TableFilter = field(default_factory=TableFilter)
    rules: Rules = field(default_factory=Rules)
    ddl_topic: TopicName | None = None
    transaction_topic: str | None = None
    per_event: bool = False
    rendering: Rendering = field(default_factory=Rendering)
    flavor: str = "mysql"
    server: str = ""
    charsets: Charsets = field(default_factory=Charsets)
    column_types: ColumnTypes | None = None
    snapshot_type: str = "INSERT"
    chunk_rows: int = 20_000
    signal_table: tuple[str, str] | None = None
    history: SchemaHistory | None = None
    statement_topic: TopicName | None = None
    change_time: bool = False

    def timestamp_ms(self, commit_us: int) -> int | None:
        """Return the timestamp of a record about a change.

        Kafka deletes by timestamp: a record with the time of an old change may be gone before it is read.
        """
        return commit_us // 1000 if self.change_time else None
