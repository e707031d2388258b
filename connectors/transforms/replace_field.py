"""ReplaceField: fields dropped, kept or renamed."""

from __future__ import annotations

from typing import Any

from connectors.api.config import ConfigDef, Type
from connectors.api.errors import ConfigError
from connectors.api.record import SinkRecord, SourceRecord
from connectors.transforms.base import RowTransform, with_null_default
from connectors.transforms.values import Edit

__all__ = ["ReplaceField", "ReplaceFieldKey", "ReplaceFieldValue"]


class ReplaceField(RowTransform):
    """Drops the fields in `exclude`, keeps only those in `include` if it is set, and renames.

    Key columns and column types of row changes follow.

    Source: org.apache.kafka.connect.transforms.ReplaceField.
    """

    @classmethod
    def config(cls) -> ConfigDef:
        """Return the options."""
        definition = (
            ConfigDef()
            .define("exclude", Type.LIST, [], doc="Fields to drop; goes before include.")
            .define("include", Type.LIST, [], doc="The only fields to keep; empty: all.")
            .define("renames", Type.LIST, [], doc="Comma-separated pairs from:to.")
        )
        return with_null_default(definition)

    def set_up(self, options: dict[str, Any]) -> None:
        """Take the fields.

        Raises:
            ConfigError: A rename is malformed, or two fields would get one name.
        """
        self._exclude, self._include = frozenset(options["exclude"]), frozenset(options["include"])
        self._renames: dict[str, str] = {}
        for entry in options["renames"]:
            old, colon, new = (part.strip() for part in entry.partition(":"))
            if not (old and colon and new) or ":" in new:
                raise ConfigError(f"Option renames: cannot read {entry!r}; write from:to", key="renames")
            if old in self._renames or new in self._renames.values():
                raise ConfigError(f"Option renames: {entry!r}: a name occurs twice", key="renames")
            self._renames[old] = new
        self._edit = Edit(lambda row, _: self._row(row), rename=self._new_name)

    def edit(self, record: SourceRecord | SinkRecord) -> Edit:
        """Return what to do to the rows."""
        return self._edit

    def _new_name(self, name: str) -> str | None:
        if name in self._exclude or (self._include and name not in self._include):
            return None
        return self._renames.get(name, name)

    def _row(self, row: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, value in row.items():
            new = self._new_name(name)
            if new is None:
                continue
            if new in made:
                raise self.fault(f"{self.on}: two fields become {new}; exclude one of them")
            made[new] = value
        return row if made.keys() == row.keys() and not self._renames else made


class ReplaceFieldKey(ReplaceField):
    """`ReplaceField$Key`."""

    on = "key"


class ReplaceFieldValue(ReplaceField):
    """`ReplaceField$Value`."""
