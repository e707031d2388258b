"""Checks of option values, for `ConfigDef.define(validator=...)`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.api.errors import ConfigError, did_you_mean

__all__ = ["at_least", "between", "non_empty", "one_of", "regex_list", "time_zone"]

Check = Callable[[str, Any], None]


def at_least(minimum: float) -> Check:
    """Allow numbers not smaller than `minimum`."""

    def check(name: str, value: Any) -> None:
        if value < minimum:
            raise ConfigError(f"Option {name}: {value} is too small, at least {minimum} is needed", key=name)

    return check


def between(minimum: float, maximum: float) -> Check:
    """Allow numbers from `minimum` to `maximum`, both included."""

    def check(name: str, value: Any) -> None:
        if not minimum <= value <= maximum:
            raise ConfigError(f"Option {name}: {value} is not between {minimum} and {maximum}", key=name)

    return check


def one_of(*allowed: str) -> Check:
    """Allow the listed words only."""

    def check(name: str, value: Any) -> None:
        if value not in allowed:
            near = did_you_mean(str(value), allowed)
            raise ConfigError(f"Option {name}: {value!r} is not one of {', '.join(allowed)}{near}", key=name)

    return check


def non_empty(name: str, value: Any) -> None:
    """Refuse an empty text or list."""
    if not value:
        raise ConfigError(f"Option {name} must not be empty", key=name)


def regex_list(name: str, value: list[str]) -> None:
    """Allow a list of valid regular expressions."""
    for pattern in value:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ConfigError(f"Option {name}: {pattern!r} is no regular expression: {error}", key=name) from None


def time_zone(name: str, value: str) -> None:
    """Allow names of the IANA time-zone database and offsets such as `+08:00`."""
    if re.fullmatch(r"[+-]\d{2}:\d{2}", value):
        return
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        example = "Asia/Shanghai, UTC or +08:00"
        raise ConfigError(f"Option {name}: {value!r} is no time zone; give one such as {example}", key=name) from None
