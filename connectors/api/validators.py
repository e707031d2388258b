"""Checks of option values, for `ConfigDef.define(validator=...)`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.api.errors import ConfigError, did_you_mean

__all__ = [
    "all_of",
    "at_least",
    "between",
    "no_control_characters",
    "non_empty",
    "one_of",
    "regex_list",
    "time_zone",
    "unique",
]

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


def no_control_characters(name: str, value: str) -> None:
    """Refuse a text with control characters, which would garble logs and tables."""
    found = next((letter for letter in value if unicodedata.category(letter) == "Cc"), None)
    if found is not None:
        raise ConfigError(f"Option {name}: the control character {found!r} is not allowed", key=name)


def unique(name: str, value: Sequence[str]) -> None:
    """Refuse a list that holds something twice."""
    twice = next((each for number, each in enumerate(value) if each in value[:number]), None)
    if twice is not None:
        raise ConfigError(f"Option {name}: {twice} is there twice", key=name)


def all_of(*checks: Check) -> Check:
    """Allow what all of these allow; the first that does not tells why."""

    def check(name: str, value: Any) -> None:
        for each in checks:
            each(name, value)

    return check


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
