"""The mapping of a message to the columns of a table: `aid = value.aid, log_time = value.logTime, source = header.h`.

Source: the syntax of the DataStax Apache Kafka Connector's `topic.<topic>.<keyspace>.<table>.mapping`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from connectors.api.errors import ConfigError

__all__ = ["ColumnSource", "parse_mapping"]

Kind = Literal["value", "key", "header", "timestamp", "now"]

_ENTRY = re.compile(
    r"""\s*(?:"(?P<quoted>[^"]+)"|(?P<column>\w+))\s*=\s*
        (?:(?P<kind>value|key|header)(?:\.(?:"(?P<qfield>[^"]+)"|(?P<field>[\w.$-]+)))?
          |(?P<function>timestamp|now\(\)))\s*""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class ColumnSource:
    """Where a column's value comes from.

    Attributes:
        kind: The row, the record's key, a header, the record's timestamp, or the time of writing.
        name: Field or header; empty for a whole key, timestamp and now.
    """

    kind: Kind
    name: str = ""


def parse_mapping(option: str, text: str) -> dict[str, ColumnSource]:
    """Parse a mapping.

    Args:
        option: Name of the option, for messages.
        text: Comma-separated entries `column = value.field | key | key.field | header.name | timestamp | now()`;
            names with other characters than letters, digits and `_` stand in double quotes.

    Returns:
        Column to source, in the order written.

    Raises:
        ConfigError: An entry is malformed or a column occurs twice.
    """
    result: dict[str, ColumnSource] = {}
    position = 0
    while position < len(text):
        match = _ENTRY.match(text, position)
        if match is None or (match.end() < len(text) and text[match.end()] != ","):
            entry = text[position:].split(",", 1)[0].strip()
            example = "column = value.field, key, key.field, header.name, timestamp or now()"
            raise ConfigError(f"Option {option}: cannot read {entry!r}; write {example}", key=option)
        column = match["quoted"] or match["column"]
        if column in result:
            raise ConfigError(f"Option {option}: column {column} is mapped twice", key=option)
        result[column] = _source(option, column, match)
        position = match.end() + 1
    if not result:
        raise ConfigError(f"Option {option} must not be empty", key=option)
    return result


def _source(option: str, column: str, match: re.Match[str]) -> ColumnSource:
    if match["function"]:
        return ColumnSource("timestamp" if match["function"] == "timestamp" else "now")
    name = match["qfield"] or match["field"] or ""
    if not name and match["kind"] != "key":
        kind = match["kind"]
        raise ConfigError(f"Option {option}: column {column} needs a field: {kind}.<name>", key=option)
    kinds: dict[str, Kind] = {"value": "value", "key": "key", "header": "header"}
    return ColumnSource(kinds[match["kind"]], name)
