"""Finds what a configuration names: aliases from entry points, and `package.module:Name`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, Final

from mode.utils.imports import cwd_in_path

from connectors.api.errors import ConfigError, did_you_mean

__all__ = ["GROUP", "load"]

GROUP: Final = "faust_connect.functions"


def load(name: str) -> Callable[..., Any]:
    """Return the function or class of a name.

    Raises:
        ConfigError: There is none.
    """
    module, colon, attribute = name.partition(":")
    if not colon:
        known = {point.name: point for point in entry_points(group=GROUP)}
        if name not in known:
            raise ConfigError(
                f"unknown function {name!r}{did_you_mean(name, known)}; "
                f"known are {', '.join(sorted(known)) or 'none'}, others are written package.module:Name"
            )
        module, attribute = known[name].module, known[name].attr
    try:
        # `faust` is a script, so the current directory is not on the path by itself.
        with cwd_in_path():
            target = getattr(importlib.import_module(module), attribute)
    except ImportError as error:
        raise ConfigError(f"{name}: cannot be imported: {error}") from error
    except AttributeError as error:
        raise ConfigError(f"{name}: {module} has no {attribute}") from error
    if not callable(target):
        raise ConfigError(f"{name} is a {type(target).__name__}, a class or an async function is needed")
    return target  # type: ignore[no-any-return]
