"""References in configurations: resolved only where a plugin needs the value.

`${env:NAME}`, `${file:PATH:KEY}` (a `.properties` file), `${directory:PATH:FILE}` (a file's whole content).
Source: Kafka Connect's `ConfigTransformer`, `EnvVarConfigProvider`, `FileConfigProvider`, `DirectoryConfigProvider`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from connectors.api.errors import ConfigError, did_you_mean

__all__ = ["resolve"]

_REFERENCE = re.compile(r"\$\{(\w+):([^}]*)\}")
ENV_ALLOWED = "CONNECTORS_ENV_ALLOWLIST"
FILE_ALLOWED = "CONNECTORS_FILE_ALLOWED_PATHS"
DIRECTORY_ALLOWED = "CONNECTORS_DIRECTORY_ALLOWED_PATHS"
_LARGEST = 1 << 20

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
    provider, reference = found.groups()
    if provider not in _PROVIDERS:
        there = ", ".join(_PROVIDERS)
        raise ConfigError(f"Option {option}: no config provider {provider!r}; there are {there}", key=option)
    try:
        return _PROVIDERS[provider](reference, env)
    except ConfigError as error:
        raise ConfigError(f"Option {option}: {error}", key=option) from None


def _variable(name: str, env: Environment) -> str:
    allowed = env.get(ENV_ALLOWED)
    if allowed and not re.fullmatch(allowed, name):
        raise ConfigError(f"variable {name} may not be used ({ENV_ALLOWED} is {allowed})")
    if name not in env:
        known = [each for each in env if not allowed or re.fullmatch(allowed, each)]
        raise ConfigError(f"the worker's environment has no variable {name}{did_you_mean(name, known)}")
    return env[name]


def _property(reference: str, env: Environment) -> str:
    path, key = _split(reference, "${file:PATH:KEY}")
    entries = _entries(_read(path, env.get(FILE_ALLOWED), FILE_ALLOWED))
    if key not in entries:
        raise ConfigError(f"file {path} has no key {key}{did_you_mean(key, entries)}")
    return entries[key]


def _content(reference: str, env: Environment) -> str:
    path, name = _split(reference, "${directory:PATH:FILE}")
    if Path(name).name != name:
        raise ConfigError(f"{name} is not the name of a file in {path}")
    return _read(str(Path(path, name)), env.get(DIRECTORY_ALLOWED), DIRECTORY_ALLOWED)


_PROVIDERS: dict[str, Callable[[str, Environment], str]] = {
    "env": _variable,
    "file": _property,
    "directory": _content,
}


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
