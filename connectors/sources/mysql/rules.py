"""What is done with a table's rows: the options of filters, columns and routing, put together for one layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from connectors.api.errors import ConfigError
from connectors.sources.mysql.column_rules import ChangeText, ColumnRules
from connectors.sources.mysql.columns import Table
from connectors.sources.mysql.filters import TopicName
from connectors.sources.mysql.predicate import Condition, Predicate, compile_condition
from connectors.sources.mysql.routing import Partitioner, Routing

__all__ = ["OPERATIONS", "Rules", "TableRules"]

OPERATIONS = ("insert", "update", "delete", "truncate", "ddl", "none")
"""What may be left out."""


@dataclass(frozen=True, slots=True)
class TableRules:
    """The rules of one table layout.

    Attributes:
        topic: Topic of its rows.
        dropped: Positions of the columns that are not sent.
        changed: What is done to the texts of columns, by position.
        key: Positions of the columns of the Kafka key.
        key_changes: Whether an UPDATE of the key becomes a DELETE and an INSERT.
        predicate: Which rows are sent; None: all.
        partitioner: How they are divided; None: by key, or not at all.
        skip_unchanged: Whether an UPDATE that changes no column that is sent is left out.
        exact: Whether Canal's quirks are kept.
    """

    topic: str
    dropped: frozenset[int] = frozenset()
    changed: Mapping[int, ChangeText] = field(default_factory=dict)
    key: tuple[int, ...] = ()
    key_changes: bool = True
    predicate: Predicate | None = None
    partitioner: Partitioner | None = None
    skip_unchanged: bool = False
    exact: bool = False

    @property
    def looked_at(self) -> tuple[int, ...]:
        """Positions of the columns whose values decide something, or stand in the key without being sent."""
        found = {index for index in self.key if index in self.dropped}
        for part in (self.predicate, self.partitioner):
            found.update(part.columns if part is not None else ())
        return tuple(sorted(found))


def _default_routing() -> Routing:
    return Routing(TopicName("topic", "${database}.${table}"))


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of all tables.

    Attributes:
        routing: Topics and partitions.
        columns: Which columns, and how.
        filters: Conditions by pattern of `schema.table`, in which `*` stands for any characters.
        keys: Columns of the Kafka key, by what tells whether a `schema.table` has them.
        keyed: Whether records have a key.
        skipped: Operations that are left out, of `OPERATIONS`.
        skip_unchanged: Whether an UPDATE that changes no column that is sent is left out.
        labels: Whether ENUM and SET are written as labels.
        exact: Whether Canal's quirks are kept.
    """

    routing: Routing = field(default_factory=_default_routing)
    columns: ColumnRules = field(default_factory=ColumnRules)
    filters: tuple[tuple[str, Condition], ...] = ()
    keys: tuple[tuple[Callable[[str], bool], tuple[str, ...]], ...] = ()
    keyed: bool = True
    skipped: frozenset[str] = frozenset()
    skip_unchanged: bool = False
    labels: bool = False
    exact: bool = False

    def of(self, table: Table) -> TableRules:
        """Return the rules of a table.

        Raises:
            ConfigError: They do not fit its columns.
        """
        name = f"{table.database}.{table.name}"
        dropped, changed = self.columns.dropped(table), self.columns.changed(table)
        key = self._key(table, name)
        hidden = [table.columns[n].name for n in key if n in dropped and n in changed]
        if hidden:
            raise ConfigError(
                f"{name}: column {hidden[0]} of the key is left out and masked as well; its true value would stand in"
                " the Kafka key. Leave one of the two options away",
                key="column.exclude.list",
            )
        return TableRules(
            self.routing.topic_of(table.database, table.name),
            dropped,
            {n: change for n, change in changed.items() if n not in dropped},
            key,
            self.keyed,
            self._predicate(table, name),
            self.routing.partitioner(table),
            self.skip_unchanged,
            self.exact,
        )

    def _key(self, table: Table, name: str) -> tuple[int, ...]:
        if not self.keyed:
            return ()
        names: Sequence[str] | None = next((columns for matches, columns in self.keys if matches(name)), None)
        if names is None:
            return tuple(table.key)
        positions = {column.name: n for n, column in enumerate(table.columns)}
        missing = [column for column in names if column not in positions]
        if missing:
            raise ConfigError(
                f"Option message.key.columns: {name} has no column {missing[0]}", key="message.key.columns"
            )
        return tuple(sorted(positions[column] for column in names))

    def _predicate(self, table: Table, name: str) -> Predicate | None:
        condition = next((found for pattern, found in self.filters if fnmatchcase(name, pattern)), None)
        return compile_condition(condition, table, labels=self.labels) if condition is not None else None
