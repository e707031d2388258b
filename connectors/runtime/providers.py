"""References in configurations, `${env:NAME}`: resolved only where a plugin needs the value.

Source: Kafka Connect's `ConfigTransformer` and `EnvVarConfigProvider`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from connectors.api.errors import ConfigError, did_you_mean

__all__ = ["resolve"]

_REFERENCE = re.compile(r"\$\{(\w+):([^}]*)\}")


def resolve(props: Mapping[str, str], env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the options with their references replaced.

    Raises:
        ConfigError: A variable is not set, or the provider is unknown; names the option, never a value.
    """
    env = os.environ if env is None else env
    return {name: _resolved(name, text, env) for name, text in props.items()}


def _resolved(option: str, text: str, env: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda found: _value(option, found, env), text)


def _value(option: str, found: re.Match[str], env: Mapping[str, str]) -> str:
    provider, key = found.groups()
    if provider != "env":
        raise ConfigError(f"Option {option}: no config provider {provider!r}; there is env", key=option)
    if key not in env:
        near = did_you_mean(key, env)
        raise ConfigError(f"Option {option}: the worker's environment has no variable {key}{near}", key=option)
    return env[key]
