"""The options of the Kudu sink, and which table a topic goes to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final, Literal

from connectors.api.config import ConfigDef, Importance, Type
from connectors.api.errors import ConfigError
from connectors.api.validators import between, non_empty, one_of, time_zone
from connectors.clients.kudu.settings import KuduSettings
from connectors.formats.mapping import ColumnSource, parse_mapping
from connectors.formats.temporal import zone_of

__all__ = ["DEFINITION", "SinkOptions", "TableOptions"]

Mode = Literal["upsert", "insert-ignore"]
_GROUP: Final = "Kudu"
_MAPPING, _MODE, _DELETES = ".mapping", ".mode", ".deletes.enabled"
_HASH, _RANGE = ".partition.hash", ".partition.range"
_SUFFIXES: Final = (_MAPPING, _MODE, _DELETES, _HASH, _RANGE)


def _odd(name: str, value: int) -> None:
    if value != 0 and (value < 0 or value % 2 == 0):
        raise ConfigError(f"Option {name}: {value} is no odd number", key=name)


DEFINITION: Final = (
    ConfigDef()
    .define(
        "kudu.masters",
        Type.STRING,
        doc="Addresses of all Kudu masters, host:port with commas between them.",
        importance=Importance.HIGH,
        validator=non_empty,
        group=_GROUP,
    )
    .define(
        "kudu.backend",
        Type.STRING,
        "auto",
        doc="Client library: native is kudu-python, jvm the official Java client in this process, auto takes native"
        " where it is installed.",
        validator=one_of("auto", "native", "jvm"),
        group=_GROUP,
        recommended=("auto", "native", "jvm"),
    )
    .define(
        "kudu.client.jars",
        Type.STRING,
        None,
        doc="Folder of the Java client's jars; default: the environment variable KUDU_CLIENT_JARS, else the folder that"
        " `connectors kudu fetch-jars` fills.",
        group=_GROUP,
    )
    .define(
        "kudu.operation.timeout.ms",
        Type.INT,
        10_000,
        doc="Time for a write in milliseconds; then the batch is put again.",
        importance=Importance.LOW,
        validator=between(500, 120_000),
        group=_GROUP,
    )
    .define(
        "time.zone",
        Type.STRING,
        "UTC",
        doc="Zone of times in messages that name none, e.g. Asia/Shanghai.",
        validator=time_zone,
        group=_GROUP,
    )
    .define(
        "binary.mode",
        Type.STRING,
        "latin1",
        doc="How texts for BINARY columns hold bytes: latin1 (a character for each byte, as Canal writes), base64 or"
        " hex; as the source's option of this name.",
        validator=one_of("latin1", "base64", "hex"),
        group=_GROUP,
        recommended=("latin1", "base64", "hex"),
    )
    .define(
        "auto.create",
        Type.BOOLEAN,
        False,
        doc="Create tables that do not exist, from the types and the key in Canal messages.",
        group=_GROUP,
    )
    .define(
        "auto.create.replicas",
        Type.INT,
        0,
        doc="Copies of each tablet of a table that the sink creates: an odd number; 0 leaves it to the cluster.",
        importance=Importance.LOW,
        validator=_odd,
        group=_GROUP,
    )
    .define(
        "auto.evolve",
        Type.BOOLEAN,
        False,
        doc="Add a nullable column where a Canal message has a field without one and tells its type; for tables that"
        " are mapped by name.",
        group=_GROUP,
    )
    .define(
        "kudu.schema.refresh.ms",
        Type.INT,
        10_000,
        doc="While messages have fields without a column, look this often whether the table has one by now.",
        importance=Importance.LOW,
        validator=between(0, 3_600_000),
        group=_GROUP,
    )
    .define(
        "topic.<topic>.<table>.partition.hash",
        Type.STRING,
        None,
        doc="For a table that the sink creates: key columns and number of buckets, `aid, astyle: 8`. Default: all key"
        " columns in 4 buckets, or none where there are ranges.",
        importance=Importance.LOW,
        group=_GROUP,
        pattern=r"topic\..+\..+\.partition\.hash",
    )
    .define(
        "topic.<topic>.<table>.partition.range",
        Type.STRING,
        None,
        doc="For a table that the sink creates: a key column and where its ranges are split,"
        " `ts_create_time: 2026-01-01, 2027-01-01`; the first and the last range have no end.",
        importance=Importance.LOW,
        group=_GROUP,
        pattern=r"topic\..+\..+\.partition\.range",
    )
    .define(
        "topic.<topic>.<table>.mapping",
        Type.STRING,
        None,
        doc="Columns and where their values come from: `aid = value.aid, log_time = value.logTime`. Without it,"
        " or with `*`, fields go to the columns of their name, case ignored, and fields without a column are left out;"
        " `value.a.b` is a field of an object. A topic"
        " without any option of its own goes to the table of its name.",
        importance=Importance.HIGH,
        group=_GROUP,
        pattern=r"topic\..+\..+\.mapping",
    )
    .define(
        "topic.<topic>.<table>.mode",
        Type.STRING,
        "upsert",
        doc="upsert, or insert-ignore: rows that are there already stay as they are.",
        validator=one_of("upsert", "insert-ignore"),
        group=_GROUP,
        pattern=r"topic\..+\..+\.mode",
    )
    .define(
        "topic.<topic>.<table>.deletes.enabled",
        Type.BOOLEAN,
        True,
        doc="Whether deletes are carried out, also that of the old row when a key changes.",
        group=_GROUP,
        pattern=r"topic\..+\..+\.deletes\.enabled",
    )
)


@dataclass(frozen=True, slots=True)
class TableOptions:
    """How the rows of a topic go to a table.

    Attributes:
        topic: The topic.
        table: The table.
        mapping: Column to source; None maps by name.
        mode: What a row does to one that is there.
        deletes: Whether deletes are carried out.
        hash_on: Key columns to hash, for a table that the sink creates.
        buckets: Number of hash buckets.
        range_on: Key column with ranges; empty for none.
        splits: Where the ranges are split, as configured.
    """

    topic: str
    table: str
    mapping: Mapping[str, ColumnSource] | None = None
    mode: Mode = "upsert"
    deletes: bool = True
    hash_on: tuple[str, ...] = ()
    buckets: int = 0
    range_on: str = ""
    splits: tuple[str, ...] = ()

    @property
    def mapping_option(self) -> str:
        """Name of the option with the mapping."""
        return f"topic.{self.topic}.{self.table}{_MAPPING}"


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """The sink's configuration.

    Attributes:
        settings: How to reach Kudu.
        zone: Zone of times that name none.
        topics: The topics listed; empty where they are given by a pattern.
        families: The options of topics and tables, by name.
        binary: How texts hold bytes.
        create: Whether missing tables are created.
        replicas: Copies of each tablet of those; 0 leaves it to the cluster.
        evolve: Whether missing columns are added.
        refresh_s: Seconds between two looks for missing columns.
    """

    settings: KuduSettings
    zone: tzinfo
    topics: tuple[str, ...]
    families: Mapping[str, Any]
    binary: str = "latin1"
    create: bool = False
    replicas: int = 0
    evolve: bool = False
    refresh_s: float = 10.0

    @classmethod
    def of(cls, props: Mapping[str, Any]) -> SinkOptions:
        """Read the configuration of a task; options of the runtime are left alone.

        Raises:
            ConfigError: An option cannot be used.
        """
        values = DEFINITION.parse({name: value for name, value in props.items() if name in DEFINITION})
        settings = KuduSettings(
            masters=values["kudu.masters"],
            backend=values["kudu.backend"],
            jars=values["kudu.client.jars"],
            operation_timeout_ms=values["kudu.operation.timeout.ms"],
        )
        families = {name: value for name, value in values.items() if _is_family(name)}
        return cls(
            settings,
            zone_of(values["time.zone"]),
            _listed_topics(props),
            families,
            values["binary.mode"],
            values["auto.create"],
            values["auto.create.replicas"],
            values["auto.evolve"],
            values["kudu.schema.refresh.ms"] / 1000,
        )

    def errors(self) -> list[ConfigError]:
        """Return an error for each option that cannot be used although its value alone is in order."""
        found = [_error(self.settings.addresses)]
        for name, value in self.families.items():
            place = split_option(name, self.topics) if self.topics else None
            if self.topics and place is None:
                known = ", ".join(self.topics)
                text = f"Option {name} must begin with topic.<topic>.<table>, with one of the topics {known}"
                found.append(ConfigError(text, key=name))
            elif place is not None:
                found.append(_error(_table_options, place[0], place[1], {place[2]: value}))
        return [error for error in found if error is not None]

    def tables_of(self, topic: str) -> list[TableOptions]:
        """Return the tables that a topic goes to: those its options name, else the one of its own name.

        Raises:
            ConfigError: A mapping cannot be read.
        """
        tables: dict[str, dict[str, Any]] = {}
        for name, value in self.families.items():
            place = split_option(name, self.topics or (topic,))
            if place is not None and place[0] == topic:
                tables.setdefault(place[1], {})[place[2]] = value
        return [_table_options(topic, table, given) for table, given in (tables or {topic: {}}).items()]


def _listed_topics(props: Mapping[str, Any]) -> tuple[str, ...]:
    topics = props.get("topics") or ()
    return tuple(part.strip() for part in (topics.split(",") if isinstance(topics, str) else topics) if part.strip())


def split_option(name: str, topics: Iterable[str]) -> tuple[str, str, str] | None:
    """Split a topic option into topic, table and suffix; None where it fits none of the topics.

    Topics and tables may hold dots, so only the topics tell where the table begins; the longest that fits wins.
    """
    suffix = next(suffix for suffix in _SUFFIXES if name.endswith(suffix))
    rest = name.removeprefix("topic.").removesuffix(suffix)
    fitting = [topic for topic in topics if rest.startswith(f"{topic}.") and len(rest) > len(topic) + 1]
    if not fitting:
        return None
    topic = max(fitting, key=len)
    return topic, rest[len(topic) + 1 :], suffix


def _table_options(topic: str, table: str, given: Mapping[str, Any]) -> TableOptions:
    text = given.get(_MAPPING)
    prefix = f"topic.{topic}.{table}"
    mapping = None if text is None or text.strip() == "*" else parse_mapping(f"{prefix}{_MAPPING}", text)
    hash_on, buckets = _hash(f"{prefix}{_HASH}", given.get(_HASH))
    range_on, splits = _ranges(f"{prefix}{_RANGE}", given.get(_RANGE))
    mode, deletes = given.get(_MODE, "upsert"), given.get(_DELETES, True)
    return TableOptions(topic, table, mapping, mode, deletes, hash_on, buckets, range_on, splits)


def _hash(name: str, text: str | None) -> tuple[tuple[str, ...], int]:
    if text is None:
        return (), 0
    names, _, number = text.rpartition(":")
    columns = tuple(part.strip() for part in names.split(","))
    if not all(columns) or not number.strip().isdecimal() or int(number) < 2:
        message = f"Option {name}: {text!r} cannot be read; write key columns and at least 2 buckets: aid, astyle: 8"
        raise ConfigError(message, key=name)
    return columns, int(number)


def _ranges(name: str, text: str | None) -> tuple[str, tuple[str, ...]]:
    if text is None:
        return "", ()
    column, _, values = text.partition(":")
    splits = tuple(part.strip() for part in values.split(","))
    if not column.strip() or not all(splits):
        message = f"Option {name}: {text!r} cannot be read; write a key column and splits: day: 2026-01-01, 2027-01-01"
        raise ConfigError(message, key=name)
    return column.strip(), splits


def _error(check: Callable[..., Any], *arguments: Any) -> ConfigError | None:
    try:
        check(*arguments)
    except ConfigError as error:
        return error
    return None


def _is_family(name: str) -> bool:
    key = DEFINITION.find(name)
    return key is not None and key.pattern is not None and name != key.name
