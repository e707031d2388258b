"""Which tables are read, and which topic they go to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from string import Template
from typing import Final

from connectors.api.errors import ConfigError

__all__ = ["TableFilter", "TopicName"]

BUILT_IN: Final = frozenset({"mysql", "information_schema", "performance_schema", "sys"})
_TOPIC: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")


class TableFilter:
    """Chooses tables. A built-in schema is never read.

    Args:
        databases: Regular expressions, one of which must match the whole database name; none: all.
        include: Regular expressions, one of which must match the whole `schema.table`; none: all.
        exclude: Regular expressions, none of which may match the whole `schema.table`.
    """

    def __init__(self, databases: Sequence[str] = (), include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._databases = _compiled(databases)
        self._include = _compiled(include)
        self._exclude = _compiled(exclude)

    def database(self, name: str) -> bool:
        """Tell whether tables of a database may be read."""
        return name not in BUILT_IN and _any(self._databases, name, empty=True)

    def table(self, database: str, table: str) -> bool:
        """Tell whether a table is read."""
        name = f"{database}.{table}"
        return (
            self.database(database)
            and _any(self._include, name, empty=True)
            and not _any(self._exclude, name, empty=False)
        )


def _compiled(patterns: Iterable[str]) -> list[re.Pattern[str]]:
    return [re.compile(pattern) for pattern in patterns]


def _any(patterns: list[re.Pattern[str]], name: str, *, empty: bool) -> bool:
    return any(pattern.fullmatch(name) for pattern in patterns) if patterns else empty


class TopicName:
    """A topic name with `${database}` and `${table}` in it.

    Args:
        option: The option it comes from, for messages.
        template: The name.

    Raises:
        ConfigError: It is no template of a topic name.
    """

    def __init__(self, option: str, template: str) -> None:
        self._option = option
        self._template = Template(template)
        known = {"database", "table"}
        if not self._template.is_valid() or set(self._template.get_identifiers()) - known:
            raise ConfigError(f"Option {option}: {template!r} may hold only ${{database}} and ${{table}}", key=option)
        self.of("d", "t")

    def of(self, database: str, table: str) -> str:
        """Return the topic of a table; characters that Kafka does not allow become `_`.

        Raises:
            ConfigError: The name is empty or too long.
        """
        clean = {"database": _clean(database), "table": _clean(table)}
        name = self._template.substitute(clean)
        if not _TOPIC.fullmatch(name) or name in (".", ".."):
            raise ConfigError(f"Option {self._option}: {name!r} is no topic name", key=self._option)
        return name


def _clean(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9._-]", "_", name)
