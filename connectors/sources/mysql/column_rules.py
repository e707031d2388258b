"""Which columns messages hold, and which of them only in a changed form."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring
from typing import Any, Final

from connectors.api.errors import ConfigError
from connectors.sources.mysql.columns import Table
from connectors.sources.mysql.predicate import text_of

__all__ = ["ChangeText", "ColumnRules", "column_rules"]

ChangeText = Callable[[str], str]
"""From a column's JSON text to the JSON text that is sent instead."""

MASK: Final = r"column\.mask\.with\.(?P<size>\d{1,4})\.chars"
TRUNCATE: Final = r"column\.truncate\.to\.(?P<size>\d{1,7})\.chars"


@dataclass(frozen=True, slots=True)
class ColumnRules:
    """Rules by `schema.table.column`, each an expression that must match the whole.

    Attributes:
        include: Only these columns are sent; none: all.
        exclude: These are not sent.
        changes: What is done to the texts of the columns that match; all that match apply, in this order.
    """

    include: tuple[re.Pattern[str], ...] = ()
    exclude: tuple[re.Pattern[str], ...] = ()
    changes: tuple[tuple[tuple[re.Pattern[str], ...], ChangeText], ...] = ()

    def dropped(self, table: Table) -> frozenset[int]:
        """Return the positions of the columns that are not sent."""
        names = (f"{table.database}.{table.name}.{column.name}" for column in table.columns)
        return frozenset(n for n, name in enumerate(names) if not self._sent(name))

    def _sent(self, name: str) -> bool:
        if _matches(self.exclude, name):
            return False
        return not self.include or _matches(self.include, name)

    def changed(self, table: Table) -> dict[int, ChangeText]:
        """Return what is done to the texts of which columns, by position."""
        found = {}
        for number, column in enumerate(table.columns):
            name = f"{table.database}.{table.name}.{column.name}"
            steps = [change for patterns, change in self.changes if _matches(patterns, name)]
            if steps:
                found[number] = steps[0] if len(steps) == 1 else _chain(steps)
        return found


def column_rules(values: Mapping[str, Any]) -> ColumnRules:
    """Return the rules that the options stand for.

    Args:
        values: Parsed options.

    Raises:
        ConfigError: `column.mask.hash` lacks its salt.
    """
    changes = []
    hashed, salt = values["column.mask.hash"], values["column.mask.hash.salt"]
    if hashed and not salt.value:
        raise ConfigError(
            "Option column.mask.hash needs column.mask.hash.salt: without a secret, short values are found by trying",
            key="column.mask.hash.salt",
        )
    if hashed:
        changes.append((_compiled(hashed), _hash(salt.value.encode())))
    for name, given in values.items():
        for pattern, make in ((TRUNCATE, _truncate), (MASK, _mask)):
            match = re.fullmatch(pattern, name)
            if match:
                changes.append((_compiled(given), make(int(match["size"]))))
    include, exclude = values["column.include.list"], values["column.exclude.list"]
    return ColumnRules(_compiled(include), _compiled(exclude), tuple(changes))


def _compiled(patterns: Sequence[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern) for pattern in patterns)


def _matches(patterns: Sequence[re.Pattern[str]], name: str) -> bool:
    return any(pattern.fullmatch(name) for pattern in patterns)


def _chain(steps: Sequence[ChangeText]) -> ChangeText:
    def change(json: str) -> str:
        for step in steps:
            json = step(json)
        return json

    return change


def _mask(size: int) -> ChangeText:
    mask = f'"{"*" * size}"'
    return lambda json: json if json == "null" else mask


def _truncate(size: int) -> ChangeText:
    def change(json: str) -> str:
        if len(json) <= size + 2 or json == "null":
            return json
        return encode_basestring((text_of(json) or "")[:size])

    return change


def _hash(salt: bytes) -> ChangeText:
    def change(json: str) -> str:
        text = text_of(json)
        return json if text is None else f'"{hmac.new(salt, text.encode(), hashlib.sha256).hexdigest()}"'

    return change
