"""What can go wrong, as sentences for the person at the keyboard."""

from __future__ import annotations

__all__ = ["StackError"]


class StackError(Exception):
    """A server or something it needs could not be had; the text says what and what to do."""
