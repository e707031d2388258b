"""Which connectors a command is about: names, patterns, all, or those that failed."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Any, TypeVar

import click

from connectors.api.errors import did_you_mean
from connectors.cli.client import Client
from connectors.cli.errors import NOT_FOUND, USAGE, CommandError

__all__ = ["confirm", "is_broad", "select", "selection"]

F = TypeVar("F", bound=Callable[..., Any])


def selection(command: F) -> F:
    """Add the argument NAME... (patterns allowed) and the options --all and --failed."""
    command = click.option("--failed", is_flag=True, help="Only those that failed, or have a task that did.")(command)
    command = click.option("--all", "every", is_flag=True, help="All connectors.")(command)
    return click.argument("names", nargs=-1, metavar="NAME|PATTERN...")(command)


def is_broad(names: tuple[str, ...], every: bool) -> bool:
    """Tell whether more may be meant than was spelled out."""
    return every or any(_is_pattern(name) for name in names)


def select(client: Client, names: tuple[str, ...], *, every: bool = False, failed: bool = False) -> list[str]:
    """Return the connectors meant, in the order of the names, each once.

    Args:
        client: The worker.
        names: Names, and patterns with `*`, `?` or `[...]`.
        every: All connectors; then there are no names.
        failed: Leave out those that work.

    Raises:
        CommandError: Nothing is selected (2), or a pattern matches nothing (3).
    """
    if every and names:
        raise CommandError("Give names or --all, not both", USAGE)
    if not (every or failed or names):
        raise CommandError("Give names, patterns, --all or --failed", USAGE)
    # A plain name is not looked up: the request itself says whether it is there.
    known = client.names() if every or failed or any(_is_pattern(name) for name in names) else []
    chosen = known if not names else [match for name in names for match in _matches(name, known)]
    chosen = list(dict.fromkeys(chosen))
    return [name for name in chosen if _has_failed(client, name)] if failed else chosen


def confirm(what: str, *, yes: bool) -> None:
    """Ask whether to go on; without a terminal, the option --yes is the only way.

    Raises:
        CommandError: It is not to go on.
    """
    if yes:
        return
    if not click.get_text_stream("stdin").isatty():
        raise CommandError(f"{what}: add --yes to say that it is meant", USAGE)
    click.confirm(f"{what}?", abort=True, err=True)


def _matches(name: str, known: list[str]) -> list[str]:
    if not _is_pattern(name):
        return [name]
    found = [each for each in known if fnmatchcase(each, name)]
    if not found:
        raise CommandError(f"No connector matches {name}{did_you_mean(name, known)}", NOT_FOUND)
    return found


def _is_pattern(name: str) -> bool:
    return any(sign in name for sign in "*?[")


def _has_failed(client: Client, name: str) -> bool:
    status = client.request("GET", client.of(name, "status"))
    return any(part["state"] == "FAILED" for part in (status["connector"], *status["tasks"]))
