"""`connectors status`, also as a live view."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import click

from connectors.cli.client import Client
from connectors.cli.errors import NOT_FOUND, CommandError, NoWorkerError, summarise
from connectors.cli.output import format_option, show, table
from connectors.cli.selection import select
from connectors.cli.waiting import reason

__all__ = ["status"]

_COLUMNS: dict[str, Any] = {
    "NAME": lambda row: row[0],
    "PART": lambda row: row[1],
    "STATE": lambda row: row[2]["state"],
    "WORKER": lambda row: row[2].get("worker_id", ""),
    "WHY": lambda row: reason(row[2].get("trace", "")),
}


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME|PATTERN...]")
@click.option("--failed", is_flag=True, help="Only those that failed, or have a task that did.")
@click.option("--check", is_flag=True, help="Exit with 1 where something has failed.")
@click.option("-w", "--watch", is_flag=True, help="Keep on showing, until Ctrl-C.")
@click.option(
    "--interval", type=click.FloatRange(min=0.1), default=1.0, show_default=True, metavar="SECONDS", help="With -w."
)
@format_option
@click.pass_obj
def status(
    client: Client, names: tuple[str, ...], failed: bool, check: bool, watch: bool, interval: float, output: str
) -> None:
    """Show what connectors and their tasks do (all, or those named)."""
    if watch:
        _watch(client, names, failed=failed, interval=interval)
        return
    found, failures = _statuses(client, names, failed=failed)
    if found or not failures:
        show(found, _COLUMNS, _rows(found), output)
    summarise(failures, len(found) + len(failures))
    if check and any(_failed(each) for each in found):
        raise click.exceptions.Exit(1)


def _watch(client: Client, names: tuple[str, ...], *, failed: bool, interval: float) -> None:
    from rich.console import Console, Group
    from rich.live import Live

    console = Console()
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        try:
            while True:
                try:
                    found, failures = _statuses(client, names, failed=failed)
                    view = Group(table(_COLUMNS, _rows(found)), *(failure.message for failure in failures))
                except NoWorkerError as error:  # it may come back
                    view = Group(error.message)
                live.update(view, refresh=True)
                time.sleep(interval)
        except KeyboardInterrupt:
            return


def _rows(found: Sequence[dict[str, Any]]) -> list[tuple[str, str, Any]]:
    return [
        (each["name"] if number == 0 else "", part, state)
        for each in found
        for number, (part, state) in enumerate(
            [(each["type"], each["connector"]), *((f"task {task['id']}", task) for task in each["tasks"])]
        )
    ]


def _statuses(
    client: Client, names: tuple[str, ...], *, failed: bool
) -> tuple[list[dict[str, Any]], list[CommandError]]:
    found: list[dict[str, Any]] = []
    failures: list[CommandError] = []
    # One request for all, however many there are.
    known = client.request("GET", "/connectors?expand=status") if not names else {}
    for name in known if not names else select(client, names):
        try:
            found.append(known[name]["status"] if name in known else client.request("GET", client.of(name, "status")))
        except NoWorkerError:
            raise
        except CommandError as error:
            # Without names it was in the list a moment ago: deleted meanwhile.
            if names or error.exit_code != NOT_FOUND:
                failures.append(error)
    return [each for each in found if not failed or _failed(each)], failures


def _failed(each: dict[str, Any]) -> bool:
    return any(part["state"] == "FAILED" for part in (each["connector"], *each["tasks"]))
