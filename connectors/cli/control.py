"""Commands that act on connectors: pause, resume, stop, restart, delete."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import click

from connectors.cli.client import Client
from connectors.cli.errors import CommandError, NoWorkerError, summarise
from connectors.cli.selection import confirm, is_broad, select, selection
from connectors.cli.waiting import retried, until_running

__all__ = ["delete", "each", "pause", "restart", "resume", "stop"]

_RETRY_S = 30.0
_wait = click.option("--wait", is_flag=True, help="Wait until the connectors and all their tasks run.")
_timeout = click.option(
    "--timeout", type=click.FloatRange(min=0), default=60.0, show_default=True, metavar="SECONDS", help="How long."
)


def each(names: Iterable[str], act: Callable[[str], object], done: str) -> None:
    """Act on every name, again while the worker is busy; go on after a failure, and fail at the end."""
    names, failures, deadline = list(names), [], time.monotonic() + _RETRY_S
    for name in names:
        try:
            retried(lambda name=name: act(name), deadline, patient=False)  # type: ignore[misc]
        except NoWorkerError:
            raise
        except CommandError as error:
            failures.append(CommandError(f"{name}: {error.message}", error.exit_code))
        else:
            click.echo(f"{name}: {done}")
    if not names:
        click.echo("No connector is meant: nothing to do", err=True)
    summarise(failures, len(names))


@click.command()
@selection
@click.pass_obj
def pause(client: Client, names: tuple[str, ...], every: bool, failed: bool) -> None:
    """Pause connectors: tasks stay, nothing moves."""
    chosen = select(client, names, every=every, failed=failed)
    each(chosen, lambda name: client.request("PUT", client.of(name, "pause")), "paused")


@click.command()
@selection
@_wait
@_timeout
@click.pass_obj
def resume(client: Client, names: tuple[str, ...], every: bool, failed: bool, wait: bool, timeout: float) -> None:
    """Have paused or stopped connectors go on."""
    chosen = select(client, names, every=every, failed=failed)
    each(chosen, lambda name: client.request("PUT", client.of(name, "resume")), "resumed")
    if wait:
        until_running(client, chosen, time.monotonic() + timeout)


@click.command()
@selection
@click.pass_obj
def stop(client: Client, names: tuple[str, ...], every: bool, failed: bool) -> None:
    """Stop connectors: tasks end, configuration and offsets stay."""
    chosen = select(client, names, every=every, failed=failed)
    each(chosen, lambda name: client.request("PUT", client.of(name, "stop")), "stopped")


@click.command()
@click.argument("names", nargs=-1, metavar="NAME|PATTERN...")
@click.option("--all", "every", is_flag=True, help="All connectors.")
@click.option("--failed", is_flag=True, help="Only what failed: without names, of all connectors.")
@click.option("--task", type=click.IntRange(min=0), metavar="N", help="This task alone.")
@_wait
@_timeout
@click.pass_obj
def restart(
    client: Client, names: tuple[str, ...], every: bool, failed: bool, task: int | None, wait: bool, timeout: float
) -> None:
    """Restart connectors with their tasks, one task, or what failed."""
    # With names, --failed is the worker's to apply: it restarts no task that works.
    chosen = select(client, names, every=every, failed=failed and not names)
    path = f"restart?includeTasks=true&onlyFailed={'true' if failed else 'false'}"
    if task is not None:
        path = f"tasks/{task}/restart"
    each(chosen, lambda name: client.request("POST", client.of(name, path)), "restarted")
    if wait:
        until_running(client, chosen, time.monotonic() + timeout)


@click.command()
@selection
@click.option("--reset-offsets", is_flag=True, help="Forget the stored offsets too: stops the connector first.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete(client: Client, names: tuple[str, ...], every: bool, failed: bool, reset_offsets: bool, yes: bool) -> None:
    """Delete connectors. Stored offsets stay: a connector of the same name goes on from there."""
    chosen = select(client, names, every=every, failed=failed)
    if is_broad(names, every) or (failed and not names):
        confirm(f"Delete {len(chosen)} connectors ({', '.join(chosen)})", yes=yes)

    def act(name: str) -> None:
        if reset_offsets:
            client.request("PUT", client.of(name, "stop"))
            client.request("DELETE", client.of(name, "offsets"))
        client.request("DELETE", client.of(name))

    each(chosen, act, "deleted, offsets reset" if reset_offsets else "deleted")
