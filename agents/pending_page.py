"""What a worker is working on: its requests, oldest first."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import islice
from typing import Any

from agents.request import ROW_NONE, Request
from agents.stage import Stage

__all__ = ["as_html", "requests"]


def requests(stages: Iterable[Stage], limit: int) -> list[dict[str, Any]]:
    """Return the requests whose outputs are not delivered, oldest first.

    Args:
        stages: The stages of a worker.
        limit: Most requests of the answer.
    """
    found = [
        _row(stage, request)
        for stage in stages
        for part in stage.partitions.values()
        for request in islice(part.ledger.requests(), limit)
    ]
    return sorted(found, key=lambda row: -float(row["age_s"]))[:limit]


def as_html(rows: list[dict[str, Any]]) -> str:
    """Return a page with a table of requests."""
    columns = ("stage", "place", "age_s", "attempts", "function", "row")
    head = "".join(f"<th>{name}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(row[name]))}</td>' for name in columns)}</tr>" for row in rows)
    return (
        "<!doctype html><title>Pending requests</title>"
        "<style>body{font:14px system-ui;margin:2em}td,th{padding:.2em .8em;text-align:left}</style>"
        f"<h1>Pending requests</h1><p>{len(rows)} shown, oldest first</p><table><tr>{head}</tr>{body}</table>"
    )


def _row(stage: Stage, request: Request) -> dict[str, Any]:
    message = request.message
    return {
        "stage": stage.config.name,
        "place": f"{message.topic}-{message.partition}@{message.offset}",
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "age_s": round(stage.age_s(request), 3),
        "attempts": request.attempt if request.entry is None else max(request.entry.attempt, 0),
        "function": stage.operator.name,
        "row": request.row != ROW_NONE,
    }
