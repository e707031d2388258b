"""How a command fails: a sentence on stderr and an exit code."""

from __future__ import annotations

import click

__all__ = ["FAILED", "INVALID", "NOT_FOUND", "UNREACHABLE", "CommandError"]

FAILED = 1
INVALID = 2
NOT_FOUND = 3
UNREACHABLE = 5


class CommandError(click.ClickException):
    """An error for the person at the keyboard.

    Args:
        message: What, where, and what to do.
        exit_code: The command's exit code.
    """

    def __init__(self, message: str, exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.exit_code = exit_code
