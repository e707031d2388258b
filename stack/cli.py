"""The command `python -m stack`: up, down, status, env."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable

import click
import psutil
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from stack import NAMES, StackError, environment, server, up

__all__ = ["main"]

_names = click.argument("names", nargs=-1, type=click.Choice(NAMES))
_STEPS = {"downloading": 10, "initialising": 50, "starting": 60, "running": 100}


@click.group()
def main() -> None:
    """Real servers as local processes: Kafka, MySQL, MariaDB, Redis, Cassandra, Kudu."""


@main.command("up")
@_names
def up_command(names: tuple[str, ...]) -> None:
    """Start servers (all, or those named) and wait until they answer."""
    chosen = names or NAMES
    begun = time.monotonic()
    try:
        _with_progress(chosen)
    except StackError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    click.echo(f"{len(chosen)} servers answer after {time.monotonic() - begun:.1f} s", err=True)


def _with_progress(names: tuple[str, ...]) -> None:
    console = Console(stderr=True)
    if not console.is_terminal:
        up(names, _line_by_line())
        return
    columns = (SpinnerColumn(), TextColumn("{task.fields[name]:10}"), BarColumn(20), TextColumn("{task.description}"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        bars = {name: progress.add_task("waiting", total=100, name=name) for name in names}
        up(names, _shown_in(progress, bars))


def _line_by_line() -> Callable[[str, str], None]:
    begun = time.monotonic()
    steps: dict[str, str] = {}

    def say(name: str, word: str) -> None:
        step = word.partition(", ")[0]
        if steps.get(name) != step:
            steps[name] = step
            click.echo(f"{time.monotonic() - begun:5.1f} s  {name}: {step}", err=True)

    return say


def _shown_in(progress: Progress, bars: dict[str, TaskID]) -> Callable[[str, str], None]:
    def say(name: str, word: str) -> None:
        step, _, rest = word.partition(", ")
        percent = float(rest[:-2]) / 100 if rest.endswith(" %") else 0.0
        progress.update(bars[name], description=word, completed=_STEPS.get(step, 0) + 40 * percent)

    return say


@main.command()
@_names
@click.option("--wipe", is_flag=True, help="Delete the servers' data too; downloads are kept.")
def down(names: tuple[str, ...], wipe: bool) -> None:
    """Stop servers (all, or those named) cleanly."""
    for name in names or NAMES:
        one = server(name)
        if one.pids():
            one.stop()
            click.echo(f"{name}: stopped", err=True)
        if wipe:
            one.wipe()


@main.command()
@_names
def status(names: tuple[str, ...]) -> None:
    """Show which servers answer; exit code 3 where one does not."""
    table = Table("server", "state", "pid", "memory", "ports")
    healthy = True
    for name in names or NAMES:
        one = server(name)
        pids = one.pids()
        answers = one.healthy()
        healthy &= answers
        state = "answers" if answers else "silent" if pids else "stopped"
        memory = sum(psutil.Process(pid).memory_info().rss for pid in pids) / 1e6
        ports = " ".join(f"{key}={port}" for key, port in one.ports.items())
        table.add_row(name, state, " ".join(map(str, pids)), f"{memory:.0f} MB" if pids else "", ports)
    Console().print(table)
    sys.exit(0 if healthy else 3)


@main.command()
@_names
@click.option("--format", "form", type=click.Choice(["shell", "json"]), default="shell", show_default=True)
def env(names: tuple[str, ...], form: str) -> None:
    """Print where servers are: eval "$(python -m stack env)"."""
    values = environment(names or NAMES)
    if form == "json":
        click.echo(json.dumps(values, indent=2))
    else:
        for key, value in values.items():
            click.echo(f"export {key}={shlex.quote(value)}")
