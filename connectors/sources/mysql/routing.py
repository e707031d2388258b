"""Which topic and which partition a change goes to, by Canal's rules.

Source: Canal 1.1.7, `MQMessageUtils` and `CanalKafkaProducer`: the same rules give the same topics and partitions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from connectors.api.errors import ConfigError
from connectors.sources.mysql.columns import Table
from connectors.sources.mysql.filters import TopicName
from connectors.sources.mysql.predicate import text_of

__all__ = ["DynamicTopics", "PartitionCounts", "PartitionRule", "Partitioner", "Routing", "java_hash"]

_WILD: Final = frozenset("*?+|(){}[]\\$^")


def java_hash(text: str) -> int:
    """Return Java's `String.hashCode`, as an unsigned number of 32 bits."""
    data = text.encode("utf-16-le", "surrogatepass")
    value = 0
    for at in range(0, len(data), 2):
        value = (31 * value + (data[at] | data[at + 1] << 8)) & 0xFFFFFFFF
    return value


_cached_hash = lru_cache(65536)(java_hash)


def _partition(unsigned: int, count: int) -> int:
    """Java's `Math.abs(Math.abs(hash) % count)`, also where the first `abs` is still negative."""
    return (0x100000000 - unsigned if unsigned > 0x80000000 else unsigned) % count


def _rules(text: str) -> list[str]:
    return [rule.strip() for rule in re.split("[,;]", text) if rule.strip()]


def _matcher(option: str, pattern: str) -> Callable[[str], bool]:
    """Return whether a name matches: a plain name as a whole and whatever its case, anything else as expression."""
    if not _WILD.intersection(pattern):
        wanted = pattern.lower()
        return lambda name: name.lower() == wanted
    try:
        compiled = re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise ConfigError(f"Option {option}: {pattern!r} is no regular expression: {error}", key=option) from None
    return lambda name: compiled.fullmatch(name) is not None


class DynamicTopics:
    r"""Canal's `canal.mq.dynamicTopic`.

    Args:
        option: Name of the option, for messages.
        text: Rules with a comma or semicolon between them: `schema.table`, `schema`, an expression (with `\.` in it,
            it is matched with schema.table, without with the schema), or `topic:` before one of these.

    Raises:
        ConfigError: It has not that form.
    """

    def __init__(self, option: str, text: str) -> None:
        self._table_rules: list[tuple[str, Callable[[str], bool]]] = []
        self._schema_rules: list[tuple[str, Callable[[str], bool]]] = []
        for rule in _rules(text):
            topic, colon, pattern = rule.partition(":")
            if not colon:
                topic, pattern = "", rule
            elif not topic or not pattern:
                raise ConfigError(f"Option {option}: {rule!r} is not of the form topic:schema.table", key=option)
            entry = (topic.strip(), _matcher(option, pattern.strip()))
            wild = bool(_WILD.intersection(pattern))
            if not wild or "\\." in pattern:
                self._table_rules.append(entry)
            if not wild or "\\." not in pattern:
                self._schema_rules.append(entry)

    def of(self, database: str, table: str) -> str | None:
        """Return the topic of a table, or None where no rule matches."""
        for rules, name in ((self._table_rules, f"{database}.{table}"), (self._schema_rules, database)):
            for topic, matches in rules:
                if matches(name):
                    return re.sub(r"[^a-zA-Z0-9_-]", "_", topic or name.lower())
        return None


class PartitionCounts:
    """How many partitions topics have: a number for all, and `topic:number` (name or expression) for some.

    Args:
        option: Name of the option, for messages.
        text: Entries with commas between them, e.g. `3` or `3,orders:12,log_.*:1`.

    Raises:
        ConfigError: It has not that form.
    """

    def __init__(self, option: str, text: str) -> None:
        self._default: int | None = None
        self._rules: list[tuple[Callable[[str], bool], int]] = []
        for entry in _rules(text):
            topic, _, number = entry.rpartition(":")
            if not number.isdigit() or not int(number):
                raise ConfigError(f"Option {option}: {entry!r} is neither a number nor topic:number", key=option)
            if topic:
                self._rules.append((_matcher(option, topic), int(number)))
            else:
                self._default = int(number)

    def of(self, topic: str) -> int | None:
        """Return the number of partitions of a topic, or None where nothing says it."""
        return next((number for matches, number in self._rules if matches(topic)), self._default)


@dataclass(frozen=True, slots=True)
class PartitionRule:
    """What the tables of one rule are divided by.

    Attributes:
        matches: Tells whether a `schema.table` has this rule.
        columns: Columns; `None`: the primary key's; empty: the table's name.
    """

    matches: Callable[[str], bool]
    columns: tuple[str, ...] | None

    @classmethod
    def parse(cls, option: str, text: str) -> list[PartitionRule]:
        """Read Canal's `canal.mq.partitionHash`, e.g. `shop.orders:id^day,log.*:$pk$,shop.items`.

        Raises:
            ConfigError: It has not that form.
        """
        found = []
        for rule in _rules(text):
            pattern, colon, names = rule.rpartition(":")
            if not colon:
                found.append(cls(_matcher(option, rule), ()))
                continue
            columns = None if names.lower() == "$pk$" else tuple(name for name in names.split("^") if name)
            if columns == () or not pattern:
                raise ConfigError(f"Option {option}: {rule!r} names no columns", key=option)
            found.append(cls(_matcher(option, pattern), columns))
        return found


@dataclass(frozen=True, slots=True)
class Partitioner:
    """How one table's rows are divided.

    Attributes:
        columns: Positions of the columns that decide.
        of: From their JSON texts, in that order, to the partition.
    """

    columns: tuple[int, ...]
    of: Callable[[Sequence[str]], int]


@dataclass(frozen=True, slots=True)
class Routing:
    """Topics and partitions.

    Attributes:
        topic: Topic of tables that no rule of `dynamic` matches.
        dynamic: Rules of topics.
        counts: Partitions of each topic.
        rules: Rules of partitions; the first that matches counts.
        database_hash: Whether the schema's name is part of the hash.
    """

    topic: TopicName
    dynamic: DynamicTopics | None = None
    counts: PartitionCounts | None = None
    rules: tuple[PartitionRule, ...] = ()
    database_hash: bool = True

    def topic_of(self, database: str, table: str) -> str:
        """Return the topic of a table."""
        found = self.dynamic.of(database, table) if self.dynamic is not None else None
        return found or self.topic.of(database, table)

    def partitioner(self, table: Table) -> Partitioner | None:
        """Return how a table's rows are divided; None where the Kafka key decides, or all go to partition 0.

        Raises:
            ConfigError: A rule matches, but nothing tells the topic's number of partitions.
        """
        name = f"{table.database}.{table.name}"
        rule = next((rule for rule in self.rules if rule.matches(name)), None)
        if rule is None:
            return None
        topic = self.topic_of(table.database, table.name)
        count = self.counts.of(topic) if self.counts is not None else None
        if count is None:
            raise ConfigError(
                f"Option partition.hash matches {name}, but partition.count does not tell the number of partitions of"
                f" the topic {topic}",
                key="partition.count",
            )
        if rule.columns == ():
            fixed = _partition(java_hash(table.name), count)
            return Partitioner((), lambda _: fixed)
        return self._by_columns(table, rule.columns, count)

    def _by_columns(self, table: Table, names: tuple[str, ...] | None, count: int) -> Partitioner:
        positions = {column.name: n for n, column in enumerate(table.columns)}
        # A column that the table lacks is an empty text to Canal, which changes nothing in the hash.
        columns = table.key if names is None else [positions[name] for name in names if name in positions]
        start = java_hash(table.database) if self.database_hash else 0

        def of(texts: Sequence[str]) -> int:
            value = start
            for json in texts:
                value ^= _cached_hash(text_of(json) or "")
            return _partition(value, count)

        return Partitioner(tuple(columns), of)
