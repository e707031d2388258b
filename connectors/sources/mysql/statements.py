"""Texts of statements that the binlog holds beside their rows: `binlog_rows_query_log_events`, MariaDB's annotations.

Source: reference Canal 1.1.7, `LogEventConvert.parseRowsQueryEvent` and `parseAnnotateRowsEvent`. Unlike there, the
texts of statements without rows of the chosen tables are left out.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from connectors.sources.mysql.columns import Table
from connectors.sources.mysql.plan import Plan

__all__ = ["StatementTexts"]

_LAST_OF_STATEMENT: Final = 1
"""Flag of a statement's last row event."""


class StatementTexts:
    """Keeps the text of the running statement until its first row event of a chosen table.

    Args:
        plan: What to do.
        skipped: Kinds of row events that are left out, in capitals.
    """

    def __init__(self, plan: Plan, skipped: Container[str]) -> None:
        self._plan = plan
        self._skipped = skipped
        self.text: str | None = None

    def remember(self, data: bytes) -> None:
        """Take the text of the statement that begins."""
        self.text = data.decode("utf-8", "replace")

    def before(self, kind: str, body: bytes, table: Table | None) -> tuple[str, str, str] | None:
        """Return topic, table and text of the message to be sent before a row event, or None.

        Args:
            kind: INSERT, UPDATE or DELETE.
            body: The event after its header.
            table: Its table, or None where that is not chosen.
        """
        text, topic = self.text, self._plan.statement_topic
        if table is None or kind in self._skipped:
            if body[6] & _LAST_OF_STATEMENT:
                self.text = None
            return None
        self.text = None
        if text is None or topic is None or (table.database, table.name) == self._plan.signal_table:
            return None
        # Canal takes the name from the statement, and of MariaDB's annotations none.
        name = table.name if self._plan.flavor == "mysql" else ""
        return topic.of(table.database, table.name), name, text
