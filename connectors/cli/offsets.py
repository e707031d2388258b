"""`connectors offsets`: where connectors go on from."""

from __future__ import annotations

import json
from typing import Any

import click

from connectors.cli.client import Client
from connectors.cli.control import each
from connectors.cli.errors import USAGE, CommandError
from connectors.cli.output import format_option, show
from connectors.cli.selection import confirm, select, selection

__all__ = ["offsets"]


@click.group()
def offsets() -> None:
    """Show and change where connectors go on from.

    To change offsets a connector must be stopped: `connectors stop NAME`.
    """


@offsets.command("get")
@click.argument("name")
@format_option
@click.pass_obj
def get(client: Client, name: str, output: str) -> None:
    """Show a connector's offsets."""
    found = client.request("GET", client.of(name, "offsets"))
    columns: dict[str, Any] = {
        "PARTITION": lambda row: _text(row["partition"]),
        "OFFSET": lambda row: _text(row["offset"]),
    }
    show(found, columns, found["offsets"], output)


@offsets.command("set")
@click.argument("name")
@click.option("--topic", help="Sink: topic.")
@click.option("--partition", type=click.IntRange(min=0), help="Sink: partition.")
@click.option("--offset", type=click.IntRange(min=0), help="Sink: offset of the next record to read.")
@click.option("--source-partition", metavar="JSON", help="Source: partition as `offsets get` shows it.")
@click.option("--source-offset", metavar="JSON", help="Source: offset to go on after.")
@click.option("-f", "--file", type=click.File(), help="The output of `offsets get -o json`, edited; - for stdin.")
@click.option("--dry-run", is_flag=True, help="Show what would change.")
@click.pass_obj
def set_(client: Client, /, name: str, dry_run: bool, **given: Any) -> None:
    """Set offsets: one given by options, or those of a file."""
    wanted = _wanted(**given)
    if dry_run:
        known = client.request("GET", client.of(name, "offsets"))["offsets"]
        for entry in wanted:
            old = next((each["offset"] for each in known if each["partition"] == entry["partition"]), None)
            click.echo(f"{_text(entry['partition'])}: {_text(old)} -> {_text(entry['offset'])}")
        return
    click.echo(client.request("PATCH", client.of(name, "offsets"), {"offsets": wanted})["message"])


@offsets.command("reset")
@selection
@click.option("--dry-run", is_flag=True, help="Show what would be forgotten.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def reset(client: Client, names: tuple[str, ...], every: bool, failed: bool, dry_run: bool, yes: bool) -> None:
    """Forget all offsets: a source begins anew, a sink reads its topics from the start."""
    chosen = select(client, names, every=every, failed=failed)
    if dry_run:
        for name in chosen:
            for entry in client.request("GET", client.of(name, "offsets"))["offsets"]:
                click.echo(f"{name}: {_text(entry['partition'])}: {_text(entry['offset'])} -> none")
        return
    confirm(f"Reset the offsets of {', '.join(chosen)}", yes=yes)
    each(chosen, lambda name: client.request("DELETE", client.of(name, "offsets")), "offsets reset")


def _wanted(
    topic: str | None,
    partition: int | None,
    offset: int | None,
    source_partition: str | None,
    source_offset: str | None,
    file: Any,
) -> list[dict[str, Any]]:
    sink, source = (topic, partition, offset), (source_partition, source_offset)
    ways = [any(part is not None for part in way) for way in (sink, source, (file,))]
    if sum(ways) != 1:
        raise CommandError(
            "Give --topic, --partition and --offset; --source-partition and --source-offset; or -f", USAGE
        )
    if file is not None:
        entries = _json("the file", file.read())
        entries = entries.get("offsets") if isinstance(entries, dict) else entries
        if not isinstance(entries, list):
            raise CommandError('The file holds no {"offsets": [...]}', USAGE)
        return entries
    if None in (sink if ways[0] else source):
        raise CommandError(f"{'--topic, --partition and --offset' if ways[0] else '--source-*'} go together", USAGE)
    if ways[0]:
        place: Any = {"kafka_topic": topic, "kafka_partition": partition}
        return [{"partition": place, "offset": {"kafka_offset": offset}}]
    assert source_partition is not None
    assert source_offset is not None
    place = _json("--source-partition", source_partition)
    return [{"partition": place, "offset": _json("--source-offset", source_offset)}]


def _json(what: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise CommandError(f"{what} is no JSON: {error}", USAGE) from None


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
