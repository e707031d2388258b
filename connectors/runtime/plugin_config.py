"""Configurations on their way to a plugin, and back into the config topic without their secrets."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.api.connector import Connector
from connectors.runtime.base_config import definition, plugin_props
from connectors.runtime.plugins import kind_of, own_options
from connectors.runtime.providers import resolve
from connectors.runtime.secrets import SECRETS, secret_values

__all__ = ["plugin_config", "resolved_config", "with_references"]


def resolved_config(plugin: type[Connector], config: Mapping[str, str]) -> dict[str, str]:
    """Resolve the references, and keep what is secret among the values out of logs and traces from here on.

    Raises:
        ConfigError: A reference leads nowhere.
    """
    given = dict(config)
    resolved = resolve(given)
    SECRETS.remember(secret_values(given, resolved, definition(kind_of(plugin)) | own_options(plugin)))
    return resolved


def plugin_config(plugin: type[Connector], config: Mapping[str, str]) -> dict[str, str]:
    """Return the resolved options that are the plugin's own: what `Connector.start` gets."""
    return plugin_props(plugin, resolved_config(plugin, config))


def with_references(
    planned: Mapping[str, str], config: Mapping[str, str], resolved: Mapping[str, str]
) -> dict[str, str]:
    """Put references back where the plugin passed their values on, so that no secret gets into the config topic."""
    return {key: config[key] if resolved.get(key) == value else value for key, value in planned.items()}
