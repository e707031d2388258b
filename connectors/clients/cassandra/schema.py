"""What the live schema says about a table, and whether a mapping fits it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.api.errors import did_you_mean
from connectors.clients.cassandra.nested import UserTypes
from connectors.clients.cassandra.types import is_supported

__all__ = ["TableSchema", "quote"]


def quote(name: str) -> str:
    """Return a name as CQL takes it whatever its letters are."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A table as the cluster has it.

    Attributes:
        keyspace: Its keyspace, exact.
        name: Its name, exact.
        columns: Column to CQL type.
        partition_key: Columns of the partition key, in order.
        clustering: Clustering columns, in order.
        user_types: User-defined types of the keyspace: their fields, in order, and the types of those.
        newest_first: Whether the first row of a partition is the one with the greatest first clustering column.
    """

    keyspace: str
    name: str
    columns: dict[str, str]
    partition_key: tuple[str, ...]
    clustering: tuple[str, ...] = ()
    newest_first: bool = True
    user_types: UserTypes = field(default_factory=dict)

    @classmethod
    def of(cls, metadata: Any, user_types: Mapping[str, Any] | None = None) -> TableSchema:
        """Return the schema in the driver's `TableMetadata`, and `UserType`s of its keyspace by name."""
        clustering = tuple(column.name for column in metadata.clustering_key)
        return cls(
            metadata.keyspace_name,
            metadata.name,
            {name: str(column.cql_type) for name, column in metadata.columns.items()},
            tuple(column.name for column in metadata.partition_key),
            clustering,
            not clustering or bool(metadata.clustering_key[0].is_reversed),
            {
                name: dict(zip(found.field_names, map(str, found.field_types), strict=True))
                for name, found in (user_types or {}).items()
            },
        )

    @property
    def key(self) -> tuple[str, ...]:
        """Columns of the primary key."""
        return self.partition_key + self.clustering

    @property
    def label(self) -> str:
        """Keyspace and table for messages."""
        return f"{self.keyspace}.{self.name}"

    @property
    def cql(self) -> str:
        """Keyspace and table for statements."""
        return f"{quote(self.keyspace)}.{quote(self.name)}"

    def find(self, column: str) -> str | None:
        """Return the exact name of a column: as written, else without regard to case."""
        if column in self.columns:
            return column
        return next((name for name in self.columns if name.lower() == column.lower()), None)

    def check(self, option: str, columns: Collection[str], *, key: Collection[str] | None = None) -> list[str]:
        """Return a sentence for everything that keeps rows with these columns from being written.

        Args:
            option: Name of the option that lists the columns, for the sentences.
            columns: Columns to be written.
            key: Key columns that must be among them; all of the primary key when left out.
        """
        if "counter" in self.columns.values():
            return [
                f"Option {option}: {self.label} has counters, whose updates cannot be repeated safely: a replay would "
                "count twice; write the rows to a table without counters and count there"
            ]
        errors = []
        found = {self.find(column) for column in columns}
        for column in columns:
            name = self.find(column)
            if name is None:
                near = did_you_mean(column, self.columns)
                errors.append(f"Option {option}: table {self.label} has no column {column}{near}")
            elif self.columns[name].startswith("list<"):
                errors.append(
                    f"Option {option}: list {self.label}.{name} is not frozen: a replay would append its elements once "
                    f"more; make it frozen<{self.columns[name]}> or a set, or leave the column out of the mapping"
                )
            elif not is_supported(self.columns[name], self.user_types):
                errors.append(f"Option {option}: type {self.columns[name]} of {self.label}.{name} is not supported")
        missing = [name for name in (self.key if key is None else key) if name not in found]
        errors += [f"Option {option}: key column {name} of {self.label} is not mapped" for name in missing]
        return errors
