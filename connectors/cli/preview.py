"""What a deployment would do: `connectors deploy --dry-run`, and the checks of `connectors validate`."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from connectors.cli.client import Client
from connectors.cli.errors import INVALID, NOT_FOUND, CommandError, NoWorkerError, refused, summarise
from connectors.cli.files import Deployment
from connectors.cli.secret import HIDDEN, hide, scrub

__all__ = ["about", "difference", "not_valid", "preview", "scrubbed", "validation_errors"]


def preview(client: Client, deployments: list[Deployment], *, prune: bool) -> None:
    """Print what would change, option by option, and fail where something is not valid; changes nothing."""
    failures: list[CommandError] = []
    for each in deployments:
        try:
            _print_difference(each.name, _current(client, each.name), each.config)
            errors = validation_errors(client, each, connect=True)
        except NoWorkerError:
            raise
        except CommandError as error:
            failures.append(about(each, error))
            continue
        if errors:
            failures.append(about(each, not_valid(errors)))
    if prune:
        described = {each.name for each in deployments}
        for name in client.names():
            if name not in described:
                click.echo(f"{name}: would be deleted")
    summarise(failures, len(deployments))


def validation_errors(client: Client, each: Deployment, *, connect: bool = False) -> list[str]:
    """Have the worker check a configuration.

    Args:
        client: The worker.
        each: The connector.
        connect: Whether the plugin should also try to reach its system.

    Returns:
        Sentences; none where all is well.

    Raises:
        CommandError: There is no such plugin, or no answer.
    """
    plugin = each.config.get("connector.class", "")
    if not plugin:
        raise CommandError("Missing required option connector.class", INVALID)
    try:
        query = "?connect=true" if connect else ""
        path = f"/connector-plugins/{quote(plugin, safe='')}/config/validate{query}"
        answer = client.request("PUT", path, each.config)
    except CommandError as error:
        if error.exit_code != NOT_FOUND:
            raise
        # That the class is unknown is the file's mistake.
        raise CommandError(error.message, INVALID) from None
    return [text for config in answer["configs"] for text in config["value"]["errors"]]


def not_valid(errors: list[str]) -> CommandError:
    """Return the error that lists what validation found."""
    return CommandError("\n  ".join(["not valid:", *errors]), refused("\n".join(errors)))


def about(each: Deployment, error: CommandError) -> CommandError:
    """Return an error with its file and connector in front, without secrets."""
    return scrubbed(CommandError(f"{each.file}: {each.name}: {error.message}", error.exit_code), [each])


def scrubbed(error: CommandError, deployments: list[Deployment]) -> CommandError:
    """Return an error without the secrets of what is deployed."""
    message = error.message
    for each in deployments:
        message = scrub(message, each.config)
    return CommandError(message, error.exit_code)


def _current(client: Client, name: str) -> dict[str, str] | None:
    try:
        found: dict[str, str] = client.request("GET", client.of(name, "config"))
    except CommandError as error:
        if error.exit_code != NOT_FOUND:
            raise
        return None
    return found


def difference(client: Client, each: Deployment) -> list[str]:
    """Return a line for each option that a deployment changes, without secrets."""
    removed, added = _compared(_current(client, each.name) or {}, each.config)
    return [*_lines("-", removed), *_lines("+", added)]


def _compared(old: dict[str, str], new: dict[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what goes and what comes; what the worker hides cannot be compared here, so it counts as the same."""
    hidden_before = {key for key, value in old.items() if value == HIDDEN}
    removed = {key: value for key, value in hide(old).items() if key not in new}
    added = {key: value for key, value in hide(new).items() if key not in hidden_before and old.get(key) != new[key]}
    return removed | {key: hide(old)[key] for key in added if key in old}, added


def _print_difference(name: str, old: dict[str, str] | None, new: dict[str, str]) -> None:
    removed, added = _compared(old or {}, new)
    if old is None:
        click.echo(f"{name}: would be created")
    elif removed or added:
        click.echo(f"{name}: would be updated")
    else:
        unknown = sorted(key for key, value in old.items() if value == HIDDEN and key in new)
        click.echo(f"{name}: would be unchanged" + (f", unless these are new: {', '.join(unknown)}" if unknown else ""))
    for line in [*_lines("-", removed), *_lines("+", added)]:
        click.echo(line)


def _lines(sign: str, options: dict[str, Any]) -> list[str]:
    colour = "green" if sign == "+" else "red"
    return [click.style(f"  {sign} {key} = {value}", fg=colour) for key, value in sorted(options.items())]
