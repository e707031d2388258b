"""Which tables are read, and which topic they go to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import Template
from typing import Final

from connectors.api.errors import ConfigError

__all__ = ["Routing", "check_topic"]

_TOPIC: Final = re.compile(r"[a-zA-Z0-9._-]{1,249}")
_KNOWN: Final = frozenset({"database", "table"})


def check_topic(name: str, value: str) -> None:
    """Refuse what is no template of a topic name.

    Raises:
        ConfigError: It is none.
    """
    template = Template(value)
    if not template.is_valid() or set(template.get_identifiers()) - _KNOWN:
        raise ConfigError(f"Option {name}: {value!r} may hold only ${{database}} and ${{table}}", key=name)
    _topic(name, template, "d", "t")


def _topic(option: str, template: Template, database: str, table: str) -> str:
    """Return a topic name; characters that Kafka does not allow, such as Oracle's `$`, become `_`."""
    clean = {"database": re.sub(r"[^\w.-]", "_", database, flags=re.ASCII),
             "table": re.sub(r"[^\w.-]", "_", table, flags=re.ASCII)}  # fmt: skip
    name = template.substitute(clean)
    if not _TOPIC.fullmatch(name) or name in (".", ".."):
        raise ConfigError(f"Option {option}: {name!r} is no topic name", key=option)
    return name


class Routing:
    """Chooses tables and names their topics.

    Args:
        topic: Template of the topic of rows.
        ddl_topic: Template of the topic of TRUNCATEs; empty: that of rows.
        include: Regular expressions, one of which must match the whole `SCHEMA.TABLE`; none: all.
        exclude: Regular expressions, none of which may match it.
    """

    def __init__(self, topic: str, ddl_topic: str, include: Sequence[str], exclude: Sequence[str]) -> None:
        self._topic = Template(topic)
        self._ddl = Template(ddl_topic or topic)
        self._include = [re.compile(pattern) for pattern in include]
        self._exclude = [re.compile(pattern) for pattern in exclude]
        self._known: dict[tuple[str, str], tuple[str, str] | None] = {}

    def topics(self, database: str, table: str) -> tuple[str, str] | None:
        """Return the topics of a table's rows and TRUNCATEs; None where it is not read."""
        names = database, table
        if names not in self._known:
            full = f"{database}.{table}" if database else table
            chosen = not self._include or any(pattern.fullmatch(full) for pattern in self._include)
            chosen = chosen and not any(pattern.fullmatch(full) for pattern in self._exclude)
            self._known[names] = (
                (_topic("topic", self._topic, *names), _topic("topic.ddl", self._ddl, *names)) if chosen else None
            )
        return self._known[names]
