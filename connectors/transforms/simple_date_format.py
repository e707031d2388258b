"""Times as text by Java's patterns, such as `yyyy-MM-dd HH:mm:ss.SSS`.

Source: java.text.SimpleDateFormat, English names, UTC unless the text names an offset.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from connectors.api.errors import ConfigError, DataError

__all__ = ["SimpleDateFormat"]

MONTHS: Final = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
DAYS: Final = (
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
)

_TOKEN = re.compile(r"'(?P<quoted>(?:[^']|'')*)'|(?P<letters>(?P<letter>[A-Za-z])(?P=letter)*)|(?P<plain>[^A-Za-z']+)")
_NUMBERS: Final = "yMdHhkKmsSD"
_ZONES: Final = "zZX"
_HINTS: Final = {"Y": "; write yyyy for the year", "u": "; write E for the day of the week"}


class SimpleDateFormat:
    """A compiled pattern with the letters y M d D E a H h k K m s S z Z X.

    Args:
        option: Name of the option, for messages.
        pattern: The pattern; text between single quotes stands for itself, `''` for a quote.

    Raises:
        ConfigError: The pattern cannot be read.
    """

    def __init__(self, option: str, pattern: str) -> None:
        self._pattern = pattern
        self._tokens = _tokens(option, pattern)
        parts: list[str] = []
        self._fields: list[tuple[str, int]] = []
        for i, (letter, text) in enumerate(self._tokens):
            if not letter:
                parts.append(re.escape(text))
                continue
            following = self._tokens[i + 1] if i + 1 < len(self._tokens) else ("", "")
            parts.append(f"({_expression(letter, len(text), adjacent=_is_number(*following))})")
            self._fields.append((letter, len(text)))
        self._regex = re.compile("".join(parts), re.I)

    def format(self, moment: datetime) -> str:
        """Return the text of a time, in UTC."""
        moment = moment.astimezone(UTC) if moment.tzinfo is not None else moment
        return "".join(_written(letter, len(text), moment) if letter else text for letter, text in self._tokens)

    def parse(self, text: str) -> datetime:
        """Return the time that a text begins with; what follows it does not count, as in Java.

        Raises:
            DataError: The text does not fit the pattern, or there is no such time.
        """
        match = self._regex.match(text)
        if match is None:
            raise DataError(f"the text does not have the format {self._pattern}")
        found: dict[str, Any] = {}
        for (letter, length), part in zip(self._fields, match.groups(), strict=True):
            found[letter] = _read(letter, length, part)
        try:
            return _combined(found)
        except (ValueError, OverflowError) as error:
            raise DataError(f"there is no such time: {error}") from None


def _tokens(option: str, pattern: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position = 0
    while position < len(pattern):
        match = _TOKEN.match(pattern, position)
        if match is None:
            raise ConfigError(f"Option {option}: {pattern!r} has a quote that is not closed", key=option)
        position = match.end()
        if match["letter"]:
            _check(option, match["letter"], match["letters"])
            tokens.append((match["letter"], match["letters"]))
        else:
            quoted = match["quoted"]
            tokens.append(("", match["plain"] if quoted is None else quoted.replace("''", "'") or "'"))
    return tokens


def _check(option: str, letter: str, letters: str) -> None:
    if letter not in _NUMBERS + _ZONES + "Ea":
        hint = _HINTS.get(letter, "; put text between single quotes")
        raise ConfigError(f"Option {option}: the pattern letter {letter} is not supported{hint}", key=option)
    if letter == "S" and len(letters) > 3:
        # Java reads .123456 as 123456 ms: a wrong time that nobody notices.
        raise ConfigError(f"Option {option}: a pattern knows milliseconds only; write SSS, not {letters}", key=option)


def _is_number(letter: str, text: str) -> bool:
    return bool(letter) and letter in _NUMBERS and not (letter == "M" and len(text) > 2)


def _expression(letter: str, length: int, *, adjacent: bool) -> str:
    if letter == "M" and length > 2:
        return "|".join([*MONTHS, *(name[:3] for name in MONTHS)])
    if letter == "E":
        return "|".join([*DAYS, *(name[:3] for name in DAYS)])
    if letter == "a":
        return "AM|PM"
    if letter in _ZONES:
        return r"(?:GMT|UTC)?[+-]\d{1,2}:?(?:\d{2})?|GMT|UTC|Z"
    # Numbers that touch each other can be told apart by their lengths only.
    if adjacent:
        return rf"\d{{{length}}}"
    return r"\d{1,3}" if letter == "S" else r"\d+"


def _written(letter: str, length: int, moment: datetime) -> str:
    if letter == "y":
        return f"{moment.year % 100:02d}" if length == 2 else f"{moment.year:0{length}d}"
    if letter == "M" and length > 2:
        return MONTHS[moment.month - 1][: None if length > 3 else 3]
    if letter == "E":
        return DAYS[moment.weekday()][: None if length > 3 else 3]
    if letter == "a":
        return "PM" if moment.hour >= 12 else "AM"
    if letter in _ZONES:
        return {"z": "UTC", "Z": "+0000", "X": "Z"}[letter]
    hour = moment.hour
    number = {
        "M": moment.month,
        "d": moment.day,
        "D": moment.timetuple().tm_yday,
        "H": hour,
        "k": hour or 24,
        "K": hour % 12,
        "h": hour % 12 or 12,
        "m": moment.minute,
        "s": moment.second,
        "S": moment.microsecond // 1000,
    }[letter]
    return f"{number:0{length}d}"


def _read(letter: str, length: int, part: str) -> Any:
    if letter == "M" and length > 2:
        return next(i for i, name in enumerate(MONTHS, 1) if name[:3].lower() == part[:3].lower())
    if letter == "a":
        return part.upper()
    if letter == "E":
        return part
    if letter in _ZONES:
        return _zone(part)
    number = int(part)
    if letter == "y" and length <= 2 and len(part) == 2:
        # Java's rule: not more than 80 years ago and not more than 20 years ahead.
        year = datetime.now(UTC).year
        number += (year - 80) // 100 * 100
        number += 100 if number < year - 80 else 0
    return number


def _zone(part: str) -> timezone:
    digits = re.sub(r"[^0-9]", "", part)
    if not digits:
        return UTC
    digits = digits.zfill(2) if len(digits) < 3 else digits.zfill(4)
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:] or 0))
    try:
        return timezone(-offset if "-" in part else offset)
    except ValueError:
        raise DataError(f"{part!r} is no offset from UTC") from None


def _combined(found: dict[str, Any]) -> datetime:
    hour = found.get("H", found.get("k", 0) % 24)
    if "h" in found or "K" in found:
        hour = found.get("h", found.get("K", 0)) % 12 + (12 if found.get("a") == "PM" else 0)
    zone = next((found[letter] for letter in _ZONES if letter in found), UTC)
    clock = (hour, found.get("m", 0), found.get("s", 0), found.get("S", 0) * 1000)
    if "D" in found and "M" not in found:
        first = datetime(found.get("y", 1970), 1, 1, *clock, tzinfo=zone)
        return first + timedelta(days=found["D"] - 1)
    return datetime(found.get("y", 1970), found.get("M", 1), found.get("d", 1), *clock, tzinfo=zone)
