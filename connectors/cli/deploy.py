"""`connectors deploy`: create or update what files describe; and `connectors validate`."""

from __future__ import annotations

import time
from urllib.parse import quote

import click

from connectors.cli.client import Client
from connectors.cli.errors import INVALID, NOT_FOUND, CommandError, NoWorkerError, summarise
from connectors.cli.files import Deployment, read
from connectors.cli.secret import scrub
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
@click.pass_obj
def deploy(client: Client, paths: tuple[str, ...], wait: bool, timeout: float) -> None:
    """Create or update the connectors that files describe.

    YAML, JSON or .properties: {name, config}, or flat options with a name. A reference such as ${env:NAME} is resolved
    by the worker. Deploying the same again changes nothing.
    """
    deployments = read(paths)
    client.deadline = time.monotonic() + timeout
    if wait:
        retried(lambda: client.request("GET", "/health"), client.deadline)
    failures = {each.name: failure for each in deployments if (failure := _put(client, each, client.deadline))}
    sent = [each.name for each in deployments if each.name not in failures]
    if wait and sent:
        try:
            until_running(client, sent, client.deadline)
        except CommandError as error:
            # A trace names the connector itself, and may quote what the plugin was given.
            failures[""] = _scrubbed(error, deployments)
    summarise(list(failures.values()), len(deployments))


def _put(client: Client, each: Deployment, deadline: float) -> CommandError | None:
    try:
        change = retried(lambda: client.put_config(each.name, each.config), deadline)
    except NoWorkerError:
        raise
    except CommandError as error:
        return _about(each, error)
    click.echo(f"{each.name}: {change}")
    return None


@click.command()
@_paths
@click.pass_obj
def validate(client: Client, paths: tuple[str, ...]) -> None:
    """Check the connectors that files describe, and deploy nothing."""
    failures: list[CommandError] = []
    deployments = read(paths)
    for each in deployments:
        try:
            errors = _errors(client, each)
        except NoWorkerError:
            raise
        except CommandError as error:
            failures.append(_about(each, error))
            continue
        click.echo(f"{each.name}: {'valid' if not errors else f'{len(errors)} error(s)'}")
        if errors:
            failures.append(_about(each, CommandError("\n  ".join(["not valid:", *errors]), INVALID)))
    summarise(failures, len(deployments))


def _errors(client: Client, each: Deployment) -> list[str]:
    plugin = each.config.get("connector.class", "")
    if not plugin:
        raise CommandError("Missing required option connector.class", INVALID)
    try:
        path = f"/connector-plugins/{quote(plugin, safe='')}/config/validate"
        answer = client.request("PUT", path, each.config)
    except CommandError as error:
        if error.exit_code != NOT_FOUND:
            raise
        # That the class is unknown is the file's mistake.
        raise CommandError(error.message, INVALID) from None
    return [text for config in answer["configs"] for text in config["value"]["errors"]]


def _about(each: Deployment, error: CommandError) -> CommandError:
    named = CommandError(f"{each.file}: {each.name}: {error.message}", error.exit_code)
    return _scrubbed(named, [each])


def _scrubbed(error: CommandError, deployments: list[Deployment]) -> CommandError:
    message = error.message
    for each in deployments:
        message = scrub(message, each.config)
    return CommandError(message, error.exit_code)
