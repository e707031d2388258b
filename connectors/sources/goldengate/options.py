"""The options of `GoldenGateSource`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from connectors.api.config import ConfigDef, Importance, Type
from connectors.api.errors import ConfigError
from connectors.api.validators import at_least, one_of, regex_list
from connectors.formats.goldengate_options import format_options
from connectors.sources.goldengate.routing import check_topic

__all__ = ["CONFIG", "PREFIX", "TASK", "check_together", "read_share"]

PREFIX: Final = "goldengate."
TASK: Final = "goldengate.task"
_INPUT: Final = "Input"
_OUTPUT: Final = "Topics"

CONFIG: Final = (
    ConfigDef()
    .define("goldengate.path", Type.STRING, "", group=_INPUT, importance=Importance.HIGH,
            doc="Directory, or glob, of the files that GoldenGate writes, e.g. /data/ogg or /data/ogg/*.json*; this or"
            " goldengate.topic. Files ending in .gz are read through gzip.")
    .define("goldengate.topic", Type.STRING, "", group=_INPUT, importance=Importance.HIGH,
            doc="Topic that GoldenGate's Kafka handler writes; this or goldengate.path. tasks.max tasks share its"
            " partitions.")
    .define("goldengate.bootstrap.servers", Type.STRING, "", group=_INPUT,
            doc="Kafka that holds goldengate.topic. Default: the worker's.")
    .define("goldengate.consumer.<option>", Type.STRING, None, group=_INPUT, importance=Importance.LOW,
            pattern=r"goldengate\.consumer\..+", doc="Option of librdkafka's consumer, e.g. security.protocol.")
    .define("goldengate.mode", Type.STRING, "op", group=_INPUT, validator=one_of("op", "tx"),
            recommended=("op", "tx"),
            doc="The handler's mode. op: an offset behind each operation; tx: offsets between transactions only. In"
            " files a transaction ends with the meta column ${txind}, or without it with the line.")
    .define("goldengate.start.position", Type.STRING, "earliest", group=_INPUT, validator=one_of("earliest", "latest"),
            recommended=("earliest", "latest"), doc="Where to start without a stored offset.")
    .define("goldengate.deduplicate", Type.BOOLEAN, False, group=_INPUT,
            doc="Leave out operations whose position is not above the last one's, as a replicat that crashed writes"
            " them again. Only where a single replicat writes the directory or each partition of the topic.")
    .define("goldengate.ignore.suffixes", Type.LIST, [], group=_INPUT,
            doc="Endings of files to leave alone, e.g. .tmp where active files should not be read before they are"
            " renamed.")
    .define("goldengate.partial.timeout.ms", Type.LONG, 60_000, group=_INPUT, importance=Importance.LOW,
            validator=at_least(1),
            doc="After this time without growth, and with a later file there, an incomplete last record is a broken"
            " one.")
    .define("goldengate.max.record.bytes", Type.LONG, 64 << 20, group=_INPUT, importance=Importance.LOW,
            validator=at_least(1024), doc="A record of more bytes is a broken one.")
    .define("goldengate.max.transaction.bytes", Type.LONG, 64 << 20, group=_INPUT, importance=Importance.LOW,
            validator=at_least(1024), doc="With goldengate.mode=tx, a transaction of more bytes in a file is cut.")
    .define(TASK, Type.STRING, "0/1", group=_INPUT, importance=Importance.LOW,
            doc="Set by the connector: the task's number and the number of tasks.")
    .define("table.include.list", Type.LIST, [], group="Tables", importance=Importance.HIGH, validator=regex_list,
            doc="Comma-separated regular expressions; a table is read if one matches its whole SCHEMA.TABLE. Default:"
            " all.")
    .define("table.exclude.list", Type.LIST, [], group="Tables", validator=regex_list,
            doc="Comma-separated regular expressions; a table is left out if one matches its whole SCHEMA.TABLE.")
    .define("topic", Type.STRING, "${database}.${table}", group=_OUTPUT, importance=Importance.HIGH,
            validator=check_topic,
            doc="Topic of a table's changes; ${database} and ${table} stand for its names, a catalog is part of"
            " ${database}.")
    .define("topic.ddl", Type.STRING, "", group=_OUTPUT,
            validator=lambda name, value: check_topic(name, value) if value else None,
            doc="Topic of TRUNCATEs. Default: the table's topic.")
    .define("message.key", Type.STRING, "primary-key", group=_OUTPUT, validator=one_of("primary-key", "none"),
            recommended=("primary-key", "none"),
            doc="Kafka key: primary-key (a JSON object of the key columns; an UPDATE that changes the key becomes a"
            " DELETE of the old row and an INSERT of the new one) or none (everything goes to partition 0).")
    .define("record.timestamp", Type.STRING, "sent", group=_OUTPUT, validator=one_of("sent", "change"),
            recommended=("sent", "change"),
            doc="Timestamp of the Kafka record: sent (when it is sent) or change (op_ts). Kafka deletes by timestamp,"
            " so with change a record older than the topic's retention.ms may be gone before it is read.")
    .define("max.batch.size", Type.INT, 2048, group="Tuning", importance=Importance.LOW, validator=at_least(1),
            doc="Most operations, about, that are handed over at once.")
) | format_options(PREFIX)  # fmt: skip


def check_together(values: Mapping[str, Any]) -> None:
    """Check what single options cannot tell.

    Raises:
        ConfigError: Not exactly one of the two inputs is given.
    """
    if bool(values["goldengate.path"]) == bool(values["goldengate.topic"]):
        message = "Exactly one of the options goldengate.path and goldengate.topic is needed"
        raise ConfigError(message, key="goldengate.path")


def read_share(values: Mapping[str, Any]) -> tuple[int, int]:
    """Return the number of the task and the number of tasks."""
    number, _, count = values[TASK].partition("/")
    return int(number), int(count)
