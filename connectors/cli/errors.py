"""How a command fails: a sentence on stderr and an exit code."""

from __future__ import annotations

import re
from collections.abc import Sequence

import click

__all__ = [
    "FAILED",
    "INVALID",
    "NOT_FOUND",
    "UNREACHABLE",
    "USAGE",
    "CommandError",
    "NoWorkerError",
    "refused",
    "summarise",
]

FAILED = 1
USAGE = 2
NOT_FOUND = 3
INVALID = 4
UNREACHABLE = 5


class CommandError(click.ClickException):
    """An error for the person at the keyboard.

    Args:
        message: What, where, and what to do.
        exit_code: The command's exit code.
        retriable: Whether the same request may succeed a little later.
    """

    def __init__(self, message: str, exit_code: int = FAILED, *, retriable: bool = False) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.retriable = retriable


class NoWorkerError(CommandError):
    """Nobody answers at the address; trying the next item there is of no use.

    Args:
        message: What, where, and what to do.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, UNREACHABLE, retriable=True)


def refused(errors: str) -> int:
    """Return the exit code for a configuration that was checked and refused.

    Args:
        errors: What was found, a line each. The name of an option that nobody knows is mistyped, as an option of the
            command may be: wrong usage. All else is a configuration that is not valid.
    """
    return USAGE if re.search(r"^\s*Unknown (option|field) ", errors, re.MULTILINE) else INVALID


def summarise(failures: Sequence[CommandError], tried: int) -> None:
    """Fail with what went wrong with some of the items; do nothing where nothing did.

    Args:
        failures: A failure each.
        tried: How many items were tried.

    Raises:
        CommandError: There are failures; its exit code is theirs where they agree, else 1. Mistyped options and
            configurations that are not valid otherwise agree in not being valid.
    """
    if len(failures) == 1:
        raise failures[0]
    if failures:
        for failure in failures:
            failure.show()
        codes = {failure.exit_code for failure in failures}
        codes = {INVALID} if codes == {USAGE, INVALID} else codes
        raise CommandError(f"{len(failures)} of {tried} failed", codes.pop() if len(codes) == 1 else FAILED)
