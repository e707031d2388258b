"""`connectors describe`: everything about connectors in one place."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from connectors.cli.client import Client
from connectors.cli.errors import NOT_FOUND, CommandError, NoWorkerError, summarise
from connectors.cli.output import format_option, style
from connectors.cli.secret import hide
from connectors.cli.selection import select, selection
from connectors.cli.waiting import reason

__all__ = ["describe"]


@click.command()
@selection
@format_option
@click.pass_obj
def describe(client: Client, names: tuple[str, ...], every: bool, failed: bool, output: str) -> None:
    """Show state, tasks, configuration, topics and offsets; secrets are hidden."""
    found, failures = [], []
    for name in select(client, names, every=every, failed=failed):
        try:
            found.append(_about(client, name))
        except NoWorkerError:
            raise
        except CommandError as error:
            failures.append(error)
    if output == "table":
        for number, each in enumerate(found):
            click.echo("\n" * (number > 0), nl=False)
            _print(each)
    elif output == "json":
        click.echo(json.dumps(found, indent=2))
    elif found:
        from ruamel.yaml import YAML  # slow to import, and seldom needed

        YAML(typ="safe", pure=True).dump(found, sys.stdout)
    summarise(failures, len(found) + len(failures))


def _about(client: Client, name: str) -> dict[str, Any]:
    status = client.request("GET", client.of(name, "status"))
    config = hide(client.request("GET", client.of(name, "config")))
    topics = client.request("GET", client.of(name, "topics"))[name]["topics"]
    return {**status, "config": config, "topics": topics, "offsets": _offsets(client, name)}


def _offsets(client: Client, name: str) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = client.request("GET", client.of(name, "offsets"))["offsets"]
    except CommandError as error:
        if error.exit_code != NOT_FOUND:
            raise
        return []  # deleted meanwhile
    return found


def _print(each: dict[str, Any]) -> None:
    parts = [("connector", each["connector"]), *((f"task {task['id']}", task) for task in each["tasks"])]
    health = each.get("health")
    click.echo(f"{each['name']} ({each['type']}){f', {health}' if health else ''}")
    for part, state in parts:
        why = reason(state.get("trace", ""))
        click.echo(f"  {part}: {style(state['state'])} on {state['worker_id']}{f': {why}' if why else ''}")
    for heading, lines in (
        ("configuration", [f"{key} = {value}" for key, value in sorted(each["config"].items())]),
        ("topics", each["topics"]),
        ("offsets", [f"{_text(entry['partition'])}: {_text(entry['offset'])}" for entry in each["offsets"]]),
    ):
        click.echo(f"  {heading}:{'' if lines else ' none'}")
        for line in lines:
            click.echo(f"    {line}")


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
