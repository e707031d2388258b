"""`connectors transform-test`: what a chain of transforms makes of records, without a worker."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import IO, Any

import click

from connectors.api.errors import ConfigError
from connectors.api.record import SinkRecord, SourceRecord
from connectors.cli.errors import USAGE, CommandError, refused
from connectors.cli.files import read
from connectors.cli.secret import scrub

__all__ = ["transform_test"]


@click.command("transform-test")
@click.argument("file", metavar="FILE")
@click.option(
    "-i",
    "--input",
    "records",
    type=click.File(),
    default="-",
    show_default=True,
    help="Records, one JSON object a line: a value, or {topic, key, value, headers, timestamp}.",
)
@click.option("--topic", default="topic", show_default=True, help="Topic of records that name none.")
def transform_test(file: str, records: IO[str], topic: str) -> None:
    """Run the transforms of a connector's FILE on records, and print what comes out, one JSON object a line.

    Records that a transform drops print as null. Nothing is sent anywhere.
    """
    from connectors.runtime.conversion import Chain
    from connectors.runtime.plugins import connector_class, kind_of
    from connectors.runtime.providers import resolve

    (deployment, *more) = read((file,))
    if more:
        raise CommandError(f"{file}: describes {len(more) + 1} connectors, one is needed", USAGE)
    try:
        props = resolve(deployment.config)
        kind = kind_of(connector_class(props.get("connector.class", "")))
        chain = Chain(props)
    except ConfigError as error:
        raise CommandError(f"{file}: {scrub(str(error), deployment.config)}", refused(str(error))) from None
    failed = 0
    for number, given in _given(records):
        record = _record(kind, given, topic)
        try:
            result = chain.apply(record)
        except Exception as error:  # whatever a transform raises is about this record
            failed += 1
            click.echo(f"line {number}: {type(error).__name__}: {error}", err=True)
            continue
        click.echo(json.dumps(None if result is None else _shown(result), default=str, ensure_ascii=False))
    if failed:
        raise CommandError(f"{failed} records failed")


def _given(records: Iterable[str]) -> Iterable[tuple[int, Any]]:
    for number, line in enumerate(records, 1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError as error:
                raise CommandError(f"line {number} is no JSON: {error}", USAGE) from None


def _record(kind: str, given: Any, topic: str) -> Any:
    whole = isinstance(given, dict) and "value" in given and given.keys() <= _FIELDS
    parts = given if whole else {"value": given}
    headers = [(name, str(value).encode()) for name, value in (parts.get("headers") or {}).items()]
    name, timestamp = parts.get("topic", topic), parts.get("timestamp", 0)
    if kind == "source":
        return SourceRecord(name, parts["value"], parts.get("key"), None, headers, timestamp)
    return SinkRecord(name, 0, 0, parts.get("key"), parts["value"], headers, timestamp, original_topic=name)


_FIELDS = {"topic", "key", "value", "headers", "timestamp"}


def _shown(record: SourceRecord | SinkRecord) -> dict[str, Any]:
    return {
        "topic": record.topic,
        "key": record.key,
        "value": record.value,
        "headers": {name: value.decode(errors="backslashreplace") for name, value in record.headers},
        "timestamp": record.timestamp_ms,
    }
