"""`connectors deploy`: create or update what files describe; and `connectors validate`."""

from __future__ import annotations

import time

import click

from connectors.cli.client import Client
from connectors.cli.errors import INVALID, NOT_FOUND, CommandError
from connectors.cli.files import Deployment, read
from connectors.cli.waiting import until_reachable, until_running

__all__ = ["deploy", "validate"]


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="FILE|DIR...")
@click.option("--wait", is_flag=True, help="Wait until the connectors and all their tasks run.")
@click.option("--timeout", default=60.0, show_default=True, help="How long to wait in all, in seconds.")
@click.pass_obj
def deploy(client: Client, paths: tuple[str, ...], wait: bool, timeout: float) -> None:
    """Create or update the connectors that files describe.

    YAML, JSON or .properties: {name, config}, or flat options with a name. A reference such as ${env:NAME} is resolved
    by the worker. Deploying the same again changes nothing.
    """
    deployments = read(paths)
    deadline = time.monotonic() + timeout
    if wait:
        until_reachable(lambda: client.request("GET", "/health"), deadline)
    failures = [failure for each in deployments if (failure := _one(client, each))]
    if wait and not failures:
        for each in deployments:
            until_running(client, each.name, deadline)
            click.echo(f"{each.name}: running")
    if failures:
        for failure in failures[:-1]:
            failure.show()
        raise failures[-1]


def _one(client: Client, deployment: Deployment) -> CommandError | None:
    try:
        click.echo(f"{deployment.name}: {_put(client, deployment)}")
    except CommandError as error:
        return CommandError(f"{deployment.file}: {deployment.name}: {error.message}", error.exit_code)
    return None


def _put(client: Client, deployment: Deployment) -> str:
    try:
        old = client.request("GET", client.of(deployment.name, "config"))
    except CommandError as error:
        if error.exit_code != NOT_FOUND:
            raise
        old = None
    if old == deployment.config:
        return "unchanged"
    client.request("PUT", client.of(deployment.name, "config"), deployment.config)
    return "created" if old is None else "updated"


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="FILE|DIR...")
@click.pass_obj
def validate(client: Client, paths: tuple[str, ...]) -> None:
    """Check the connectors that files describe, and deploy nothing."""
    bad = 0
    for each in read(paths):
        plugin = each.config.get("connector.class", "")
        if not plugin:
            raise CommandError(f"{each.file}: {each.name}: Missing required option connector.class", INVALID)
        path = f"/connector-plugins/{plugin}/config/validate"
        answer = client.request("PUT", path, each.config)
        errors = [text for config in answer["configs"] for text in config["value"]["errors"]]
        bad += len(errors)
        click.echo(f"{each.name}: {'valid' if not errors else f'{len(errors)} error(s)'}")
        for text in errors:
            click.echo(f"  {text}", err=True)
    if bad:
        raise CommandError(f"{bad} error(s)", INVALID)
