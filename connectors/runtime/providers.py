"""References in configurations: resolved only where a plugin needs the value.

`${env:NAME}`, `${file:PATH:KEY}` (a `.properties` file), `${directory:PATH:FILE}` (a file's whole content), and what
other distributions bring by entry point.
Source: Kafka Connect's `ConfigTransformer`, `EnvVarConfigProvider`, `FileConfigProvider`, `DirectoryConfigProvider`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from connectors.api.errors import ConfigError, did_you_mean
from connectors.api.provider import ConfigProvider
from connectors.runtime.plugins import provider_class

__all__ = ["DirectoryProvider", "EnvironmentProvider", "FileProvider", "resolve"]

_REFERENCE = re.compile(r"\$\{(\w+):([^}]*)\}")
ENV_ALLOWED = "CONNECTORS_ENV_ALLOWLIST"
FILE_ALLOWED = "CONNECTORS_FILE_ALLOWED_PATHS"
DIRECTORY_ALLOWED = "CONNECTORS_DIRECTORY_ALLOWED_PATHS"
_LARGEST = 1 << 20

_made: dict[str, ConfigProvider] = {}
"""The worker's providers, which may hold a connection."""

Environment = Mapping[str, str]


def resolve(props: Mapping[str, str], env: Environment | None = None) -> dict[str, str]:
    """Return the options with their references replaced.

    Args:
        props: The options as given.
        env: The worker's environment. `CONNECTORS_ENV_ALLOWLIST` is a regular expression of the variables that may be
            used; `CONNECTORS_FILE_ALLOWED_PATHS` and `CONNECTORS_DIRECTORY_ALLOWED_PATHS` are comma-separated paths
            that files must be in. Where one is not set, everything may be used.

    Raises:
        ConfigError: There is no such value, it may not be used, or the provider is unknown; names the option, never a
            value.
    """
    env = os.environ if env is None else env
    return {name: _resolved(name, text, env) for name, text in props.items()}


def _resolved(option: str, text: str, env: Environment) -> str:
    return _REFERENCE.sub(lambda found: _value(option, found, env), text) if "${" in text else text


def _value(option: str, found: re.Match[str], env: Environment) -> str:
    name, reference = found.groups()
    try:
        return _provider(name, env).get(reference)
    except ConfigError as error:
        raise ConfigError(f"Option {option}: {error}", key=option) from None


def _provider(name: str, env: Environment) -> ConfigProvider:
    if env is not os.environ:
        return provider_class(name)(env)
    if name not in _made:
        _made[name] = provider_class(name)(env)
    return _made[name]


class EnvironmentProvider(ConfigProvider):
    """`${env:NAME}`; `CONNECTORS_ENV_ALLOWLIST` is a regular expression of the variables that may be used."""

    def get(self, reference: str) -> str:
        """Return the value of a variable."""
        allowed = self.environment.get(ENV_ALLOWED)
        if allowed and not re.fullmatch(allowed, reference):
            raise ConfigError(f"variable {reference} may not be used ({ENV_ALLOWED} is {allowed})")
        if reference not in self.environment:
            known = [each for each in self.environment if not allowed or re.fullmatch(allowed, each)]
            near = did_you_mean(reference, known)
            raise ConfigError(f"the worker's environment has no variable {reference}{near}")
        return self.environment[reference]


class FileProvider(ConfigProvider):
    """`${file:PATH:KEY}` of a `.properties` file within `CONNECTORS_FILE_ALLOWED_PATHS`."""

    def get(self, reference: str) -> str:
        """Return the value of a key."""
        path, key = _split(reference, "${file:PATH:KEY}")
        entries = _entries(_read(path, self.environment.get(FILE_ALLOWED), FILE_ALLOWED))
        if key not in entries:
            raise ConfigError(f"file {path} has no key {key}{did_you_mean(key, entries)}")
        return entries[key]


class DirectoryProvider(ConfigProvider):
    """`${directory:PATH:FILE}`, a file's whole content, within `CONNECTORS_DIRECTORY_ALLOWED_PATHS`."""

    def get(self, reference: str) -> str:
        """Return the content of a file."""
        path, name = _split(reference, "${directory:PATH:FILE}")
        if Path(name).name != name:
            raise ConfigError(f"{name} is not the name of a file in {path}")
        return _read(str(Path(path, name)), self.environment.get(DIRECTORY_ALLOWED), DIRECTORY_ALLOWED)


def _split(reference: str, form: str) -> tuple[str, str]:
    path, _, key = reference.rpartition(":")
    if not path or not key:
        raise ConfigError(f"a reference has the form {form}")
    return path, key


def _read(path: str, allowed: str | None, variable: str) -> str:
    real = Path(path).resolve()
    roots = [Path(each.strip()).resolve() for each in (allowed or "").split(",") if each.strip()]
    if roots and not any(real.is_relative_to(root) for root in roots):
        raise ConfigError(f"file {path} may not be used ({variable} is {allowed})")
    try:
        # A device or a huge file would hold up the worker.
        if not real.is_file() or real.stat().st_size > _LARGEST:
            raise ConfigError(f"file {path} is missing, or larger than {_LARGEST} bytes")
        return real.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"file {path} is no UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"file {path} cannot be read: {error.strerror}") from None


def _entries(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        stripped = line.strip()
        if stripped and stripped[0] not in "#!":
            key, _, value = stripped.partition("=")
            found[key.strip()] = value.strip()
    return found
