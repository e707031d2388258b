"""`connectors context`: names for the workers that one talks to."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from connectors.api.errors import did_you_mean
from connectors.cli.client import Client
from connectors.cli.contexts import Context, Contexts
from connectors.cli.errors import NOT_FOUND, USAGE, CommandError
from connectors.cli.output import format_option, show

__all__ = ["context"]


@click.group()
def context() -> None:
    """Keep the addresses of clusters under names.

    --url and CONNECTORS_URL win over the context in use.
    """


@context.command("list")
@format_option
def list_(output: str) -> None:
    """List the contexts; the one in use has a star."""
    contexts = Contexts.load()
    columns: dict[str, Any] = {
        "": lambda row: "*" if row[0] == contexts.current else "",
        "NAME": lambda row: row[0],
        "URL": lambda row: row[1].url,
        "TOKEN FROM": lambda row: row[1].token_env or "",
        "CA": lambda row: row[1].ca or "",
    }
    value = {"current": contexts.current, "contexts": {name: asdict(each) for name, each in contexts.known.items()}}
    show(value, columns, sorted(contexts.known.items()), output)


@context.command("set")
@click.argument("name")
@click.argument("url")
@click.option("--token-env", metavar="VARIABLE", help="Variable that holds the bearer token.")
@click.option("--ca", type=click.Path(exists=True, dir_okay=False, resolve_path=True), help="Certificate to trust.")
def set_(name: str, url: str, token_env: str | None, ca: str | None) -> None:
    """Add or change a context, and use it."""
    shown = Client(url).url
    if "@" in url:
        message = "A context stores no password: name a variable with --token-env, or set CONNECTORS_URL"
        raise CommandError(message, USAGE)
    contexts = Contexts.load()
    contexts.known[name] = Context(shown, token_env, ca)
    contexts.current = name
    contexts.save()
    click.echo(f"{name}: in use")


@context.command("use")
@click.argument("name")
def use(name: str) -> None:
    """Use a context from now on."""
    contexts = Contexts.load()
    _check(contexts, name)
    contexts.current = name
    contexts.save()
    click.echo(f"{name}: in use")


@context.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Forget a context."""
    contexts = Contexts.load()
    _check(contexts, name)
    del contexts.known[name]
    if contexts.current == name:
        contexts.current = None
    contexts.save()
    click.echo(f"{name}: removed")


@context.command("show")
def current() -> None:
    """Print the name of the context in use."""
    contexts = Contexts.load()
    if contexts.current is None:
        raise CommandError("No context is in use; `connectors context set NAME URL` makes one", NOT_FOUND)
    click.echo(contexts.current)


def _check(contexts: Contexts, name: str) -> None:
    if name not in contexts.known:
        known = ", ".join(sorted(contexts.known)) or "none"
        near = did_you_mean(name, contexts.known) or f"; there are {known}"
        raise CommandError(f"No context {name}{near}", NOT_FOUND)
