"""Pieces of the source code that decoders are generated in."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["indented", "json_object"]


def json_object(entries: Iterable[tuple[str, str]]) -> str:
    """Return an f-string that is a JSON object, without its quotes, which are single ones.

    Args:
        entries: Names as JSON strings, and for each the piece of an f-string that gives its value.
    """
    pieces = []
    for name, value in entries:
        literal = name.replace("\\", "\\\\").replace("'", "\\'").replace("{", "{{").replace("}", "}}")
        pieces.append(f"{literal}:{value}")
    return "{{" + ",".join(pieces) + "}}"


def indented(lines: Iterable[str], levels: int) -> list[str]:
    """Return the lines, so many levels deep."""
    return ["    " * levels + line for line in lines]
