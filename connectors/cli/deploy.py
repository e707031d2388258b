"""`connectors deploy`: create or update what files describe; and `connectors validate`."""

from __future__ import annotations

import time
from typing import Any

import click

from connectors.cli.client import Client
from connectors.cli.control import each as each_of
from connectors.cli.errors import CommandError, NoWorkerError, summarise
from connectors.cli.files import Deployment, read
from connectors.cli.output import format_option, show
from connectors.cli.preview import about, difference, not_valid, preview, scrubbed, validation_errors
from connectors.cli.secret import scrub
from connectors.cli.selection import confirm
from connectors.cli.waiting import retried, until_running

__all__ = ["deploy", "validate"]

_paths = click.argument("paths", nargs=-1, required=True, metavar="FILE|DIR...")


@click.command()
@_paths
@click.option("--wait", is_flag=True, help="Wait until the connectors and all their tasks run.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait in all, also for a worker that is only starting.",
)
@click.option("--dry-run", is_flag=True, help="Validate, show what would change, and change nothing.")
@click.option("--diff", is_flag=True, help="Show each option that changes.")
@click.option(
    "--initial-state",
    type=click.Choice(["running", "paused", "stopped"], case_sensitive=False),
    help="State of connectors that are new.",
)
@click.option("--prune", is_flag=True, help="Delete the connectors that the files do not describe.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before connectors are deleted.")
@click.pass_obj
def deploy(
    client: Client,
    paths: tuple[str, ...],
    wait: bool,
    timeout: float,
    dry_run: bool,
    diff: bool,
    initial_state: str | None,
    prune: bool,
    yes: bool,
) -> None:
    """Create or update the connectors that files describe; `-` reads YAML or JSON from stdin.

    YAML, JSON or .properties: {name, config}, or flat options with a name. A reference such as ${env:NAME} is resolved
    by the worker. Deploying the same again changes nothing.
    """
    deployments = read(paths)
    client.deadline = time.monotonic() + timeout
    if dry_run:
        preview(client, deployments, prune=prune)
        return
    if prune:
        _prune(client, deployments, yes=yes)
    if wait:
        retried(lambda: client.request("GET", "/health"), client.deadline)
    failures: dict[str, CommandError] = {}
    for each in deployments:
        failure = _put(client, each, client.deadline, initial_state, diff=diff)
        if failure is not None:
            failures[each.name] = failure
    sent = [each.name for each in deployments if each.name not in failures]
    if wait and sent:
        try:
            until_running(client, sent, client.deadline)
        except CommandError as error:
            # A trace names the connector itself, and may quote what the plugin was given.
            failures[""] = scrubbed(error, deployments)
    summarise(list(failures.values()), len(deployments))


def _put(
    client: Client, each: Deployment, deadline: float, initial_state: str | None, *, diff: bool
) -> CommandError | None:
    try:
        changes = retried(lambda: difference(client, each), deadline) if diff else []
        change = retried(lambda: _stored(client, each, initial_state), deadline)
    except NoWorkerError:
        raise
    except CommandError as error:
        return about(each, error)
    click.echo("\n".join([f"{each.name}: {change}", *changes]))
    return None


def _stored(client: Client, each: Deployment, initial_state: str | None) -> str:
    if initial_state is not None and each.name not in client.names():
        body = {"name": each.name, "config": each.config, "initial_state": initial_state.upper()}
        client.request("POST", "/connectors", body)
        return f"created, {initial_state.lower()}"
    return client.put_config(each.name, each.config)


def _prune(client: Client, deployments: list[Deployment], *, yes: bool) -> None:
    described = {each.name for each in deployments}
    left = [name for name in client.names() if name not in described]
    if left:
        confirm(f"Delete {', '.join(left)}, which no file describes", yes=yes)
        each_of(left, lambda name: client.request("DELETE", client.of(name)), "deleted")


@click.command()
@_paths
@format_option
@click.pass_obj
def validate(client: Client, paths: tuple[str, ...], output: str) -> None:
    """Check the connectors that files describe, and deploy nothing."""
    deployments = read(paths)
    failures: list[CommandError] = []
    found: list[dict[str, Any]] = []
    for each in deployments:
        try:
            errors = validation_errors(client, each)
        except NoWorkerError:
            raise
        except CommandError as error:
            failures.append(about(each, error))
            errors = [scrubbed(error, [each]).message]
        else:
            errors = [scrub(text, each.config) for text in errors]
            if output == "table":
                click.echo(f"{each.name}: {'valid' if not errors else f'{len(errors)} error(s)'}")
            if errors:
                failures.append(about(each, not_valid(errors)))
        found.append({"name": each.name, "file": str(each.file), "valid": not errors, "errors": errors})
    if output != "table":
        show(found, {}, [], output)
    summarise(failures, len(deployments))
