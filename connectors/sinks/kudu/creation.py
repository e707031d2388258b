"""Tables and columns that the sink makes itself, from the types that Canal messages tell."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from connectors.api.errors import ConfigError, DataError
from connectors.clients.kudu.port import ColumnSpec, Layout
from connectors.formats.canal import RowChange
from connectors.sinks.kudu.options import TableOptions

__all__ = ["column_for", "columns_for", "layout_for"]

_TYPE: Final = re.compile(r"(\w+)(?:\((\d+)(?:,\s*(\d+))?[^)]*\))?(.*)", re.DOTALL)
_MOST_DIGITS: Final = 38
_PLAIN: Final = {
    "smallint": ("INT16", "INT32"),
    "tinyint": ("INT8", "INT16"),
    "mediumint": ("INT32", "INT32"),
    "int": ("INT32", "INT64"),
    "integer": ("INT32", "INT64"),
    "year": ("INT16", "INT16"),
    "bool": ("INT8", "INT8"),
    "boolean": ("INT8", "INT8"),
    "float": ("FLOAT", "FLOAT"),
    "double": ("DOUBLE", "DOUBLE"),
    "real": ("DOUBLE", "DOUBLE"),
    "date": ("DATE", "DATE"),
    "datetime": ("UNIXTIME_MICROS", "UNIXTIME_MICROS"),
    "timestamp": ("UNIXTIME_MICROS", "UNIXTIME_MICROS"),
    "binary": ("BINARY", "BINARY"),
    "varbinary": ("BINARY", "BINARY"),
    "tinyblob": ("BINARY", "BINARY"),
    "blob": ("BINARY", "BINARY"),
    "mediumblob": ("BINARY", "BINARY"),
    "longblob": ("BINARY", "BINARY"),
}
"""MySQL type to Kudu type, signed and unsigned; what is not here is text, which holds anything."""

_NO_KEYS: Final = frozenset({"FLOAT", "DOUBLE", "BOOL"})
_BUCKETS: Final = 4


def columns_for(options: TableOptions, change: RowChange) -> tuple[ColumnSpec, ...]:
    """Return the columns of a table for the rows of a topic, those of the key first and NOT NULL.

    Args:
        options: With the mapping.
        change: A change that tells the types of its columns and the names of its key.

    Raises:
        DataError: It does not, so somebody must create the table.
    """
    if not change.mysql_type or not change.key:
        raise DataError(
            f"table {options.table} does not exist, and auto.create needs a Canal message with pkNames and mysqlType;"
            " create the table"
        )
    if options.mapping is None:
        fields = {name: name for name in change.row}
    else:
        fields = {column: source.name for column, source in options.mapping.items() if source.kind == "value"}
    lost = [name for name in change.key if name not in fields.values()]
    if lost:
        raise DataError(f"table {options.table} cannot be created: key field {', '.join(lost)} has no column")
    by_field = {field: column for column, field in fields.items()}
    keys = [by_field[name] for name in change.key]
    columns = {name: column_for(name, change.mysql_type.get(field), name in keys) for name, field in fields.items()}
    for name, source in (options.mapping or {}).items():
        if source.kind in ("timestamp", "now"):
            columns[name] = ColumnSpec(name, "UNIXTIME_MICROS", nullable=True)
        elif source.kind != "value":
            columns[name] = ColumnSpec(name, "STRING", nullable=True)
    return (*(columns[name] for name in keys), *(column for name, column in columns.items() if name not in keys))


def column_for(name: str, mysql_type: str | None, key: bool = False) -> ColumnSpec:
    """Return the column that holds every value of a MySQL type.

    Args:
        name: Name of the column.
        mysql_type: Its type text, e.g. `bigint unsigned`; None is unknown.
        key: Whether it belongs to the primary key.
    """
    type_, precision, scale = _kudu_type((mysql_type or "").strip().lower())
    if key and type_ in _NO_KEYS:
        type_ = "STRING"
    return ColumnSpec(name, type_, key=key, nullable=not key, precision=precision, scale=scale)


def _kudu_type(text: str) -> tuple[str, int, int]:
    match = _TYPE.fullmatch(text)
    if match is None:
        return "STRING", 0, 0
    name, unsigned = match[1], "unsigned" in match[4]
    first, second = int(match[2] or 0), int(match[3] or 0)
    if name in ("decimal", "numeric"):
        precision = first or 10
        return ("DECIMAL", precision, second) if precision <= _MOST_DIGITS else ("STRING", 0, 0)
    if name == "bigint" and unsigned:
        return "DECIMAL", 20, 0
    if name == "bit":
        return ("DECIMAL", 20, 0) if first == 64 else ("INT64", 0, 0)
    signed_and_unsigned = ("INT64", "INT64") if name == "bigint" else _PLAIN.get(name, ("STRING", "STRING"))
    return signed_and_unsigned[unsigned], 0, 0


def layout_for(
    options: TableOptions, columns: tuple[ColumnSpec, ...], replicas: int, convert: Callable[[ColumnSpec, str], Any]
) -> Layout:
    """Return how the rows of a new table are spread: as configured, else by the hash of the whole key.

    Args:
        options: With `partition.hash` and `partition.range`.
        columns: The table's columns.
        replicas: Copies of each tablet; 0 leaves it to the cluster.
        convert: Turns the text of a split into the column's storage form.

    Raises:
        ConfigError: An option names what is no key column, or a split does not fit its type.
    """
    keys = {column.name: column for column in columns if column.key}
    hash_on, buckets = options.hash_on, options.buckets
    if not hash_on and not options.range_on:
        hash_on, buckets = tuple(keys), _BUCKETS
    for name in (*hash_on, *([options.range_on] if options.range_on else [])):
        if name not in keys:
            known = ", ".join(keys)
            raise ConfigError(f"Table {options.table} cannot be partitioned by {name}: its key columns are {known}")
    try:
        splits = tuple(convert(keys[options.range_on], text) for text in options.splits)
    except (DataError, ValueError, TypeError) as error:
        name = f"topic.{options.topic}.{options.table}.partition.range"
        raise ConfigError(f"Option {name}: {error}", key=name) from None
    return Layout(hash_on, buckets, options.range_on, splits, replicas)
