"""The options that every connector has, and the check of a whole configuration.

Source: Kafka Connect's `ConnectorConfig`, `SourceConnectorConfig` and `SinkConnectorConfig`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from connectors.api.config import ConfigDef, ConfigValue, Importance, Password, Type
from connectors.api.connector import Connector
from connectors.api.errors import ConfigError
from connectors.api.source import SourceConnector
from connectors.api.validators import at_least, non_empty, one_of, unique
from connectors.runtime.override_policy import check_override
from connectors.runtime.part_check import check_parts
from connectors.runtime.plugins import Kind, connector_class, kind_of, own_options
from connectors.runtime.providers import resolve
from connectors.runtime.secrets import SECRETS, is_secret, secret_values
from connectors.runtime.topic_creation import check_groups
from connectors.runtime.topics_regex import check_topics_regex

__all__ = ["check", "definition", "plugin_props"]

_TOPICS = ("topics", "topics.regex")
_ANY = r"[\w.-]+"
_GROUP = r"[^.]+"


def _name(option: str, value: Any) -> None:
    non_empty(option, value)
    if len(value) > 255 or not value.isprintable():
        raise ConfigError(f"Option {option}: at most 255 printable characters are allowed", key=option)


def _common() -> ConfigDef:
    return (
        ConfigDef()
        .define("name", Type.STRING, doc="Name of the connector.", importance=Importance.HIGH, validator=_name)
        .define("connector.class", Type.STRING, doc="Class of the connector.", importance=Importance.HIGH)
        .define("tasks.max", Type.INT, 1, doc="Most tasks to split the work into.", validator=at_least(1))
        .define("tasks.max.enforce", Type.BOOLEAN, True,
                doc="Fail a connector that plans more tasks than tasks.max; false: warn and run them.")
        .define("key.converter", Type.STRING, "string", doc="Converter of keys.")
        .define("value.converter", Type.STRING, "canal-json", doc="Converter of values.")
        .define(
            "<key|value>.converter.<option>",
            Type.STRING,
            None,
            doc="Option of a converter.",
            pattern=rf"(key|value)\.converter\.{_ANY}",
        )
        .define("transforms", Type.LIST, (), doc="Aliases of transforms, applied in this order.", validator=unique)
        .define("transforms.<alias>.<option>", Type.STRING, None, doc="A transform.", pattern=rf"transforms\.{_ANY}")
        .define("predicates", Type.LIST, (), doc="Aliases of predicates, for the option predicate of transforms.",
                validator=unique)
        .define("predicates.<alias>.<option>", Type.STRING, None, doc="A predicate.", pattern=rf"predicates\.{_ANY}")
        .define("errors.tolerance", Type.STRING, "none", doc="none: a bad record fails the task; all: it is left out.",
                validator=one_of("none", "all"))
        .define("errors.retry.timeout", Type.LONG, -1, doc="How long a failed put is tried again, in ms; -1: for ever.")
        .define("errors.retry.delay.max.ms", Type.LONG, 10_000, doc="Longest pause between tries, in ms.",
                validator=at_least(1))
        .define("errors.log.enable", Type.BOOLEAN, True, doc="Log each bad record.")
        .define("errors.log.include.messages", Type.BOOLEAN, False, doc="Show the record itself in that line.")
        .define("errors.deadletterqueue.topic.name", Type.STRING, "", doc="Topic of records that cannot be handled.")
        .define("errors.deadletterqueue.topic.replication.factor", Type.INT, -1,
                doc="Its replicas; -1: the broker's default.")
        .define("errors.deadletterqueue.context.headers.enable", Type.BOOLEAN, True,
                doc="Tell in headers why and where.")
        .define("admin.override.<option>", Type.STRING, None, doc="Option of librdkafka's client that creates topics.",
                pattern=rf"admin\.override\.{_ANY}")
        .define("restart.policy", Type.STRING, "none",
                doc="none: a failed task stays FAILED; on-failure: it is restarted.",
                validator=one_of("none", "on-failure"), recommended=("none", "on-failure"))
        .define("restart.delay.ms", Type.LONG, 1000, doc="Pause before the first restart, doubled each time, in ms.",
                validator=at_least(1))
        .define("restart.delay.max.ms", Type.LONG, 600_000, doc="Longest pause before a restart, in ms.",
                validator=at_least(1))
        .define("restart.max", Type.INT, -1, doc="Most restarts in a row; -1: no limit.", validator=at_least(-1))
    )  # fmt: skip


def _source() -> ConfigDef:
    return (
        ConfigDef()
        .define("offset.flush.interval.ms", Type.LONG, 1000, doc="How often offsets are stored, in ms.",
                validator=at_least(1))
        .define("topic.creation.groups", Type.LIST, (), doc="Groups of topics with options of their own, the first that"
                " a topic belongs to counts; `default` is for all others.")
        .define("topic.creation.<group>.include", Type.LIST, None, doc="Regular expressions of a group's topics.",
                pattern=rf"topic\.creation\.{_GROUP}\.include")
        .define("topic.creation.<group>.exclude", Type.LIST, None, doc="Those of topics that are not in it.",
                pattern=rf"topic\.creation\.{_GROUP}\.exclude")
        .define("topic.creation.<group>.partitions", Type.INT, 1, doc="Partitions of topics that are created; -1: the"
                " broker's default.", pattern=rf"topic\.creation\.{_GROUP}\.partitions")
        .define("topic.creation.<group>.replication.factor", Type.INT, -1, doc="Their replicas; -1: the broker's"
                " default.", pattern=rf"topic\.creation\.{_GROUP}\.replication\.factor")
        .define("topic.creation.<group>.<config>", Type.STRING, None, doc="Config of topics that are created.",
                pattern=rf"topic\.creation\.{_GROUP}\.{_ANY}")
        .define("exactly.once.support", Type.STRING, "requested", validator=one_of("requested", "required"),
                doc="required: records and offsets are written in transactions, each record counts once for consumers"
                " with isolation.level=read_committed; requested: so where the worker says"
                " CONNECTORS_EXACTLY_ONCE_SOURCE_SUPPORT=enabled and the connector can.")
        .define("transaction.boundary", Type.STRING, "poll", validator=one_of("poll", "interval", "connector"),
                doc="What a transaction holds: a poll's records, those of an interval, or what the connector says.")
        .define("transaction.boundary.interval.ms", Type.LONG, None, validator=at_least(1),
                doc="Length of the interval, in ms. Default: offset.flush.interval.ms.")
        .define("producer.override.<option>", Type.STRING, None, doc="Option of librdkafka's producer.",
                pattern=rf"producer\.override\.{_ANY}")
    )  # fmt: skip


def _sink() -> ConfigDef:
    return (
        ConfigDef()
        .define("topics", Type.LIST, (), doc="Topics to read; this or topics.regex.", importance=Importance.HIGH)
        .define("topics.regex", Type.STRING, None, doc="Regular expression of topics to read; matches whole names.",
                validator=check_topics_regex)
        .define("offset.flush.interval.ms", Type.LONG, 1000, doc="How often offsets are committed, in ms.",
                validator=at_least(1))
        .define("producer.override.<option>", Type.STRING, None, doc="Option of librdkafka's producer of dead letters.",
                pattern=rf"producer\.override\.{_ANY}")
        .define("consumer.override.<option>", Type.STRING, None, doc="Option of librdkafka's consumer.",
                pattern=rf"consumer\.override\.{_ANY}")
    )  # fmt: skip


def definition(kind: Kind) -> ConfigDef:
    """Return the options that every source or sink has."""
    return _common() | (_source() if kind == "source" else _sink())


def plugin_props(plugin: type[Connector], props: Mapping[str, str]) -> dict[str, str]:
    """Return the options that are the plugin's own, and the topics of a sink, which its options may refer to."""
    base, own = definition(kind_of(plugin)), own_options(plugin)
    return {name: value for name, value in props.items() if name in own or name not in base or name in _TOPICS}


def check(props: Mapping[str, str]) -> tuple[type[Connector], list[ConfigValue]]:
    """Check a whole configuration: the options of every connector and the plugin's own, all errors at once.

    Args:
        props: The configuration as given, references unresolved.

    Returns:
        The connector's class, and an entry for each option.

    Raises:
        ConfigError: `connector.class` is missing or unknown.
    """
    name = props.get("connector.class")
    if not name:
        raise ConfigError("Missing required option connector.class: Class of the connector.", key="connector.class")
    plugin = connector_class(name)
    kind = kind_of(plugin)
    base, own = definition(kind), own_options(plugin)
    resolved, broken = _resolved(props)
    SECRETS.remember(secret_values(props, resolved, base | own))
    values = (base | own).validate(resolved)
    checked = {value.name: value for value in values}
    for value in _validated(plugin, plugin_props(plugin, resolved)):
        known = checked.setdefault(value.name, value)
        # That the plugin itself does not know an option of every connector is no error.
        news = [] if value.name in base and value.name not in own and value.value is None else value.errors
        known.errors.extend(error for error in news if error not in known.errors)
    check_parts(checked, resolved)
    if issubclass(plugin, SourceConnector):
        _check_transactions(plugin, checked, plugin_props(plugin, resolved))
        check_groups(checked, resolved)
    else:
        _check_topics(checked)
    _check_overrides(checked, props)
    for option, text in broken.items():
        checked.setdefault(option, ConfigValue(option)).errors[:] = [text]
    _hide(checked, props, resolved, base | own)
    return plugin, list(checked.values())


def _resolved(props: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the options resolved, and for each reference that leads nowhere what is wrong with it."""
    resolved, broken = dict(props), {}
    for option, text in props.items():
        try:
            resolved |= resolve({option: text})
        except ConfigError as error:
            broken[option] = str(error)
    return resolved, broken


def _hide(
    checked: Mapping[str, ConfigValue], props: Mapping[str, str], resolved: Mapping[str, str], keys: ConfigDef
) -> None:
    """Take out of the errors what references stand for, and secrets."""
    hidden = {
        name: (value, Password.HIDDEN if is_secret(name, keys) else props[name])
        for name, value in resolved.items()
        if value and (value != props.get(name) or is_secret(name, keys))
    }
    for name, entry in checked.items():
        # Short ones of other options stand for too much else.
        there = [pair for other, pair in hidden.items() if other == name or len(pair[0]) >= SECRETS.SHORTEST]
        for value, shown in there if entry.errors else ():
            entry.errors[:] = [text.replace(repr(value), repr(shown)).replace(value, shown) for text in entry.errors]


def _validated(plugin: type[Connector], props: Mapping[str, str]) -> list[ConfigValue]:
    """Return what the plugin's own check says.

    Raises:
        ConfigError: The check itself is broken; names the class.
    """
    place = f"{plugin.__name__}.validate()"
    try:
        found: object = plugin.validate(props)
    except Exception as error:
        text = SECRETS.masked(f"{place} failed: {type(error).__name__}: {error}")
        raise ConfigError(text, key="connector.class") from error
    if not isinstance(found, list):
        text = f"{place} returned {type(found).__name__}; a list of ConfigValue is needed"
        raise ConfigError(text, key="connector.class")
    return found


def _check_overrides(checked: dict[str, ConfigValue], props: Mapping[str, str]) -> None:
    for option in props:
        try:
            check_override(option)
        except ConfigError as error:
            checked[option].errors.append(str(error))


def _check_transactions(
    plugin: type[SourceConnector], checked: dict[str, ConfigValue], props: Mapping[str, str]
) -> None:
    support, boundary = checked["exactly.once.support"], checked["transaction.boundary"]
    if support.value == "required" and plugin.exactly_once_support(props) is not True:
        told = f"{plugin.__name__} does not say that it can deliver exactly once"
        support.errors.append(f"Option {support.name}: {told}; use requested")
    if boundary.value == "connector" and not plugin.can_define_transaction_boundaries(props):
        told = f"{plugin.__name__} does not define transaction boundaries"
        boundary.errors.append(f"Option {boundary.name}: {told}; use poll or interval")


def _check_topics(checked: dict[str, ConfigValue]) -> None:
    topics, regex = checked["topics"], checked["topics.regex"]
    if bool(topics.value) == bool(regex.value) and not topics.errors and not regex.errors:
        topics.errors.append("Exactly one of the options topics and topics.regex is needed")
    dead = checked["errors.deadletterqueue.topic.name"]
    if dead.value and dead.value in (topics.value or ()):
        dead.errors.append(f"Option {dead.name}: {dead.value} is one of the topics that are read")
    elif dead.value and regex.value and re.fullmatch(regex.value, dead.value):
        dead.errors.append(f"Option {dead.name}: {dead.value} is matched by topics.regex, so it would be read again")
