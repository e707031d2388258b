"""The options of GoldenGate's format, for the source (`goldengate.`) and the converter (no prefix)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from connectors.api.config import ConfigDef, Importance, Type
from connectors.api.errors import ConfigError
from connectors.api.validators import non_empty, one_of, time_zone
from connectors.formats.goldengate import GoldenGateFormat
from connectors.formats.goldengate_meta import MetaColumns
from connectors.formats.goldengate_types import column_type
from connectors.formats.temporal import zone_of

__all__ = ["format_of", "format_options"]

_GROUP: Final = "Format"


def _check_columns(name: str, value: str) -> None:
    _columns(name, value)


def _columns(name: str, text: str) -> dict[str, str]:
    """Read `AID=varchar(64), ENERGY=decimal(10,2)`."""
    found: dict[str, str] = {}
    for part in re.split(r",(?![^(]*\))", text):
        column, separator, type_text = part.partition("=")
        if not separator or not column.strip():
            example = "AID=varchar(64), ENERGY=decimal(10,2)"
            raise ConfigError(f"Option {name}: cannot read {part.strip()!r}; write e.g. {example}", key=name)
        try:
            column_type(type_text.strip())
        except ConfigError as error:
            raise ConfigError(f"Option {name}: column {column.strip()}: {error}", key=name) from None
        found[column.strip()] = type_text.strip()
    return found


def _check_op_keys(name: str, value: list[str]) -> None:
    if len(value) != 4 or len(set(value)) != 4:
        raise ConfigError(f"Option {name}: four different words are needed, e.g. I,U,D,T", key=name)


def format_options(prefix: str = "") -> ConfigDef:
    """Return the options, each with a prefix such as `goldengate.` before its name."""

    def check_meta(name: str, value: str) -> None:
        MetaColumns(value, option=name)

    literal = re.escape(prefix)
    return (
        ConfigDef()
        .define(f"{prefix}meta.columns", Type.STRING, "", validator=check_meta, group=_GROUP,
                importance=Importance.HIGH,
                doc="The replicat's gg.handler.<name>.format.metaColumnsTemplate, where it is not the usual one, e.g."
                " ${objectname[table]},${optype[op_type]},${timestamp[op_ts]},${position[pos]}.")
        .define(f"{prefix}format", Type.STRING, "auto", validator=one_of("auto", "op", "row"), group=_GROUP,
                recommended=("auto", "op", "row"),
                doc="op (format=json: images under before and after), row (format=json_row: columns beside the meta"
                " columns) or auto.")
        .define(f"{prefix}before", Type.STRING, "before", validator=non_empty, group=_GROUP,
                importance=Importance.LOW, doc="Name of the before image.")
        .define(f"{prefix}after", Type.STRING, "after", validator=non_empty, group=_GROUP,
                importance=Importance.LOW, doc="Name of the after image.")
        .define(f"{prefix}op.keys", Type.LIST, ["I", "U", "D", "T"], validator=_check_op_keys, group=_GROUP,
                importance=Importance.LOW,
                doc="What insertOpKey, updateOpKey, deleteOpKey and truncateOpKey are set to.")
        .define(f"{prefix}time.zone", Type.STRING, "UTC", validator=time_zone, group=_GROUP,
                doc="Zone of op_ts, e.g. Asia/Shanghai or +08:00.")
        .define(f"{prefix}key.token", Type.STRING, "", group=_GROUP,
                doc="Token that holds the names of the key columns, comma-separated, where neither primary_keys nor"
                " an option tells them.")
        .define(f"{prefix}key.<SCHEMA.TABLE>", Type.LIST, None, group=_GROUP, pattern=rf"{literal}key\.(?!token$).+",
                importance=Importance.HIGH, doc="Key columns of a table, where the records do not hold primary_keys.")
        .define(f"{prefix}types.<SCHEMA.TABLE>", Type.STRING, None, group=_GROUP, pattern=rf"{literal}types\..+",
                validator=_check_columns,
                doc="Types of a table's columns in MySQL's or Oracle's words, e.g. AID=varchar2(64),"
                " ENERGY=number(10,2), TT=timestamp(6). Values are written as Canal writes this type.")
        .define(f"{prefix}binary.mode", Type.STRING, "base64", validator=one_of("base64", "latin1", "hex"),
                group=_GROUP, recommended=("base64", "latin1", "hex"),
                doc="How columns of a declared binary type are written: base64 (as GoldenGate), latin1 (as Canal) or"
                " hex.")
    )  # fmt: skip


def format_of(values: Mapping[str, Any], prefix: str = "") -> GoldenGateFormat:
    """Return the format that parsed options describe.

    Raises:
        ConfigError: An option cannot be used.
    """

    def below(family: str) -> dict[str, Any]:
        start = f"{prefix}{family}."
        return {
            name.removeprefix(start): value
            for name, value in values.items()
            if name.startswith(start) and name != f"{prefix}key.token" and "<" not in name
        }

    meta = MetaColumns(
        values[f"{prefix}meta.columns"],
        option=f"{prefix}meta.columns",
        before=values[f"{prefix}before"],
        after=values[f"{prefix}after"],
    )
    types = {table: _columns(f"{prefix}types.{table}", text) for table, text in below("types").items()}
    return GoldenGateFormat(
        meta,
        values[f"{prefix}op.keys"],
        zone_of(values[f"{prefix}time.zone"]),
        below("key"),
        values[f"{prefix}key.token"],
        types,
        values[f"{prefix}binary.mode"],
        values[f"{prefix}format"],
    )
