"""Where the meta columns of a GoldenGate record stand: the replicat's `metaColumnsTemplate`, or the usual names.

Source: Oracle GoldenGate for Big Data, "Metacolumn Keywords": `${keyword[name]}`, comma-separated; without a name the
keyword is the name. Some keywords take an argument before it: `${token[key][name]}`.
"""

from __future__ import annotations

import re
from typing import Any, Final

from connectors.api.errors import ConfigError

__all__ = ["MetaColumns"]

_COLUMN: Final = re.compile(r"\s*\$\{(?P<keyword>\w+)(?P<arguments>(?:\[[^\]]*\])*)\}\s*")
_ROLES: Final = {
    "objectname": "object",
    "optype": "op_type",
    "timestamp": "op_ts",
    "timestampmicro": "op_ts",
    "optimestamp": "op_ts",
    "position": "pos",
    "primarykeycolumns": "primary_keys",
    "primarykeys": "primary_keys",
    "alltokens": "tokens",
    "catalog": "catalog",
    "schema": "schema",
    "table": "table",
    "xid": "xid",
    "csn": "csn",
    "txind": "txind",
    "seqno": "seqno",
    "rba": "rba",
}
_USUAL: Final = {
    "object": "table",
    "op_type": "op_type",
    "op_ts": "op_ts",
    "pos": "pos",
    "primary_keys": "primary_keys",
    "tokens": "tokens",
    "xid": "xid",
    "csn": "csn",
    "txind": "txind",
}
# The indicator as the keyword writes it, and as the older handlers do.
_TXIND: Final = {"B": "B", "M": "M", "E": "E", "W": "W", "0": "B", "1": "M", "2": "E", "3": "W"}


class MetaColumns:
    """Finds meta columns in records.

    Args:
        template: The replicat's template; empty: the usual names.
        option: The option that it comes from, for messages.
        before: Name of the before image.
        after: Name of the after image.

    Raises:
        ConfigError: It is no such template, or names neither table nor operation.
    """

    def __init__(
        self, template: str = "", *, option: str = "meta.columns", before: str = "before", after: str = "after"
    ) -> None:
        self.before = before
        self.after = after
        self.micros = False
        self._option = option
        self.fields: dict[str, str] = dict(_USUAL)
        """Field name by role."""
        self.names = frozenset({before, after, "current_ts", *_USUAL.values()})
        """All names that are no columns of the table."""
        if template.strip():
            self._read(template)

    def _read(self, template: str) -> None:
        fields: dict[str, str] = {}
        names = {self.before, self.after}
        for part in template.split(","):
            match = _COLUMN.fullmatch(part)
            if match is None:
                example = "${objectname[table]},${optype[op_type]},${timestamp[op_ts]},${position[pos]}"
                raise ConfigError(
                    f"Option {self._option}: cannot read {part.strip()!r}; write e.g. {example}", key=self._option
                )
            keyword = match["keyword"].lower()
            arguments = re.findall(r"\[([^\]]*)\]", match["arguments"])
            name = arguments[-1] if arguments else match["keyword"]
            names.add(name)
            role = _ROLES.get(keyword)
            if role is not None:
                fields[role] = name
                self.micros = self.micros or keyword == "timestampmicro"
        if "object" not in fields and "table" not in fields:
            raise ConfigError(
                f"Option {self._option}: ${{objectname[table]}} or ${{table}} is needed", key=self._option
            )
        if "op_type" not in fields:
            raise ConfigError(f"Option {self._option}: ${{optype[op_type]}} is needed", key=self._option)
        self.fields, self.names = fields, frozenset(names)

    def field(self, record: dict[str, Any], role: str) -> Any:
        """Return the meta column of a role, or None."""
        name = self.fields.get(role)
        return None if name is None else record.get(name)

    def text(self, record: dict[str, Any], role: str) -> str:
        """Return the meta column of a role as text, or an empty text."""
        value = self.field(record, role)
        return "" if value is None else str(value)

    def table(self, record: dict[str, Any]) -> str:
        """Return `SCHEMA.TABLE`, with the catalog before it where there is one; empty where there is none."""
        name = self.field(record, "object")
        if isinstance(name, str):
            return name
        if self.field(record, "table") is None:
            return ""
        parts = (self.text(record, role) for role in ("catalog", "schema", "table"))
        return ".".join(part for part in parts if part)

    def op_type(self, record: dict[str, Any]) -> Any:
        """Return what stands for the operation, or None."""
        value = self.field(record, "op_type")
        return value if isinstance(value, str) else None

    def pos(self, record: dict[str, Any]) -> str:
        """Return the position in the trail: 20 digits, trail number and byte address."""
        if "pos" in self.fields or "seqno" not in self.fields:
            return self.text(record, "pos")
        seqno, rba = self.text(record, "seqno"), self.text(record, "rba")
        return f"{seqno:0>10}{rba:0>10}" if seqno else ""

    def txind(self, record: dict[str, Any]) -> str:
        """Return the transaction indicator, or an empty text."""
        return _TXIND.get(self.text(record, "txind")[:1].upper(), "")
