"""Results on stdout: a table for people, JSON or YAML for programs."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

__all__ = ["format_option", "show", "style", "table"]

format_option = click.option(
    "-o", "--output", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True, help="Format."
)

_COLOURS = {
    "RUNNING": "green",
    "HEALTHY": "green",
    "DEGRADED": "yellow",
    "PAUSED": "yellow",
    "STOPPED": "yellow",
    "UNASSIGNED": "yellow",
    "FAILED": "red",
}


def show(value: Any, columns: dict[str, Any], rows: list[Any], output: str) -> None:
    """Print a result.

    Args:
        value: What JSON and YAML hold.
        columns: For the table: heading to a function that gives a row's cell.
        rows: The table's rows.
        output: `table`, `json` or `yaml`.
    """
    if output == "json":
        click.echo(json.dumps(value, indent=2))
    elif output == "yaml":
        from ruamel.yaml import YAML  # slow to import, and seldom needed

        YAML(typ="safe", pure=True).dump(value, sys.stdout)
    else:
        _table(columns, rows)


def style(state: str) -> str:
    """Return a state's name in its colour; click leaves colours out where nobody sees them."""
    return click.style(state, fg=_COLOURS.get(state))


def table(columns: dict[str, Any], rows: list[Any]) -> Any:
    """Return rich's table of rows; the arguments are those of `show`."""
    from rich.table import Table
    from rich.text import Text

    made = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        cells = [str(cell(row)) for cell in columns.values()]
        made.add_row(*(Text(text, style=_COLOURS.get(text.partition(" ")[0], "")) for text in cells))
    return made


def _table(columns: dict[str, Any], rows: list[Any]) -> None:
    from rich.console import Console

    console = Console()
    # A table in a pipe is never folded.
    piped = not console.is_terminal
    console.print(table(columns, rows), width=500 if piped else None, no_wrap=piped, soft_wrap=False)
