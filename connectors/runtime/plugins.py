"""Plugins by entry point: installing a distribution makes its plugins available."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from connectors.api.config import ConfigDef
from connectors.api.connector import Connector
from connectors.api.converter import Converter
from connectors.api.errors import ConfigError, did_you_mean
from connectors.api.provider import ConfigProvider
from connectors.api.sink import SinkConnector
from connectors.api.source import SourceConnector
from connectors.api.transform import Predicate, Transform

__all__ = [
    "Installed",
    "Kind",
    "aliases",
    "connector_class",
    "connectors",
    "converter_class",
    "installed",
    "is_installed",
    "kind_of",
    "own_options",
    "plugin_options",
    "predicate_class",
    "provider_class",
    "transform_class",
]

log = logging.getLogger(__name__)

Kind = Literal["source", "sink"]
GROUPS = {
    "connectors": Connector,
    "converters": Converter,
    "transforms": Transform,
    "predicates": Predicate,
}
"""What is listed as a plugin, as in Kafka Connect; config providers are not."""


@cache
def _found(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=f"faust_connect.{group}")}


def _load(group: str, point: EntryPoint) -> Any:
    plugin = point.load()
    base = GROUPS.get(group, ConfigProvider)
    if not (isinstance(plugin, type) and issubclass(plugin, base)):
        raise TypeError(f"{point.value} is no {base.__name__}")
    return plugin


def connectors() -> dict[str, type[Connector]]:
    """Return the connector classes that can be imported; those that cannot are named in the log."""
    found: dict[str, type[Connector]] = {}
    for name, point in sorted(_found("connectors").items()):
        try:
            found[name] = _load("connectors", point)
        except (ImportError, AttributeError, TypeError) as error:
            log.warning("Plugin %s (%s) is left out: %s", name, point.value, error)
    return found


@dataclass(frozen=True, slots=True)
class Installed:
    """A plugin that can be imported.

    Attributes:
        path: Its full name.
        kind: Kafka Connect's word: source, sink, converter, transformation or predicate.
        version: The version of the distribution that brought it.
    """

    path: str
    kind: str
    version: str


_KINDS = {"converters": "converter", "transforms": "transformation", "predicates": "predicate"}


def installed(connectors_only: bool = True) -> list[Installed]:
    """Return the plugins that can be imported; those that cannot are named in the log."""
    groups = ["connectors"] if connectors_only else list(GROUPS)
    return [each for group in groups for each in _installed(group)]


def _installed(group: str) -> Iterator[Installed]:
    for name, point in sorted(_found(group).items()):
        try:
            plugin = _load(group, point)
        except (ImportError, AttributeError, TypeError) as error:
            log.warning("Plugin %s (%s) is left out: %s", name, point.value, error)
            continue
        kind = kind_of(plugin) if group == "connectors" else _KINDS[group]
        path = f"{plugin.__module__}.{plugin.__name__}" if group == "connectors" else name
        yield Installed(path, kind, point.dist.version if point.dist is not None else "")


def plugin_options(name: str) -> ConfigDef:
    """Return the options of a converter, transform or predicate.

    Raises:
        ConfigError: There is none of this name, or it cannot be loaded.
    """
    for group in _KINDS:
        short = name.removeprefix(f"org.apache.kafka.connect.{group}.")
        if short in _found(group):
            options: ConfigDef = _named(group, "plugin", name).config()
            return options
    everything = [each for group in GROUPS for each in _found(group)]
    raise ConfigError(f"No plugin {name} is installed{did_you_mean(name, everything)}")


def kind_of(plugin: type[Connector]) -> Kind:
    """Tell whether a connector is a source or a sink.

    Raises:
        ConfigError: It is neither.
    """
    if issubclass(plugin, SourceConnector):
        return "source"
    if issubclass(plugin, SinkConnector):
        return "sink"
    raise ConfigError(f"{plugin.__name__} is neither a SourceConnector nor a SinkConnector", key="connector.class")


def own_options(plugin: type[Connector]) -> ConfigDef:
    """Return the options that a connector defines.

    Raises:
        ConfigError: Its `config()` does not return them; names the class.
    """
    found: object = plugin.config()
    if not isinstance(found, ConfigDef):
        text = f"{plugin.__name__}.config() returned {type(found).__name__}; a ConfigDef is needed"
        raise ConfigError(text, key="connector.class")
    return found


def aliases(plugin: type[Connector]) -> set[str]:
    """Return the names that a connector class goes by: full path, simple name, name without Source or Sink."""
    return _aliases(plugin.__module__, plugin.__name__)


def _aliases(module: str, name: str) -> set[str]:
    short = name.removesuffix("Connector").removesuffix("Source").removesuffix("Sink")
    return {f"{module}.{name}", f"{module}:{name}", name, name.removesuffix("Connector"), short}


def connector_class(name: str) -> type[Connector]:
    """Return the connector class of a name.

    Args:
        name: One of its `aliases`, the entry point's name, or a dotted path that can be imported.

    Raises:
        ConfigError: There is none, or more than one.
    """
    known = _found("connectors")
    matching = _matching(name)
    if name in known:
        matching = {known[name].value: known[name]}
    if len(matching) > 1:
        which = ", ".join(sorted(point.attr for point in matching.values()))
        raise ConfigError(f"Option connector.class: {name} is ambiguous: {which}", key="connector.class")
    for point in matching.values():
        return _loaded(point)
    return _by_path(name, sorted(known))


def is_installed(name: str) -> bool:
    """Tell whether a connector class is that of an entry point; no code of a plugin runs."""
    return bool(_matching(name))


def _matching(name: str) -> dict[str, EntryPoint]:
    # By the entry points' texts: only the plugin that is meant is imported, which saves memory and time.
    return {
        point.value: point
        for point in _found("connectors").values()
        if name == point.name or name in _aliases(point.module, point.attr)
    }


def _loaded(point: EntryPoint) -> type[Connector]:
    try:
        plugin: type[Connector] = _load("connectors", point)
    except (ImportError, AttributeError, TypeError) as error:
        message = f"Option connector.class: {point.name} cannot be loaded: {error}"
        raise ConfigError(message, key="connector.class") from error
    return plugin


def _by_path(name: str, known: list[str]) -> type[Connector]:
    module, _, attribute = name.replace(":", ".").rpartition(".")
    try:
        plugin = getattr(importlib.import_module(module), attribute) if module else None
    except (ImportError, AttributeError, ValueError):
        plugin = None
    if not (isinstance(plugin, type) and issubclass(plugin, Connector)):
        simple = name.rpartition(".")[2]
        near = did_you_mean(name, known) or did_you_mean(simple, known) or f"; there are {', '.join(known)}"
        raise ConfigError(f"Option connector.class: no connector {name}{near}", key="connector.class")
    return plugin


def provider_class(name: str) -> type[ConfigProvider]:
    """Return the config provider of a name, that of its entry point.

    Raises:
        ConfigError: There is none, or it cannot be loaded.
    """
    points = _found("config_providers")
    if name not in points:
        raise ConfigError(f"no config provider {name!r}; there are {', '.join(sorted(points))}")
    try:
        provider: type[ConfigProvider] = _load("config_providers", points[name])
    except (ImportError, AttributeError, TypeError) as error:
        raise ConfigError(f"config provider {name} cannot be loaded: {error}") from error
    return provider


def converter_class(option: str, name: str) -> type[Converter]:
    """Return the converter class of a name; `option` is named in the error."""
    found: type[Converter] = _named("converters", option, name)
    return found


def transform_class(option: str, name: str) -> type[Transform]:
    """Return the transform class of a name; `option` is named in the error."""
    found: type[Transform] = _named("transforms", option, name)
    return found


def predicate_class(option: str, name: str) -> type[Predicate]:
    """Return the predicate class of a name; `option` is named in the error."""
    found: type[Predicate] = _named("predicates", option, name)
    return found


def _named(group: str, option: str, name: str) -> Any:
    points = _found(group)
    # The full names of Kafka's and Confluent's classes work too, so that a configuration can be taken over as it is.
    if name.startswith(("org.apache.kafka.connect.", "io.confluent.connect.")):
        name = name.rpartition(".")[2]
    point = points.get(name) or next((each for each in points.values() if each.value.endswith(f":{name}")), None)
    if point is None:
        near = did_you_mean(name, points) or f"; there are {', '.join(sorted(points)) or 'none'}"
        raise ConfigError(f"Option {option}: no {group.removesuffix('s')} {name}{near}", key=option)
    try:
        return _load(group, point)
    except (ImportError, AttributeError, TypeError) as error:
        raise ConfigError(f"Option {option}: {name} cannot be loaded: {error}", key=option) from error
