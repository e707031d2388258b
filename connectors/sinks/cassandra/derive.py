"""Columns for fields: what `auto.create` and `auto.evolve` say to Cassandra.

The types are wide enough for all that the source can hold; a TIME of MySQL, which may be negative or longer than a day,
and anything unknown become text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from connectors.api.errors import DataError
from connectors.clients.cassandra import quote
from connectors.formats.canal import RowChange

__all__ = ["added_columns", "column_type", "table_definition"]

_MYSQL: Final = {
    "tinyint": "tinyint",
    "smallint": "smallint",
    "mediumint": "int",
    "int": "int",
    "integer": "int",
    "bigint": "bigint",
    "year": "int",
    "bit": "bigint",
    "decimal": "decimal",
    "numeric": "decimal",
    "float": "float",
    "double": "double",
    "real": "double",
    "date": "date",
    "datetime": "timestamp",
    "timestamp": "timestamp",
    "binary": "blob",
    "varbinary": "blob",
    "tinyblob": "blob",
    "blob": "blob",
    "mediumblob": "blob",
    "longblob": "blob",
}
_UNSIGNED: Final = {"tinyint": "smallint", "smallint": "int", "int": "bigint", "bigint": "varint"}
_WORD: Final = re.compile(r"[a-z]+")


def column_type(mysql_type: str | None, value: Any) -> str:
    """Return the CQL type for a field.

    Args:
        mysql_type: Its type text, e.g. `decimal(10,2)`; None where the message has none.
        value: A value of it, for messages without types.
    """
    if mysql_type:
        text = mysql_type.lower()
        word = _WORD.match(text)
        found = _MYSQL.get(word[0], "text") if word is not None else "text"
        if word is not None and word[0] == "mediumint":
            return found
        return _UNSIGNED.get(found, found) if "unsigned" in text else found
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "bigint" if -(1 << 63) <= value < 1 << 63 else "varint"
    if isinstance(value, Decimal | float):
        return "decimal"
    return "text"


def table_definition(keyspace: str, table: str, change: RowChange, key: tuple[str, ...]) -> str:
    """Return the CREATE TABLE for the row of a change.

    Args:
        keyspace: Exact name of the keyspace.
        table: Name of the table.
        change: A change whose row has all columns.
        key: Fields of the primary key; all of it becomes the partition key.

    Raises:
        DataError: The row has no key, or lacks a field of it.
    """
    missing = [name for name in key if name not in change.row]
    if not key or missing:
        lack = f"the row lacks its key fields {', '.join(missing)}" if key else "the message names no primary key"
        raise DataError(f"table {keyspace}.{table} cannot be created: {lack}")
    types = change.mysql_type or {}
    columns = [f"{quote(name.lower())} {column_type(types.get(name), value)}" for name, value in change.row.items()]
    partition = ", ".join(quote(name.lower()) for name in key)
    return (
        f"CREATE TABLE IF NOT EXISTS {quote(keyspace)}.{quote(table.lower())} "
        f"({', '.join(columns)}, PRIMARY KEY (({partition})))"
    )


def added_columns(cql_table: str, fields: Mapping[str, Any], types: Mapping[str, str]) -> list[str]:
    """Return an ALTER TABLE for each field.

    Args:
        cql_table: Keyspace and table, quoted.
        fields: Field to a value of it.
        types: Type texts of the source.
    """
    return [
        f"ALTER TABLE {cql_table} ADD {quote(name.lower())} {column_type(types.get(name), value)}"
        for name, value in fields.items()
    ]
