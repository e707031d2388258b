"""`connectors config`: show and change a connector's options."""

from __future__ import annotations

from typing import Any

import click

from connectors.cli.client import Client
from connectors.cli.errors import USAGE, CommandError
from connectors.cli.output import format_option, show
from connectors.cli.secret import hide

__all__ = ["config"]


class _Config(click.Group):
    """`connectors config NAME` is short for `connectors config get NAME`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Take what is no command for a name."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["get", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_Config)
def config() -> None:
    """Show and change a connector's options."""


@config.command("get")
@click.argument("name")
@format_option
@click.pass_obj
def get(client: Client, name: str, output: str) -> None:
    """Show the options; secrets are hidden. `connectors config NAME` does the same."""
    found = hide(client.request("GET", client.of(name, "config")))
    columns: dict[str, Any] = {"OPTION": lambda row: row[0], "VALUE": lambda row: row[1]}
    show(found, columns, sorted(found.items()), output)


@config.command("set")
@click.argument("name")
@click.argument("options", nargs=-1, required=True, metavar="KEY=VALUE...")
@click.option("--remove", multiple=True, metavar="KEY", help="Option to take away; may be repeated.")
@click.pass_obj
def set_(client: Client, name: str, options: tuple[str, ...], remove: tuple[str, ...]) -> None:
    """Change some options and leave the others."""
    _patch(client, name, dict(map(_pair, options)) | dict.fromkeys(remove))


@config.command("unset")
@click.argument("name")
@click.argument("options", nargs=-1, required=True, metavar="KEY...")
@click.pass_obj
def unset(client: Client, name: str, options: tuple[str, ...]) -> None:
    """Take options away, so that their defaults hold."""
    _patch(client, name, dict.fromkeys(options))


def _patch(client: Client, name: str, change: dict[str, str | None]) -> None:
    client.request("PATCH", client.of(name, "config"), change)
    click.echo(f"{name}: updated")


def _pair(text: str) -> tuple[str, str]:
    key, sign, value = text.partition("=")
    if not sign or not key:
        # The text is not repeated: it may be a password.
        raise CommandError("Options are given as KEY=VALUE", USAGE)
    return key.strip(), value
