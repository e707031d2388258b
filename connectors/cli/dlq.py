"""`connectors dlq`: what could not be handled, why, and once more."""

from __future__ import annotations

import base64
from itertools import islice
from typing import Any

import click

from connectors.api.errors import ConfigError
from connectors.cli.client import Client
from connectors.cli.dead_letters import Letter, Topic
from connectors.cli.errors import NOT_FOUND, USAGE, CommandError
from connectors.cli.output import format_option, show
from connectors.cli.selection import confirm
from connectors.clients.kafka import KafkaSettings

__all__ = ["dlq"]

_OPTION = "errors.deadletterqueue.topic.name"
_CHUNK = 10_000
_WIDTH = 80

_target = click.argument("name", metavar="CONNECTOR")
_topic = click.option("--topic", is_flag=True, help="The argument is the name of a dead-letter topic.")


@click.group()
def dlq() -> None:
    """Look at dead letters, and send them back.

    Talks to Kafka itself, by KAFKA_BOOTSTRAP_SERVERS or the other variables of a worker.
    """


@dlq.command("list")
@format_option
@click.pass_obj
def list_(client: Client, output: str) -> None:
    """List connectors that have a dead-letter topic, with the number of letters there."""
    settings = _settings()
    rows = []
    for name, entry in sorted(client.request("GET", "/connectors?expand=info").items()):
        topic = entry["info"]["config"].get(_OPTION)
        if topic:
            rows.append({"connector": name, "topic": topic, "letters": _count(Topic(topic, settings))})
    columns: dict[str, Any] = {
        "CONNECTOR": lambda row: row["connector"],
        "TOPIC": lambda row: row["topic"],
        "LETTERS": lambda row: row["letters"],
    }
    show(rows, columns, rows, output)


@dlq.command("show")
@_target
@_topic
@click.option("-n", "--count", type=click.IntRange(min=1), default=20, show_default=True, help="How many of the last.")
@format_option
@click.pass_obj
def show_(client: Client, name: str, topic: bool, count: int, output: str) -> None:
    """Show the last dead letters of a connector."""
    letters = _of(client, name, topic=topic).last(count)
    columns: dict[str, Any] = {
        "OFFSET": lambda letter: f"{letter.partition}@{letter.offset}",
        "RECORD": lambda letter: letter.origin,
        "STAGE": lambda letter: letter.context.get("stage", ""),
        "WHY": lambda letter: letter.context.get("exception.message", "").partition("\n")[0],
        "VALUE": lambda letter: _short(letter.value),
    }
    show([_plain(letter) for letter in letters], columns, letters, output)


@dlq.command("replay")
@_target
@_topic
@click.option("--to", metavar="TOPIC", help="Send to this topic instead of the one that each came from.")
@click.option("--match", metavar="TEXT", help="Only letters whose error has this text; the others are passed over.")
@click.option("--limit", type=click.IntRange(min=1), help="At most this many.")
@click.option("--dry-run", is_flag=True, help="Say how many, and send nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def replay(
    client: Client,
    name: str,
    topic: bool,
    to: str | None,
    match: str | None,
    limit: int | None,
    dry_run: bool,
    yes: bool,
) -> None:
    """Send dead letters back to the topics that they came from, as they were.

    Every reader of those topics sees them again. What was replayed once is not replayed again.
    """
    source = _of(client, name, topic=topic)
    if dry_run:
        count = sum(1 for _ in islice(_meant(source, match), limit))
        click.echo(f"{count} letters of {source.name} would be sent")
        return
    confirm(f"Send the letters of {source.name} back", yes=yes)
    total, rest = 0, limit
    letters = source.unreplayed()
    while chunk := list(islice(letters, _CHUNK if rest is None else min(_CHUNK, rest))):
        meant = [letter for letter in chunk if _matches(letter, match)]
        total += source.replay(meant, to)
        source.mark_replayed(chunk)
        if rest is not None:
            rest -= len(chunk)
    click.echo(f"{total} letters of {source.name} sent")


def _of(client: Client, name: str, *, topic: bool) -> Topic:
    if not topic:
        found = client.request("GET", client.of(name, "config")).get(_OPTION)
        if not found:
            raise CommandError(f"{name} has no dead-letter topic: set {_OPTION}", NOT_FOUND)
        name = found
    return Topic(name, _settings())


def _settings() -> KafkaSettings:
    try:
        return KafkaSettings.from_env()
    except ConfigError as error:
        raise CommandError(str(error), USAGE) from None


def _count(topic: Topic) -> int:
    try:
        return sum(high - low for low, high in topic.ends().values())
    except CommandError as error:
        if error.exit_code != NOT_FOUND:
            raise
        return 0


def _meant(source: Topic, match: str | None) -> Any:
    return (letter for letter in source.unreplayed() if _matches(letter, match))


def _matches(letter: Letter, match: str | None) -> bool:
    return match is None or match in letter.context.get("exception.message", "")


def _short(value: bytes | None) -> str:
    if value is None:
        return "(tombstone)"
    text = value.decode(errors="backslashreplace")
    return text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"


def _plain(letter: Letter) -> dict[str, Any]:
    return {
        "partition": letter.partition,
        "offset": letter.offset,
        "timestamp_ms": letter.timestamp_ms,
        "errors": dict(letter.context),
        "headers": {name: _text(value) for name, value in letter.headers},
        "key": _text(letter.key),
        "value": _text(letter.value),
    }


def _text(value: bytes | None) -> str | dict[str, str] | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode()}
