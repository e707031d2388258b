"""The command that sends a message to running tasks."""

from __future__ import annotations

import json

import click

from connectors.cli.client import Client

__all__ = ["signal"]


@click.command()
@click.argument("name")
@click.argument("kind", metavar="TYPE")
@click.option(
    "--data", metavar="JSON", default="{}", help='An object, e.g. \'{"data-collections": ["shop\\.orders"]}\'.'
)
@click.pass_obj
def signal(client: Client, name: str, kind: str, data: str) -> None:
    """Send a message to the running tasks of a source, e.g. execute-snapshot."""
    try:
        content = json.loads(data)
    except ValueError as error:
        raise click.BadParameter(f"no JSON: {error}", param_hint="--data") from None
    client.request("POST", client.of(name, "signals"), {"type": kind, "data": content})
    click.echo(f"{name}: {kind} sent")
