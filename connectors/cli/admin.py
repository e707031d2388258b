"""`connectors topics` and `connectors loggers`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import click

from connectors.cli.client import Client
from connectors.cli.control import each
from connectors.cli.output import format_option, show
from connectors.cli.selection import select, selection

__all__ = ["loggers", "topics"]

_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL", "OFF")


@click.command()
@selection
@click.option("--reset", is_flag=True, help="Forget the topics seen so far.")
@format_option
@click.pass_obj
def topics(client: Client, names: tuple[str, ...], every: bool, failed: bool, reset: bool, output: str) -> None:
    """Show the topics that connectors have read or written."""
    chosen = select(client, names, every=every, failed=failed)
    if reset:
        each(chosen, lambda name: client.request("PUT", client.of(name, "topics/reset")), "topics reset")
        return
    found: dict[str, Any] = {}
    for name in chosen:
        found |= client.request("GET", client.of(name, "topics"))
    rows = [(name, topic) for name, entry in found.items() for topic in entry["topics"]]
    show(found, {"NAME": lambda row: row[0], "TOPIC": lambda row: row[1]}, rows, output)


@click.group()
def loggers() -> None:
    """Show and change how much a worker logs."""


@loggers.command("list")
@format_option
@click.pass_obj
def list_(client: Client, output: str) -> None:
    """List the loggers that have a level."""
    found = client.request("GET", "/admin/loggers")
    _show(found, sorted(found.items()), output)


@loggers.command("get")
@click.argument("logger")
@format_option
@click.pass_obj
def get(client: Client, logger: str, output: str) -> None:
    """Show a logger's level."""
    found = client.request("GET", f"/admin/loggers/{quote(logger, safe='')}")
    _show(found, [(logger, found)], output)


@loggers.command("set")
@click.argument("logger")
@click.argument("level", type=click.Choice(_LEVELS, case_sensitive=False))
@click.option(
    "--scope",
    type=click.Choice(["worker", "cluster"]),
    default="worker",
    show_default=True,
    help="The worker asked, or all of its cluster.",
)
@click.pass_obj
def set_(client: Client, logger: str, level: str, scope: str) -> None:
    """Set the level of a logger and of those below it."""
    path = f"/admin/loggers/{quote(logger, safe='')}?scope={scope}"
    changed = client.request("PUT", path, {"level": level.upper()})
    for name in changed or [logger]:
        click.echo(f"{name}: {level.upper()}")


def _show(value: Any, rows: list[tuple[str, dict[str, Any]]], output: str) -> None:
    columns: dict[str, Any] = {
        "LOGGER": lambda row: row[0],
        "LEVEL": lambda row: row[1]["level"],
        "CHANGED": lambda row: _time(row[1].get("last_modified")),
    }
    show(value, columns, rows, output)


def _time(milliseconds: int | None) -> str:
    return "" if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%F %TZ")
