"""The group of commands; each is imported when it is called, so that `connectors --help` is quick."""

from __future__ import annotations

import os
from importlib import import_module
from typing import ClassVar, Final

import click

from connectors.api.errors import did_you_mean
from connectors.cli.client import Client
from connectors.cli.contexts import Contexts

__all__ = ["main"]

DEFAULT_URL: Final = "http://127.0.0.1:8083"


class _Lazy(click.Group):
    """Loads a command's module at its first use."""

    COMMANDS: ClassVar[dict[str, tuple[str, str]]] = {
        "completion": ("completion", "completion"),
        "config": ("config", "config"),
        "context": ("context", "context"),
        "delete": ("control", "delete"),
        "deploy": ("deploy", "deploy"),
        "describe": ("describe", "describe"),
        "dlq": ("dlq", "dlq"),
        "kudu": ("kudu", "kudu"),
        "list": ("inspect", "list_connectors"),
        "loggers": ("admin", "loggers"),
        "offsets": ("offsets", "offsets"),
        "pause": ("control", "pause"),
        "plugins": ("inspect", "plugins"),
        "restart": ("control", "restart"),
        "resume": ("control", "resume"),
        "run": ("run", "run"),
        "signal": ("signal", "signal"),
        "status": ("status", "status"),
        "stop": ("control", "stop"),
        "topics": ("admin", "topics"),
        "transform-test": ("transform_test", "transform_test"),
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
    help="A worker [CONNECTORS_URL, else the context in use, else http://127.0.0.1:8083].",
)
@click.version_option(package_name="faust-connect")
@click.pass_context
def main(ctx: click.Context, url: str | None) -> None:
    """Deploy connectors to a faust-connect worker, and run one.

    Results go to stdout, errors to stderr. `connectors COMMAND --help` says more. CONNECTORS_TOKEN holds a bearer
    token, CONNECTORS_CA the file with the certificate to trust.

    \b
    Exit codes:
      0  done
      1  failed
      2  wrong usage: of the command, of a file that cannot be read, or an option whose name nobody knows
      3  no such connector or plugin
      4  a configuration that is not valid
      5  worker unreachable, or time is up
    """  # noqa: D301 - \b is for click: leave the lines as they are
    ctx.obj = _client(url)


def _client(url: str | None) -> Client:
    token, ca = os.environ.get("CONNECTORS_TOKEN"), os.environ.get("CONNECTORS_CA")
    if url is None:
        contexts = Contexts.load()
        chosen = contexts.known.get(contexts.current or "")
        if chosen is not None:
            own = os.environ.get(chosen.token_env) if chosen.token_env else None
            return Client(chosen.url, token=own or token, ca=chosen.ca or ca)
    return Client(DEFAULT_URL if url is None else url, token=token, ca=ca)
