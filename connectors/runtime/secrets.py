"""Keeps secrets out of every output: REST, traces in statuses, logs.

What is secret is known by the option: its type is PASSWORD, or its name says so (client options such as
`producer.override.sasl.password` have no declared type).
"""

from __future__ import annotations

import logging
import re
import threading
import traceback
from collections.abc import Iterable, Mapping
from typing import Any

from connectors.api.config import ConfigDef, Password, Type

__all__ = ["SECRETS", "Secrets", "is_reference", "is_secret", "mask_logs", "masked", "secret_values"]

_REFERENCE = re.compile(r"\$\{\w+:[^}]*\}")
_NAME = re.compile(
    r"(password|passwd|secret|token|credentials?|private\.key|access\.key|api\.key|key\.pem|jaas\.config|user\.info)$",
    re.IGNORECASE,
)


def is_reference(value: str) -> bool:
    """Tell whether a value is nothing but a reference, which may be shown."""
    return _REFERENCE.fullmatch(value.strip()) is not None


def is_secret(option: str, keys: ConfigDef) -> bool:
    """Tell whether an option's value may not be shown."""
    key = keys.find(option)
    return (key is not None and key.type is Type.PASSWORD) or _NAME.search(option) is not None


def masked(config: Mapping[str, str], keys: ConfigDef) -> dict[str, str]:
    """Return a configuration that may be shown: secrets hidden, references as they are."""
    return {
        name: Password.HIDDEN if value and is_secret(name, keys) and not is_reference(value) else value
        for name, value in config.items()
    }


def secret_values(raw: Mapping[str, str], resolved: Mapping[str, str], keys: ConfigDef) -> set[str]:
    """Return the texts that may appear nowhere: values of secret options, and what comes out of files."""
    found = {resolved[name] for name in raw if is_secret(name, keys)}
    from_files = ("${file:", "${directory:")
    return found | {resolved[name] for name, value in raw.items() if value.startswith(from_files)}


class Secrets:
    """The secret texts that this process has met; short ones are left out, as they would hide half of every text."""

    SHORTEST = 4
    MOST = 10_000

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._lock = threading.Lock()

    def remember(self, texts: Iterable[str]) -> None:
        """Hide these texts from now on."""
        with self._lock:
            new = {text for text in texts if len(text) >= self.SHORTEST} - self._known
            if not new or len(self._known) > self.MOST:
                return
            self._known |= new
            # Longest first: one secret may be the beginning of another.
            words = sorted(self._known, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, words)))

    def masked(self, text: str) -> str:
        """Return a text without the secrets."""
        return self._pattern.sub(Password.HIDDEN, text) if self._pattern is not None else text


SECRETS = Secrets()
"""Of this process: a log line may carry the secret of any connector."""


class _MaskedRecord(logging.LogRecord):
    def getMessage(self) -> str:  # noqa: N802 - logging's name
        return SECRETS.masked(super().getMessage())


def _record(*args: Any, **options: Any) -> logging.LogRecord:
    record = _MaskedRecord(*args, **options)
    if record.exc_info and record.exc_info[0] is not None:
        # Formatters take this text where it is there already.
        record.exc_text = SECRETS.masked("".join(traceback.format_exception(*record.exc_info)).rstrip())
        record.exc_info = None
    return record


def mask_logs() -> None:
    """Have every log line of this process go through the mask; may be called again."""
    logging.setLogRecordFactory(_record)
