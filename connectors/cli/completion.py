"""`connectors completion`: completion of commands and options in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

__all__ = ["completion"]


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that completes commands in SHELL.

    \b
    bash:  eval "$(connectors completion bash)"       in ~/.bashrc
    zsh:   eval "$(connectors completion zsh)"        in ~/.zshrc
    fish:  connectors completion fish > ~/.config/fish/completions/connectors.fish
    """  # noqa: D301 - \b is for click: leave the lines as they are
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "connectors", "_CONNECTORS_COMPLETE").source())
