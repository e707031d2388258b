"""The options of `MySqlBinlogSource`."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from connectors.api.config import ConfigDef, Importance, Password, Type
from connectors.api.errors import ConfigError
from connectors.api.validators import at_least, between, non_empty, one_of, regex_list, time_zone
from connectors.formats.temporal import zone_of
from connectors.sources.mysql.connection import Address
from connectors.sources.mysql.fields import Rendering
from connectors.sources.mysql.filters import TableFilter, TopicName
from connectors.sources.mysql.gtids import gtid_set

__all__ = ["CONFIG", "Settings", "StartPosition", "read_settings"]

_FILE_POS: Final = re.compile(r"(?P<file>[^:\s]+):(?P<pos>\d+)")
_TOPIC: Final = "${database}.${table}"


@dataclass(frozen=True, slots=True)
class StartPosition:
    """Where to start without a stored offset.

    Attributes:
        kind: `latest`, `earliest`, `file` or `gtid`.
        file: Binlog file of kind `file`.
        pos: Position in it.
        gtids: Set of kind `gtid`: the transactions that are left out.
    """

    kind: str
    file: str = ""
    pos: int = 4
    gtids: str = ""


def start_position(name: str, value: str) -> StartPosition:
    """Read `start.position`.

    Raises:
        ConfigError: It is none of the forms allowed.
    """
    if value in ("latest", "earliest"):
        return StartPosition(value)
    if value.startswith("gtid:"):
        text = value.removeprefix("gtid:").strip()
        flavor = "mariadb" if re.match(r"\d+-\d+-\d+", text) else "mysql"
        try:
            gtids = str(gtid_set(flavor, text))
        except ConfigError as error:
            raise ConfigError(f"Option {name}: {error}", key=name) from None
        return StartPosition("gtid", gtids=gtids)
    match = _FILE_POS.fullmatch(value)
    if match is None or value.startswith("timestamp:"):
        allowed = "latest, earliest, FILE:POS such as binlog.000003:157, or gtid:SET"
        raise ConfigError(f"Option {name}: {value!r} is not one of {allowed}", key=name)
    if int(match["pos"]) < 4:
        raise ConfigError(f"Option {name}: {match['pos']} is too small, a binlog file starts at 4", key=name)
    return StartPosition("file", match["file"], int(match["pos"]))


def _check_start(name: str, value: str) -> None:
    start_position(name, value)


def _check_topic(name: str, value: str) -> None:
    TopicName(name, value)


CONFIG: Final = (
    ConfigDef()
    .define(
        "database.hostname",
        Type.STRING,
        doc="Host name or address of the MySQL or MariaDB server.",
        importance=Importance.HIGH,
        validator=non_empty,
        group="Connection",
    )
    .define(
        "database.port",
        Type.INT,
        3306,
        doc="TCP port of the server.",
        importance=Importance.HIGH,
        validator=between(1, 65535),
        group="Connection",
    )
    .define(
        "database.user",
        Type.STRING,
        doc="User with the privileges REPLICATION SLAVE, REPLICATION CLIENT and SELECT.",
        importance=Importance.HIGH,
        validator=non_empty,
        group="Connection",
    )
    .define(
        "database.password",
        Type.PASSWORD,
        Password(""),
        doc="Password of the user.",
        importance=Importance.HIGH,
        group="Connection",
    )
    .define(
        "database.server.id",
        Type.LONG,
        None,
        doc="Id of this reader among the server's replicas; two readers with the same id end each other."
        " Default: a number above 2147483648 made from the connector's name.",
        importance=Importance.LOW,
        validator=between(1, 2**32 - 1),
        group="Connection",
    )
    .define(
        "database.include.list",
        Type.LIST,
        [],
        doc="Comma-separated regular expressions; a database is read if one matches its whole name. Default: all."
        " The schemas mysql, sys, information_schema and performance_schema are never read.",
        validator=regex_list,
        group="Tables",
    )
    .define(
        "table.include.list",
        Type.LIST,
        [],
        doc="Comma-separated regular expressions; a table is read if one matches its whole schema.table. Default: all.",
        importance=Importance.HIGH,
        validator=regex_list,
        group="Tables",
    )
    .define(
        "table.exclude.list",
        Type.LIST,
        [],
        doc="Comma-separated regular expressions; a table is left out if one matches its whole schema.table.",
        validator=regex_list,
        group="Tables",
    )
    .define(
        "topic",
        Type.STRING,
        _TOPIC,
        doc="Topic of a table's changes; ${database} and ${table} stand for its names.",
        importance=Importance.HIGH,
        validator=_check_topic,
        group="Topics",
    )
    .define(
        "topic.ddl",
        Type.STRING,
        None,
        doc="Topic of schema changes, also those of whole databases. Default: the table's topic.",
        validator=_check_topic,
        group="Topics",
    )
    .define(
        "message.key",
        Type.STRING,
        "primary-key",
        doc="Kafka key: primary-key (a JSON object of the key's columns; an UPDATE that changes the key becomes a"
        " DELETE of the old row and an INSERT of the new one) or none (as Canal; everything goes to partition 0).",
        validator=one_of("primary-key", "none"),
        group="Topics",
        recommended=("primary-key", "none"),
    )
    .define(
        "rows.per.message",
        Type.STRING,
        None,
        doc="Rows in a message: one, or event (all rows of a binlog event, as Canal; needs message.key=none)."
        " Default: one with a key, event without.",
        validator=one_of("one", "event"),
        group="Topics",
        recommended=("one", "event"),
    )
    .define(
        "snapshot.mode",
        Type.STRING,
        None,
        doc="Without a stored offset: initial reads all rows first, never starts at start.position."
        " Default: initial, or never where start.position is set.",
        importance=Importance.HIGH,
        validator=one_of("initial", "never"),
        group="Start",
        recommended=("initial", "never"),
    )
    .define(
        "start.position",
        Type.STRING,
        None,
        doc="Where to start with snapshot.mode=never and without a stored offset: latest, earliest, FILE:POS or"
        " gtid:SET (the transactions of the set are left out). Default: latest.",
        validator=_check_start,
        group="Start",
        recommended=("latest", "earliest"),
    )
    .define(
        "time.zone",
        Type.STRING,
        "UTC",
        doc="Zone in which TIMESTAMP columns are written, e.g. Asia/Shanghai or +08:00.",
        validator=time_zone,
        group="Values",
    )
    .define(
        "enum.mode",
        Type.STRING,
        "index",
        doc="ENUM and SET: index (the number that is stored, as Canal) or label.",
        validator=one_of("index", "label"),
        group="Values",
        recommended=("index", "label"),
    )
    .define(
        "binary.mode",
        Type.STRING,
        "latin1",
        doc="Bytes: latin1 (each byte as the character of that number, as Canal), base64 or hex.",
        validator=one_of("latin1", "base64", "hex"),
        group="Values",
        recommended=("latin1", "base64", "hex"),
    )
    .define(
        "canal.compat",
        Type.STRING,
        "fixed",
        doc="fixed: Canal's messages without its mistakes: `old` for each row, character sets for each column, DECIMAL"
        " with its full scale, BINARY with its full length.",
        importance=Importance.LOW,
        validator=one_of("fixed"),
        group="Values",
    )
    .define(
        "max.batch.size",
        Type.INT,
        2048,
        doc="Most records, about, that are handed over at once.",
        importance=Importance.LOW,
        validator=at_least(1),
        group="Tuning",
    )
    .define(
        "max.queue.bytes",
        Type.LONG,
        8 * 1024 * 1024,
        doc="Most bytes of messages that wait for being handed over; the reader pauses when they are more.",
        importance=Importance.LOW,
        validator=at_least(1),
        group="Tuning",
    )
)


@dataclass(frozen=True, slots=True)
class Settings:
    """The options, parsed.

    Attributes:
        address: The server.
        server_id: Id of this reader.
        filter: Which tables.
        topic: Where rows go.
        ddl_topic: Where schema changes go; None: to the table's topic.
        keyed: Whether the primary key is the Kafka key.
        per_event: Whether all rows of an event are one message.
        snapshot: Whether to read all rows first where there is no stored offset.
        start: Where to start otherwise.
        rendering: Choices of text form.
        max_batch: Most records handed over at once.
        max_queue_bytes: Most bytes that wait.
    """

    address: Address
    server_id: int
    filter: TableFilter
    topic: TopicName
    ddl_topic: TopicName | None
    keyed: bool
    per_event: bool
    snapshot: bool
    start: StartPosition
    rendering: Rendering
    max_batch: int
    max_queue_bytes: int

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
    if values["snapshot.mode"] == "initial" and values["start.position"] is not None:
        raise ConfigError(
            "Option start.position needs snapshot.mode=never: a snapshot sets the position itself",
            key="start.position",
        )


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
    start = values["start.position"]
    return Settings(
        Address(
            values["database.hostname"],
            values["database.port"],
            values["database.user"],
            values["database.password"],
        ),
        values["database.server.id"] or 0x80000000 | zlib.crc32(connector.encode()) & 0x7FFFFFFF,
        TableFilter(values["database.include.list"], values["table.include.list"], values["table.exclude.list"]),
        TopicName("topic", values["topic"]),
        TopicName("topic.ddl", values["topic.ddl"]) if values["topic.ddl"] else None,
        keyed,
        values["rows.per.message"] == "event" or (not keyed and values["rows.per.message"] is None),
        values["snapshot.mode"] == "initial" or (values["snapshot.mode"] is None and start is None),
        start_position("start.position", start or "latest"),
        Rendering(zone_of(values["time.zone"]), values["enum.mode"], values["binary.mode"]),
        values["max.batch.size"],
        values["max.queue.bytes"],
    )
