"""Commands that act on connectors: pause, resume, stop, restart, delete."""

from __future__ import annotations

from collections.abc import Callable

import click

from connectors.cli.client import Client
from connectors.cli.errors import CommandError, NoWorkerError, summarise

__all__ = ["delete", "pause", "restart", "resume", "stop"]

_names = click.argument("names", nargs=-1, required=True)


def _each(names: tuple[str, ...], act: Callable[[str], None], done: str) -> None:
    """Act on every name; go on after a failure, and fail at the end."""
    failures: list[CommandError] = []
    for name in names:
        try:
            act(name)
        except NoWorkerError:
            raise
        except CommandError as error:
            failures.append(CommandError(f"{name}: {error.message}", error.exit_code))
        else:
            click.echo(f"{name}: {done}")
    summarise(failures, len(names))


@click.command()
@_names
@click.pass_obj
def pause(client: Client, names: tuple[str, ...]) -> None:
    """Pause connectors: tasks stay, nothing moves."""
    _each(names, lambda name: client.request("PUT", client.of(name, "pause")), "paused")


@click.command()
@_names
@click.pass_obj
def resume(client: Client, names: tuple[str, ...]) -> None:
    """Have paused or stopped connectors go on."""
    _each(names, lambda name: client.request("PUT", client.of(name, "resume")), "resumed")


@click.command()
@_names
@click.pass_obj
def stop(client: Client, names: tuple[str, ...]) -> None:
    """Stop connectors: tasks end, configuration and offsets stay."""
    _each(names, lambda name: client.request("PUT", client.of(name, "stop")), "stopped")


@click.command()
@_names
@click.option("--failed", is_flag=True, help="Only the tasks that failed.")
@click.pass_obj
def restart(client: Client, names: tuple[str, ...], failed: bool) -> None:
    """Restart connectors with their tasks."""
    query = f"restart?includeTasks=true&onlyFailed={'true' if failed else 'false'}"
    _each(names, lambda name: client.request("POST", client.of(name, query)), "restarted")


@click.command()
@_names
@click.pass_obj
def delete(client: Client, names: tuple[str, ...]) -> None:
    """Delete connectors. Stored offsets stay: a connector of the same name goes on from there."""
    _each(names, lambda name: client.request("DELETE", client.of(name)), "deleted")
