"""Errors, grouped by what the person or the runtime must do about them.

`ConfigError` asks the user for another configuration, `RetriableError` asks the runtime to try again, `DataError`
sends one record to the dead-letter topic, `FatalError` ends the task.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["ConfigError", "ConnectError", "DataError", "FatalError", "RetriableError", "did_you_mean"]


class ConnectError(Exception):
    """Something went wrong in a connector."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message if message is not None else (type(self).__doc__ or type(self).__name__))


class ConfigError(ConnectError):
    """The configuration cannot be used.

    Attributes:
        key: The option at fault, or None where no single option is.
    """

    def __init__(self, message: str | None = None, *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class RetriableError(ConnectError):
    """The call failed for now; calling again with the same input may succeed."""


class DataError(ConnectError):
    """One record cannot be handled; its neighbours can."""


class FatalError(ConnectError):
    """The task cannot go on."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `"; did you mean X?"` for the known name nearest to `name`, or an empty string."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""
