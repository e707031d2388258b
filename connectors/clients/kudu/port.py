"""The port: all that the rest of the program knows of Kudu.

Values cross it in storage form, one form a type, so that a back end has nothing left to decide:

| Kudu type                | Python value                                     |
|--------------------------|--------------------------------------------------|
| BOOL                     | bool                                             |
| INT8, INT16, INT32, INT64| int                                              |
| UNIXTIME_MICROS          | int, microseconds since 1970 UTC                 |
| DATE                     | int, days since 1970                             |
| DECIMAL                  | int, unscaled: 12.34 in a column of scale 2 is 1234 |
| FLOAT, DOUBLE            | float                                            |
| STRING, VARCHAR          | bytes, UTF-8                                     |
| BINARY                   | bytes                                            |

None is NULL; `UNSET` leaves a column as it is, and on a new row gives it its default or NULL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from enum import Enum, IntEnum
from typing import Any, Final, Protocol

__all__ = [
    "AWAY",
    "UNSET",
    "ColumnSpec",
    "FailureKind",
    "KuduClient",
    "Layout",
    "OpKind",
    "RowFailure",
    "RowOp",
    "Table",
    "to_python",
]


class _Unset:
    __slots__ = ()

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = _Unset()
"""Stands in the place of a column that an operation does not touch."""


class OpKind(IntEnum):
    """What an operation does; the numbers are those of the Java helper."""

    UPSERT = 0
    INSERT_IGNORE = 1
    DELETE_IGNORE = 2


class FailureKind(Enum):
    """Why an operation was not done, by what can be done about it."""

    NOT_FOUND = "not_found"
    ALREADY_PRESENT = "already_present"
    INVALID = "invalid"
    TIMEOUT = "timeout"
    UNAVAILABLE = "unavailable"
    SCHEMA_CHANGED = "schema_changed"
    NOT_AUTHORIZED = "not_authorized"
    FATAL = "fatal"


AWAY: Final = frozenset({FailureKind.TIMEOUT, FailureKind.UNAVAILABLE})
"""The server is out of reach: nothing behind such a failure is tried, as each try would take as long again."""


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """A column as it is, or as it shall be created.

    Attributes:
        name: Its name.
        type: Kudu's type name in capitals, e.g. `UNIXTIME_MICROS`.
        key: Whether it belongs to the primary key; key columns come first in a table.
        nullable: Whether it may be NULL.
        has_default: Whether a row that does not set it gets a default other than NULL.
        precision: Digits of a DECIMAL.
        scale: Digits of a DECIMAL after the point.
        length: Most characters of a VARCHAR.
    """

    name: str
    type: str
    key: bool = False
    nullable: bool = False
    has_default: bool = False
    precision: int = 0
    scale: int = 0
    length: int = 0

    @property
    def type_text(self) -> str:
        """The type as a person writes it, e.g. `DECIMAL(10,2)`."""
        if self.type == "DECIMAL":
            return f"DECIMAL({self.precision},{self.scale})"
        return f"VARCHAR({self.length})" if self.type == "VARCHAR" else self.type


@dataclass(frozen=True, slots=True)
class Layout:
    """How a new table's rows are spread over tablets.

    Attributes:
        hash_on: Key columns that are hashed; none where the table has ranges only.
        hash_buckets: Number of hash buckets, at least 2.
        range_on: Key column whose ranges have tablets of their own; empty for none.
        splits: Where one range ends and the next begins, in storage form; the outer ranges have no end.
        replicas: Copies of each tablet, odd; 0 leaves it to the cluster.
    """

    hash_on: tuple[str, ...] = ()
    hash_buckets: int = 0
    range_on: str = ""
    splits: tuple[Any, ...] = ()
    replicas: int = 0


@dataclass(slots=True)
class Table:
    """An open table.

    Attributes:
        name: Its name.
        columns: All columns, those of the key first.
        handle: The back end's own object.
    """

    name: str
    columns: tuple[ColumnSpec, ...]
    handle: Any = None

    @property
    def key_size(self) -> int:
        """Number of key columns."""
        return sum(1 for column in self.columns if column.key)


@dataclass(slots=True, eq=False)
class RowOp:
    """One operation.

    Attributes:
        kind: What it does.
        values: One value for each column of the table, in its order; a delete reads those of the key only.
    """

    kind: OpKind
    values: Sequence[Any]


@dataclass(frozen=True, slots=True)
class RowFailure:
    """An operation that was not done, or of which that is unknown.

    Attributes:
        kind: Why.
        index: Its place in the batch.
        text: Kudu's own words.
    """

    kind: FailureKind
    index: int
    text: str


class KuduClient(Protocol):
    """A connection to a Kudu cluster. All methods block and are to be called from one thread at a time."""

    def open_table(self, name: str) -> Table:
        """Look up a table.

        Raises:
            MissingTableError: There is no such table.
            RetriableError: The masters do not answer.
            FatalError: Access is refused.
        """

    def reopen(self, table: Table) -> Table:
        """Look up a table again after its schema changed. Raises what `open_table` raises."""

    def write_batch(self, table: Table, ops: Sequence[RowOp]) -> list[RowFailure]:
        """Carry out operations, those of one key in their order.

        Args:
            table: The table.
            ops: Valid operations, any number.

        Returns:
            What failed; all others are durable. Never raises for what Kudu refused.
        """

    def create_table(self, name: str, columns: Sequence[ColumnSpec], layout: Layout) -> Table:
        """Create a table.

        Args:
            name: Its name.
            columns: Its columns, those of the key first.
            layout: How its rows are spread.

        Raises:
            ConfigError: There is such a table, or the columns cannot make one.
        """

    def add_columns(self, table: Table, columns: Sequence[ColumnSpec]) -> None:
        """Add nullable columns to a table; open handles do not know them.

        Raises:
            ConfigError: There is such a column, or it cannot be.
        """

    def drop_table(self, name: str) -> None:
        """Delete a table. Raises what `open_table` raises."""

    def scan(self, name: str) -> Iterator[dict[str, Any]]:
        """Stream all rows of a table, values in the form of `to_python`. Raises what `open_table` raises."""

    def close(self) -> None:
        """Disconnect. May be called more than once."""


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Python's own default of 28 digits would round a DECIMAL(38).
_WIDE: Final = Context(prec=40)


def to_python(column: ColumnSpec, value: Any) -> Any:
    """Return the usual Python value for one in storage form: str, Decimal, datetime in UTC, date."""
    if value is None:
        return None
    match column.type:
        case "STRING" | "VARCHAR":
            return value.decode()
        case "DECIMAL":
            return Decimal(value).scaleb(-column.scale, _WIDE)
        case "UNIXTIME_MICROS":
            return _EPOCH + timedelta(microseconds=value)
        case "DATE":
            return date.fromordinal(_EPOCH.toordinal() + value)
        case "BOOL":
            return bool(value)
        case _:
            return value
