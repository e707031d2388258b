"""Commands that look: list, status, plugins, config."""

from __future__ import annotations

from typing import Any

import click

from connectors.cli.client import Client
from connectors.cli.errors import NOT_FOUND, CommandError, NoWorkerError, summarise
from connectors.cli.output import format_option, show
from connectors.cli.secret import hide
from connectors.cli.waiting import reason

__all__ = ["config", "list_connectors", "plugins", "status"]


@click.command("list")
@format_option
@click.pass_obj
def list_connectors(client: Client, output: str) -> None:
    """List the connectors."""
    names = client.names()
    show(names, {"NAME": str}, names, output)


@click.command()
@click.argument("names", nargs=-1)
@format_option
@click.pass_obj
def status(client: Client, names: tuple[str, ...], output: str) -> None:
    """Show what connectors and their tasks do (all, or those named)."""
    found, failures = _statuses(client, names)
    rows = [
        (each["name"] if number == 0 else "", part, state)
        for each in found
        for number, (part, state) in enumerate(
            [(each["type"], each["connector"]), *((f"task {task['id']}", task) for task in each["tasks"])]
        )
    ]
    columns: dict[str, Any] = {
        "NAME": lambda row: row[0],
        "PART": lambda row: row[1],
        "STATE": lambda row: row[2]["state"],
        "WORKER": lambda row: row[2]["worker_id"],
        "WHY": lambda row: reason(row[2].get("trace", "")),
    }
    if found or not failures:
        show(found, columns, rows, output)
    summarise(failures, len(names))


def _statuses(client: Client, names: tuple[str, ...]) -> tuple[list[dict[str, Any]], list[CommandError]]:
    found: list[dict[str, Any]] = []
    failures: list[CommandError] = []
    for name in names or client.names():
        try:
            found.append(client.request("GET", client.of(name, "status")))
        except NoWorkerError:
            raise
        except CommandError as error:
            # Without names it was in the list a moment ago: deleted meanwhile.
            if names or error.exit_code != NOT_FOUND:
                failures.append(error)
    return found, failures


@click.command()
@format_option
@click.pass_obj
def plugins(client: Client, output: str) -> None:
    """List the connector classes that the worker knows."""
    found = client.request("GET", "/connector-plugins")
    columns: dict[str, Any] = {
        "CLASS": lambda row: row["class"],
        "TYPE": lambda row: row["type"],
        "VERSION": lambda row: row["version"],
    }
    show(found, columns, found, output)


@click.command()
@click.argument("name")
@format_option
@click.pass_obj
def config(client: Client, name: str, output: str) -> None:
    """Show a connector's configuration; secrets are hidden."""
    found = hide(client.request("GET", client.of(name, "config")))
    columns: dict[str, Any] = {"OPTION": lambda row: row[0], "VALUE": lambda row: row[1]}
    show(found, columns, sorted(found.items()), output)
