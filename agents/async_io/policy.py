"""What becomes of a record whose request failed or whose time is up."""

from __future__ import annotations

from typing import Any, Literal

from agents.async_io.function import AsyncFunction, name_of

__all__ = ["FailurePolicy", "TimeoutPolicy", "asks_timeout", "failure_policy"]

FailurePolicy = Literal["fail", "drop", "dead-letter"]
"""`fail` ends the stage with an error, `drop` goes on without the record, `dead-letter` puts it aside and goes on."""

TimeoutPolicy = Literal["fail", "drop", "dead-letter", "fallback"]
"""As for failures; `fallback` takes what the function's own `timeout` answers."""


def asks_timeout(function: AsyncFunction[Any, Any], policy: TimeoutPolicy | None) -> bool:
    """Tell whether `timeout` of the function is called when a record's time is up.

    Raises:
        ValueError: The policy wants a fallback and the function has none.
    """
    if policy == "fallback" and not function.answers_timeouts:
        raise ValueError(f"on_timeout is fallback, and {name_of(function)} has no timeout() of its own to give one")
    return function.answers_timeouts if policy is None else policy == "fallback"


def failure_policy(on_timeout: TimeoutPolicy | None, on_failure: FailurePolicy) -> FailurePolicy:
    """Return what a time-out without fallback leads to."""
    return on_failure if on_timeout is None or on_timeout == "fallback" else on_timeout
