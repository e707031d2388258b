"""The parsed configuration of a `CassandraSink` task."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from connectors.api.errors import ConfigError, did_you_mean
from connectors.clients.cassandra import CassandraSettings, TlsSettings
from connectors.formats.mapping import ColumnSource, parse_mapping
from connectors.sinks.cassandra.options import AUTOMATIC, CONFIG, TABLE, parse_source, parse_ttl

__all__ = ["SinkSettings", "TableOptions", "check_topics", "parse_settings"]

_OPTION: Final = re.compile(TABLE + r"(?P<option>mapping|ttl|null\.to\.unset|deletes\.enabled|timestamp)")


@dataclass(slots=True)
class TableOptions:
    """What the options say about one topic and one table.

    Attributes:
        topic: Topic to read.
        keyspace: Keyspace as configured.
        table: Table as configured.
        mapping: Column to source; None to map by name.
        ttl: Seconds to live or where they come from; None for ever.
        null_to_unset: Whether a null leaves the column as it is instead of erasing it.
        deletes_enabled: Whether deletes are carried out.
        timestamp: Where the timestamp comes from; None for the order of the change.
    """

    topic: str
    keyspace: str
    table: str
    mapping: dict[str, ColumnSource] | None = None
    ttl: int | ColumnSource | None = None
    null_to_unset: bool = False
    deletes_enabled: bool = True
    timestamp: ColumnSource | None = None

    @property
    def prefix(self) -> str:
        """What the names of its options start with."""
        return f"topic.{self.topic}.{self.keyspace}.{self.table}"


@dataclass(slots=True)
class SinkSettings:
    """The parsed configuration of a task.

    Attributes:
        client: How to reach the cluster.
        batching: What may go into one request.
        time_zone: Zone of times that name none.
        binary: How texts hold bytes.
        create: Whether a missing table is created.
        evolve: Whether missing columns are added.
        tables: Topics and tables.
    """

    client: CassandraSettings
    batching: Any
    time_zone: str
    binary: str = "latin1"
    create: bool = False
    evolve: bool = False
    tables: list[TableOptions] = field(default_factory=list)


def parse_settings(props: Mapping[str, Any]) -> SinkSettings:
    """Parse a task's properties; those of the runtime are passed over.

    Raises:
        ConfigError: One or more options cannot be used; a line for each.
    """
    parsed = CONFIG.parse({name: value for name, value in props.items() if name in CONFIG})
    client = CassandraSettings(
        contact_points=tuple(parsed["cassandra.contact.points"]),
        port=parsed["cassandra.port"],
        local_datacenter=parsed["cassandra.local.datacenter"],
        username=parsed["cassandra.username"],
        password=parsed["cassandra.password"],
        consistency=parsed["cassandra.consistency"],
        max_in_flight=parsed["cassandra.max.in.flight"],
        tls=_tls(parsed),
    )
    tables = _tables(parsed)
    errors = check_topics(props, tables)
    if errors:
        raise ConfigError("\n".join(errors), key="topics")
    return SinkSettings(
        client,
        parsed["cassandra.batch"],
        parsed["time.zone"],
        parsed["binary.mode"],
        parsed["auto.create"],
        parsed["auto.evolve"],
        tables,
    )


def check_topics(props: Mapping[str, Any], tables: list[TableOptions] | None = None) -> list[str]:
    """Return a sentence for each topic without a table and each table without a topic."""
    if tables is None:
        tables = [TableOptions(m["topic"], m["keyspace"], m["table"]) for m in map(_OPTION.fullmatch, props) if m]
    if not tables:
        return ["No table is given: set topic.<topic>.<keyspace>.<table>.mapping"]
    if not props.get("topics"):
        return []  # topics.regex, or the runtime checks
    topics = [topic.strip() for topic in str(props["topics"]).split(",") if topic.strip()]
    mapped = {table.topic for table in tables}
    errors = [
        f"Option topics: topic {topic} has no table; set topic.{topic}.<keyspace>.<table>.mapping"
        for topic in topics
        if topic not in mapped
    ]
    return errors + [
        f"Option {table.prefix}: {table.topic} is not one of the topics{did_you_mean(table.topic, topics)}"
        for table in tables
        if table.topic not in topics
    ]


def _tls(parsed: Mapping[str, Any]) -> TlsSettings | None:
    if not parsed["cassandra.ssl.enabled"]:
        return None
    return TlsSettings(
        parsed["cassandra.ssl.ca"],
        parsed["cassandra.ssl.certificate"],
        parsed["cassandra.ssl.key"],
        parsed["cassandra.ssl.key.password"],
        parsed["cassandra.ssl.hostname.verification"],
    )


def _tables(parsed: Mapping[str, Any]) -> list[TableOptions]:
    found: dict[tuple[str, str, str], TableOptions] = {}
    for name, value in parsed.items():
        match = _OPTION.fullmatch(name)
        if match is None:
            continue
        where = (match["topic"], match["keyspace"], match["table"])
        options = found.setdefault(where, TableOptions(*where))
        _set_option(options, match["option"], name, value)
    return list(found.values())


def _set_option(options: TableOptions, option: str, name: str, value: Any) -> None:
    if option == "mapping":
        options.mapping = None if value in ("", AUTOMATIC) else parse_mapping(name, value)
    elif option == "ttl":
        options.ttl = parse_ttl(name, value)
    elif option == "null.to.unset":
        options.null_to_unset = value
    elif option == "deletes.enabled":
        options.deletes_enabled = value
    else:
        options.timestamp = parse_source(name, value)
