"""Commands that look: list, plugins."""

from __future__ import annotations

from typing import Any

import click

from connectors.cli.client import Client
from connectors.cli.output import format_option, show

__all__ = ["list_connectors", "plugins"]


@click.command("list")
@format_option
@click.pass_obj
def list_connectors(client: Client, output: str) -> None:
    """List the connectors."""
    names = client.names()
    show(names, {"NAME": str}, names, output)


@click.command()
@format_option
@click.pass_obj
def plugins(client: Client, output: str) -> None:
    """List the connector classes that the worker knows."""
    found = client.request("GET", "/connector-plugins")
    columns: dict[str, Any] = {
        "CLASS": lambda row: row["class"],
        "TYPE": lambda row: row["type"],
        "VERSION": lambda row: row["version"],
    }
    show(found, columns, found, output)
