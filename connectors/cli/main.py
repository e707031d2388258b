"""The group of commands; each is imported when it is called, so that `connectors --help` is quick."""

from __future__ import annotations

from importlib import import_module
from typing import ClassVar

import click

from connectors.api.errors import did_you_mean
from connectors.cli.client import Client

__all__ = ["main"]


class _Lazy(click.Group):
    """Loads a command's module at its first use."""

    COMMANDS: ClassVar[dict[str, tuple[str, str]]] = {
        "config": ("inspect", "config"),
        "delete": ("control", "delete"),
        "deploy": ("deploy", "deploy"),
        "kudu": ("kudu", "kudu"),
        "list": ("inspect", "list_connectors"),
        "pause": ("control", "pause"),
        "plugins": ("inspect", "plugins"),
        "restart": ("control", "restart"),
        "resume": ("control", "resume"),
        "status": ("inspect", "status"),
        "stop": ("control", "stop"),
        "validate": ("deploy", "validate"),
        "worker": ("worker", "worker"),
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        del ctx
        return sorted(self.COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        del ctx
        if cmd_name not in self.COMMANDS:
            return None
        module, attribute = self.COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"connectors.cli.{module}"), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest command where there is none of this name."""
        if args and args[0] not in self.COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}{did_you_mean(args[0], self.COMMANDS)}")
        return super().resolve_command(ctx, args)


@click.command(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--url",
    envvar="CONNECTORS_URL",
    default="http://127.0.0.1:8083",
    show_default=True,
    help="A worker [CONNECTORS_URL].",
)
@click.version_option(package_name="faust-connect")
@click.pass_context
def main(ctx: click.Context, url: str) -> None:
    """Deploy connectors to a faust-connect worker, and run one.

    Results go to stdout, errors to stderr. `connectors COMMAND --help` says more.

    \b
    Exit codes:
      0  done
      1  failed
      2  wrong usage, or a configuration that is not valid
      3  no such connector or plugin
      5  worker unreachable, or time is up
    """  # noqa: D301 - \b is for click: leave the lines as they are
    ctx.obj = Client(url)
