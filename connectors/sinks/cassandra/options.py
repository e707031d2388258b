"""What `CassandraSink` can be told, declared once."""

from __future__ import annotations

import re
from typing import Any, Final

from connectors.api.config import ConfigDef, Importance, Password, Type
from connectors.api.errors import ConfigError
from connectors.api.validators import between, non_empty, one_of, time_zone
from connectors.clients.cassandra import BATCHING, BINARY_MODES, CONSISTENCY_LEVELS, MAX_IN_FLIGHT_LIMIT
from connectors.formats.mapping import ColumnSource, parse_mapping

__all__ = ["AUTOMATIC", "CONFIG", "MAX_TTL_S", "TABLE", "parse_source", "parse_ttl"]

AUTOMATIC: Final = "*"
"""Mapping by name: each column takes the field of the same name, whatever the case."""

TABLE: Final = r"topic\.(?P<topic>.+)\.(?P<keyspace>[^.]+)\.(?P<table>[^.]+)\."
"""What the options of a table start with. A topic may hold dots: the last two parts are keyspace and table."""

MAX_TTL_S: Final = 630_720_000
"""20 years, the most that Cassandra takes."""


def parse_source(option: str, text: str) -> ColumnSource:
    """Parse `value.field`, `header.name` and the like.

    Raises:
        ConfigError: It is no such source.
    """
    return parse_mapping(option, f"it = {text}")["it"]


def parse_ttl(option: str, text: str) -> int | ColumnSource | None:
    """Parse seconds to live or where they come from; None for ever.

    Raises:
        ConfigError: It is neither, or too long.
    """
    if not re.fullmatch(r"-?[0-9]+", text):
        return parse_source(option, text)
    if int(text) > MAX_TTL_S:
        raise ConfigError(f"Option {option}: {text} seconds is more than 20 years", key=option)
    return int(text) if int(text) > 0 else None


def _mapping(name: str, value: str) -> None:
    if value and value != AUTOMATIC:
        parse_mapping(name, value)


def _ttl(name: str, value: str) -> None:
    parse_ttl(name, value)


def _source(name: str, value: str) -> None:
    parse_source(name, value)


def _consistency(name: str, value: str) -> None:
    if "SERIAL" in value:
        raise ConfigError(
            f"Option {name}: {value} is for conditional statements, and those take no timestamp, without which a "
            "replay could overwrite newer rows; use LOCAL_QUORUM",
            key=name,
        )
    one_of(*CONSISTENCY_LEVELS)(name, value)


def _contact_points(name: str, value: list[str]) -> None:
    non_empty(name, value)
    with_port = next((host for host in value if re.search(r":\d+$", host) and host.count(":") == 1), None)
    if with_port is not None:
        raise ConfigError(f"Option {name}: {with_port!r} has a port; give it in cassandra.port", key=name)


def _table_option(definition: ConfigDef, option: str, type_: Type, default: Any, doc: str, check: Any = None) -> None:
    definition.define(
        f"topic.<topic>.<keyspace>.<table>.{option}",
        type_,
        default,
        doc=doc,
        validator=check,
        group="Tables",
        pattern=TABLE + re.escape(option),
    )


def _cluster_options() -> ConfigDef:
    result = ConfigDef()
    group = "Cassandra"
    result.define(
        "cassandra.contact.points",
        Type.LIST,
        ["127.0.0.1"],
        doc="Comma-separated hosts to ask first.",
        importance=Importance.HIGH,
        validator=_contact_points,
        group=group,
    )
    result.define(
        "cassandra.port", Type.INT, 9042, doc="Native protocol port.", validator=between(1, 65535), group=group
    )
    result.define(
        "cassandra.local.datacenter",
        Type.STRING,
        "",
        doc="Datacenter to write to; by default that of the contact points.",
        group=group,
    )
    result.define("cassandra.username", Type.STRING, "", doc="User, if the cluster asks for one.", group=group)
    result.define("cassandra.password", Type.PASSWORD, Password(""), doc="Password of the user.", group=group)
    return result


def _tls_options() -> ConfigDef:
    result = ConfigDef()
    group = "TLS"
    result.define("cassandra.ssl.enabled", Type.BOOLEAN, False, doc="Whether connections are encrypted.", group=group)
    result.define(
        "cassandra.ssl.ca", Type.STRING, "", doc="PEM file of trusted authorities; default: the system's.", group=group
    )
    result.define(
        "cassandra.ssl.certificate",
        Type.STRING,
        "",
        doc="PEM file of the client's own certificate, where the cluster asks for one.",
        group=group,
    )
    result.define(
        "cassandra.ssl.key", Type.STRING, "", doc="PEM file of its key, if it is in a file of its own.", group=group
    )
    result.define("cassandra.ssl.key.password", Type.PASSWORD, Password(""), doc="Password of the key.", group=group)
    result.define(
        "cassandra.ssl.hostname.verification",
        Type.BOOLEAN,
        True,
        doc="Whether the server's certificate must name the host as it stands in cassandra.contact.points.",
        group=group,
    )
    return result


def _write_options() -> ConfigDef:
    result = ConfigDef()
    group = "Cassandra"
    result.define(
        "cassandra.consistency",
        Type.STRING,
        "LOCAL_QUORUM",
        doc="Consistency level of writes; a row counts as durable when that many replicas have it.",
        validator=_consistency,
        group=group,
        recommended=CONSISTENCY_LEVELS,
    )
    result.define(
        "cassandra.max.in.flight",
        Type.INT,
        256,
        doc="Most requests on their way at a time, for each task.",
        validator=between(1, MAX_IN_FLIGHT_LIMIT),
        group=group,
    )
    result.define(
        "cassandra.batch",
        Type.STRING,
        "replica",
        doc="Rows that may share a request: those with the same replicas (fastest), of one partition, or none.",
        validator=one_of(*BATCHING),
        group=group,
        recommended=BATCHING,
    )
    result.define(
        "time.zone",
        Type.STRING,
        "UTC",
        doc="Time zone of times in messages that name none, e.g. Asia/Shanghai.",
        validator=time_zone,
        group=group,
    )
    result.define(
        "binary.mode",
        Type.STRING,
        "latin1",
        doc="How texts hold the bytes of blob columns: latin1 (a character for each byte, as Canal), base64 or hex.",
        validator=one_of(*BINARY_MODES),
        group=group,
        recommended=tuple(BINARY_MODES),
    )
    return result


def _schema_options() -> ConfigDef:
    result = ConfigDef()
    group = "Schema"
    result.define(
        "auto.create",
        Type.BOOLEAN,
        False,
        doc="Create a missing table from the first row: columns from its fields, types from the message's mysqlType "
        "or the JSON values, the primary key from pkNames or the fields of the record's key. Needs mapping `*`.",
        group=group,
    )
    result.define(
        "auto.evolve",
        Type.BOOLEAN,
        False,
        doc="Add a column for a field that the table has none for. Without it such fields are left out, with a "
        "warning. Needs mapping `*`.",
        group=group,
    )
    return result


def _table_options() -> ConfigDef:
    result = ConfigDef()
    _table_option(
        result,
        "mapping",
        Type.STRING,
        AUTOMATIC,
        "Comma-separated `column = value.field | key | key.field | header.name | timestamp | now()`; "
        "`*` takes for each column the field of the same name, whatever the case.",
        _mapping,
    )
    _table_option(
        result, "ttl", Type.STRING, "-1", "Seconds to live, or their source, e.g. value.ttl; -1 for ever.", _ttl
    )
    _table_option(
        result,
        "null.to.unset",
        Type.BOOLEAN,
        False,
        "true: a null leaves the column as it is. false: a null erases it, as a change to NULL must. "
        "A field that is absent always leaves its column as it is.",
    )
    _table_option(result, "deletes.enabled", Type.BOOLEAN, True, "Whether deletes are carried out.")
    _table_option(
        result,
        "timestamp",
        Type.STRING,
        "",
        "Source of the write timestamp, e.g. value.updated_at: a time, or microseconds as a number. By default the "
        "order of the change (header connect.ts_us), else the record's timestamp.",
        _source,
    )
    return result


CONFIG: Final = _cluster_options() | _tls_options() | _write_options() | _schema_options() | _table_options()
