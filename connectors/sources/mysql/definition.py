"""The options of `MySqlBinlogSource`, defined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from connectors.api.config import ConfigDef, Importance, Password, Type, Validator
from connectors.api.errors import ConfigError
from connectors.api.validators import at_least, between, non_empty, one_of, regex_list, time_zone
from connectors.sources.mysql.column_rules import MASK, TRUNCATE
from connectors.sources.mysql.filters import TopicName
from connectors.sources.mysql.predicate import Condition
from connectors.sources.mysql.routing import DynamicTopics, PartitionCounts, PartitionRule
from connectors.sources.mysql.rules import OPERATIONS
from connectors.sources.mysql.start import start_position

__all__ = ["CONFIG"]

_TOPIC: Final = "${database}.${table}"


def _check_start(name: str, value: str) -> None:
    start_position(name, value)


def _check_topic(name: str, value: str) -> None:
    TopicName(name, value)


def _check_table(name: str, value: str) -> None:
    if value.count(".") != 1 or value.startswith(".") or value.endswith("."):
        raise ConfigError(f"Option {name}: {value!r} is not of the form schema.table", key=name)


def _parses(parse: Callable[[str, str], Any]) -> Validator:
    def check(name: str, value: Any) -> None:
        parse(name, value)

    return check


def _check_operations(name: str, value: list[str]) -> None:
    for operation in value:
        one_of(*OPERATIONS)(name, operation)


_CONNECTION: Final = (
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
        "database.ssl.mode",
        Type.STRING,
        "disabled",
        doc="TLS: disabled, required, verify_ca, or verify_identity (certificate and host name are checked).",
        validator=one_of("disabled", "required", "verify_ca", "verify_identity"),
        group="Connection",
        recommended=("disabled", "required", "verify_ca", "verify_identity"),
    )
    .define(
        "database.ssl.ca",
        Type.STRING,
        None,
        doc="File of the certificates of authorities, PEM. Default: those of the system.",
        group="Connection",
    )
    .define(
        "database.ssl.cert",
        Type.STRING,
        None,
        doc="File of this client's certificate, PEM.",
        group="Connection",
    )
    .define(
        "database.ssl.key",
        Type.STRING,
        None,
        doc="File of the key of this client's certificate, PEM.",
        group="Connection",
    )
)
_TABLES: Final = (
    ConfigDef()
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
        "column.include.list",
        Type.LIST,
        [],
        doc="Comma-separated regular expressions; a column is sent if one matches its whole schema.table.column."
        " Default: all.",
        validator=regex_list,
        group="Columns",
    )
    .define(
        "column.exclude.list",
        Type.LIST,
        [],
        doc="Comma-separated regular expressions; a column is left out if one matches its whole schema.table.column."
        " A column of the primary key stays in the Kafka key.",
        validator=regex_list,
        group="Columns",
    )
    .define(
        "column.mask.with.<length>.chars",
        Type.LIST,
        [],
        doc="Comma-separated regular expressions on schema.table.column: so many asterisks are sent for the value.",
        validator=regex_list,
        group="Columns",
        pattern=MASK,
    )
    .define(
        "column.truncate.to.<length>.chars",
        Type.LIST,
        [],
        doc="Comma-separated regular expressions on schema.table.column: longer values are cut to so many characters.",
        validator=regex_list,
        group="Columns",
        pattern=TRUNCATE,
    )
    .define(
        "column.mask.hash",
        Type.LIST,
        [],
        doc="Comma-separated regular expressions on schema.table.column: the value's HMAC-SHA-256 is sent for it.",
        validator=regex_list,
        group="Columns",
    )
    .define(
        "column.mask.hash.salt",
        Type.PASSWORD,
        Password(""),
        doc="Secret key of column.mask.hash.",
        group="Columns",
    )
    .define(
        "row.filter.<schema.table>",
        Type.STRING,
        None,
        doc="Condition as in WHERE that a row must fulfil, e.g. row.filter.shop.orders: status <> 'draft'. `*` in the"
        " name stands for any characters. A row that stops fulfilling it becomes a DELETE, one that starts an INSERT.",
        validator=_parses(Condition),
        group="Tables",
        pattern=r"row\.filter\..+",
    )
    .define(
        "skipped.operations",
        Type.LIST,
        [],
        doc="What is left out: insert, update, delete, truncate, ddl (every schema change), or none.",
        validator=_check_operations,
        group="Tables",
        recommended=OPERATIONS,
    )
    .define(
        "skip.messages.without.change",
        Type.BOOLEAN,
        False,
        doc="Leave out an UPDATE that changes none of the columns that are sent.",
        group="Tables",
    )
)
_TOPICS: Final = (
    ConfigDef()
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
        "topic.statements",
        Type.STRING,
        None,
        doc="Topic of the texts of the statements that changed rows, as Canal's messages of type QUERY, where the"
        " binlog holds them: binlog_rows_query_log_events, MariaDB's binlog_annotate_row_events. They hold the true"
        " values of all columns. Default: none.",
        validator=_check_topic,
        group="Topics",
    )
    .define(
        "topic.transaction",
        Type.STRING,
        None,
        doc="Topic that tells where transactions begin and end, and how many rows of which table they have."
        " Default: none.",
        validator=_check_topic,
        group="Topics",
    )
    .define(
        "dynamic.topic",
        Type.STRING,
        None,
        doc="Canal's dynamicTopic: rules with commas between them, the first that matches counts: schema.table, schema,"
        " an expression, or `topic:` before one of these; without it the topic is schema_table. Default: topic.",
        validator=_parses(DynamicTopics),
        group="Topics",
    )
    .define(
        "partition.hash",
        Type.STRING,
        None,
        doc="Canal's partitionHash: rules with commas between them, the first that matches counts: schema.table:id^day"
        " (by these columns), schema.table:$pk$ (by the key), schema.table (by the table's name).",
        validator=_parses(PartitionRule.parse),
        group="Topics",
    )
    .define(
        "partition.count",
        Type.STRING,
        None,
        doc="Partitions that partition.hash divides by: a number, and topic:number for some topics, e.g. 3,orders:12.",
        validator=_parses(PartitionCounts),
        group="Topics",
    )
    .define(
        "partition.hash.database",
        Type.BOOLEAN,
        True,
        doc="Whether the schema's name is part of the hash (Canal's canal.mq.database.hash).",
        importance=Importance.LOW,
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
        "message.key.columns",
        Type.STRING,
        None,
        doc="Columns of the Kafka key where they are not the primary key's: schema.table:a^b; commas between several.",
        validator=_parses(PartitionRule.parse),
        group="Topics",
    )
    .define(
        "record.timestamp",
        Type.STRING,
        "sent",
        doc="Timestamp of the Kafka record: sent (when it is sent) or change (when the change was committed). Kafka"
        " deletes by timestamp, so with change a record older than the topic's retention.ms may be gone before it is"
        " read.",
        validator=one_of("sent", "change"),
        group="Topics",
        recommended=("sent", "change"),
    )
)
_READING: Final = (
    ConfigDef()
    .define(
        "snapshot.mode",
        Type.STRING,
        None,
        doc="Without a stored offset: initial reads all rows first, initial_only does that and then waits, never starts"
        " at start.position. when_needed: as initial, and all rows are read again where the server no longer has the"
        " binlog of the stored offset. Default: initial, or never where start.position is set.",
        importance=Importance.HIGH,
        validator=one_of("initial", "never", "when_needed", "initial_only"),
        group="Start",
        recommended=("initial", "never", "when_needed", "initial_only"),
    )
    .define(
        "start.position",
        Type.STRING,
        None,
        doc="Where to start with snapshot.mode=never and without a stored offset: latest, earliest, FILE:POS,"
        " timestamp:MS (the first transaction not before it) or gtid:SET (the transactions of the set are left out)."
        " Default: latest.",
        validator=_check_start,
        group="Start",
        recommended=("latest", "earliest"),
    )
    .define(
        "snapshot.chunk.rows",
        Type.INT,
        20_000,
        doc="Rows of a table that a snapshot reads in one statement, along its primary key.",
        importance=Importance.LOW,
        validator=at_least(1),
        group="Start",
    )
    .define(
        "snapshot.type",
        Type.STRING,
        "INSERT",
        doc="`type` of a snapshot's messages: INSERT, or INIT, by which consumers can tell them from new rows.",
        importance=Importance.LOW,
        validator=one_of("INSERT", "INIT"),
        group="Start",
        recommended=("INSERT", "INIT"),
    )
    .define(
        "schema.history",
        Type.BOOLEAN,
        False,
        doc="Keep the layouts of tables beside the offsets, for servers on which binlog_row_metadata cannot be FULL."
        " Schema changes must then not be made while the source is behind.",
        importance=Importance.LOW,
        group="Start",
    )
    .define(
        "signal.table",
        Type.STRING,
        None,
        doc="schema.table of signals: a row with type `execute-snapshot` and data such as"
        ' {"data-collections": ["shop.orders"]} has tables read again while streaming goes on.',
        validator=_check_table,
        group="Start",
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
        " with its full scale, BINARY with its full length. exact: as Canal 1.1.7, mistakes included.",
        validator=one_of("fixed", "exact"),
        group="Values",
        recommended=("fixed", "exact"),
    )
    .define(
        "tinyint1",
        Type.STRING,
        "tinyint",
        doc="sqlType of TINYINT(1): tinyint (-6, as Canal from 1.1.5) or bit (-7, as Canal 1.1.3 and 1.1.4).",
        importance=Importance.LOW,
        validator=one_of("tinyint", "bit"),
        group="Values",
    )
    .define(
        "max.batch.size",
        Type.INT,
        2048,
        doc="Most records, about, that are handed over at once where they have less than 128 KiB."
        " Of a snapshot it is 32 KiB of rows as the server sends them.",
        importance=Importance.LOW,
        validator=at_least(1),
        group="Tuning",
    )
    .define(
        "max.queue.bytes",
        Type.LONG,
        4 * 1024 * 1024,
        doc="Most bytes of events or rows that wait to be decoded; reading pauses when they are more.",
        importance=Importance.LOW,
        validator=at_least(1),
        group="Tuning",
    )
)
CONFIG: Final = _CONNECTION | _TABLES | _TOPICS | _READING
