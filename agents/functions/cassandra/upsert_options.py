"""The options of mode `upsert` and their check against the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from agents.functions.cassandra.sources import Getter, getter
from connectors.api.errors import ConfigError, did_you_mean
from connectors.clients.cassandra import TableSchema
from connectors.formats.mapping import ColumnSource, parse_mapping

__all__ = ["CHANGE_TIME", "Read", "UpsertOptions", "parse_upsert"]

Read = Literal["always", "updates"]

CHANGE_TIME: Final = "change_time"
"""The time of the change itself: the same on every replay."""

_VALUE: Final = "value."


@dataclass(slots=True)
class UpsertOptions:
    """What is written, kept and added.

    Attributes:
        mapping: Column to source.
        keep: Columns whose present value stays.
        generate: Time column to `CHANGE_TIME`, or to the field that holds the time.
        read: Whether an INSERT, too, may meet a present row.
        deletes: Whether a DELETE deletes.
        delete_after_s: Seconds that a deleted row is still kept.
        emit: Field to the column or generated time that it shows; None for all kept and generated ones.
    """

    mapping: dict[str, ColumnSource]
    keep: tuple[str, ...]
    generate: dict[str, str]
    read: Read
    deletes: bool
    delete_after_s: int
    emit: dict[str, str] | None
    key_fields: frozenset[str] = field(default_factory=frozenset)

    def columns_of(self, schema: TableSchema) -> list[str]:
        """Return the exact names of the columns that are written.

        Raises:
            ConfigError: The options do not fit the table; a line for each error.
        """
        generated = [name for name in self.generate if schema.find(name) is not None]
        wanted = [*self.mapping, *generated]
        errors = schema.check("mapping", wanted)
        present = {schema.find(name) for name in wanted}
        for name in self.keep:
            if schema.find(name) is None:
                near = did_you_mean(name, schema.columns)
                errors.append(f"Option keep: table {schema.label} has no column {name}{near}")
            elif schema.find(name) not in present:
                errors.append(f"Option keep: give the first value of {name} in mapping or generate")
        errors += [
            f"Option mapping: column {name} of the partition key of {schema.label} cannot be generated or kept"
            for name in schema.partition_key
            if name in {schema.find(other) for other in (*self.generate, *self.keep)}
        ]
        if errors:
            raise ConfigError("\n".join(errors), key="mapping")
        keys = {schema.find(name): source for name, source in self.mapping.items()}
        self.key_fields = frozenset(keys[name].name for name in schema.partition_key if keys[name].kind == "value")
        # A generated time goes before a mapped one of the same column.
        return list(dict.fromkeys(schema.find(name) or name for name in wanted))

    def getter_of(self, schema: TableSchema, column: str) -> Getter | None:
        """Return what fetches a column's value; None for a generated time."""
        if column in {schema.find(name) for name in self.generate}:
            return None
        found = next(item for item in self.mapping.items() if schema.find(item[0]) == column)
        return getter("mapping", *found)

    def emitted(self, schema: TableSchema) -> dict[str, str]:
        """Return the fields to add and the column or generated time behind each."""
        emit = self.emit if self.emit is not None else {name: name for name in (*self.keep, *self.generate)}
        known = {schema.find(name) or name for name in (*self.mapping, *self.generate)}
        result = {field: schema.find(name) or name for field, name in emit.items()}
        unknown = [name for name in result.values() if name not in known]
        if unknown:
            near = did_you_mean(unknown[0], known)
            raise ConfigError(f"Option emit: {unknown[0]} is neither mapped nor generated{near}", key="emit")
        return result


def parse_upsert(
    mapping: str | None,
    keep: Sequence[str],
    generate: Mapping[str, str] | None,
    read: str,
    deletes: bool,
    delete_after_s: int,
    emit: Sequence[str] | Mapping[str, str] | None,
) -> UpsertOptions:
    """Return the options of mode `upsert`.

    Raises:
        ConfigError: One of them cannot be used.
    """
    if not mapping:
        raise ConfigError("mode upsert needs the option mapping", key="mapping")
    if read not in ("always", "updates"):
        raise ConfigError(f"Option read: {read!r} is not always or updates", key="read")
    if delete_after_s < 0:
        raise ConfigError(f"Option delete_after_s: {delete_after_s} is negative", key="delete_after_s")
    if isinstance(keep, str) or isinstance(emit, str):
        raise ConfigError("Options keep and emit are lists", key="keep" if isinstance(keep, str) else "emit")
    sources = parse_mapping("mapping", mapping)
    for column, source in sources.items():
        getter("mapping", column, source)
    return UpsertOptions(
        mapping=sources,
        keep=tuple(keep),
        generate={name: _time_source(name, source) for name, source in (generate or {}).items()},
        read="always" if read == "always" else "updates",
        deletes=deletes,
        delete_after_s=delete_after_s,
        emit=None if emit is None else _fields(emit),
    )


def _fields(emit: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    return dict(emit) if isinstance(emit, Mapping) else {name: name for name in emit}


def _time_source(name: str, source: Any) -> str:
    if source == CHANGE_TIME:
        return CHANGE_TIME
    if isinstance(source, str) and source.startswith(_VALUE) and len(source) > len(_VALUE):
        return source[len(_VALUE) :]
    raise ConfigError(f"Option generate: {name}: {source!r} is not {CHANGE_TIME} or value.<field>", key="generate")
