"""Where records begin and end in a file: a line each, several on a line, or one over many lines.

A broken record ends where the next line begins with `{`, so what follows it is read again. A record that only is not
complete yet is left for the next time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from connectors.api.errors import DataError
from connectors.formats.goldengate import raw_decode

__all__ = ["Piece", "pieces", "skip_blank"]

_BLANK: Final = re.compile(rb"[ \t\r\n]*")
_SPACE: Final = re.compile(r"[ \t\r]*")
_NEXT: Final = re.compile(rb"\n(?=\{)")
_BOM: Final = b"\xef\xbb\xbf"


class Piece(NamedTuple):
    """A record, or what cannot be read as one.

    Attributes:
        start: Where it begins in the buffer.
        end: Where it ends.
        record: The JSON object; None where it is broken.
        problem: Why it is broken, or an empty text.
        last: Whether nothing more stands on its last line.
    """

    start: int
    end: int
    record: dict[str, Any] | None
    problem: str
    last: bool


def pieces(buffer: bytes, *, final: bool, limit: int) -> Iterator[Piece]:
    """Cut a buffer that begins at a record's begin.

    Args:
        buffer: Bytes of the file.
        final: Whether nothing will follow, so that an incomplete record is a broken one.
        limit: A record of more bytes is a broken one.

    Returns:
        The pieces in order; what is behind the last one is not complete yet.
    """
    at = 3 if buffer.startswith(_BOM) else 0
    while True:
        at = skip_blank(buffer, at)
        if at >= len(buffer):
            return
        newline = buffer.find(b"\n", at)
        line_end = newline if newline >= 0 else len(buffer)
        done = at
        for piece in _line(buffer, at, line_end):
            yield piece
            done = piece.end
        at = skip_blank(buffer, done)
        if at >= line_end:
            continue
        broken = _long(buffer, at, line_end, final=final, limit=limit, complete=newline >= 0)
        if broken is None:
            return
        yield broken
        at = broken.end


def skip_blank(buffer: bytes, at: int) -> int:
    """Return where white space that begins at `at` ends."""
    match = _BLANK.match(buffer, at)
    return at if match is None else match.end()


def _line(buffer: bytes, start: int, end: int) -> Iterator[Piece]:
    """Return the whole records at the begin of a line."""
    data = buffer[start:end]
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        text = data[: error.start].decode()
    ascii_only = len(text) == len(data)
    index, at = 0, start
    while index < len(text):
        try:
            record, stop = raw_decode(text, index)
        except (ValueError, DataError, RecursionError):
            return
        if type(record) is not dict:
            return
        stop_space = _SPACE.match(text, stop).end()  # type: ignore[union-attr]
        size = stop - index if ascii_only else len(text[index:stop].encode())
        yield Piece(at, at + size, record, "", stop_space == len(text) and at + size <= end)
        at += size + stop_space - stop
        index = stop_space


def _long(buffer: bytes, start: int, line_end: int, *, final: bool, limit: int, complete: bool) -> Piece | None:
    """Return the record over several lines, or the broken piece, that begins at `start`; None: not complete yet."""
    next_line = _NEXT.search(buffer, max(start, line_end - 1)) if complete else None
    end = next_line.end() if next_line is not None else len(buffer)
    problem, fatal_at = "", start
    try:
        text = buffer[start:end].decode()
        record, stop = raw_decode(text, 0)
        if type(record) is dict:
            stop = start + len(text[:stop].encode())
            return Piece(start, stop, record, "", _ends_line(buffer, stop))
        problem = f"a JSON object is needed, not {type(record).__name__}"
    except UnicodeDecodeError as error:
        problem, fatal_at = f"no UTF-8: {error.reason}", start + error.start
        cut = len(buffer) - error.end < 1 and end == len(buffer) and "unexpected end" in error.reason
        fatal_at = len(buffer) if cut else fatal_at
    except json.JSONDecodeError as error:
        problem = f"malformed JSON: {error.msg}"
        more = error.msg.startswith("Unterminated string") or not text[error.pos :].strip()
        fatal_at = len(buffer) if more else start + len(text[: error.pos].encode())
    except (DataError, ValueError, RecursionError) as error:
        problem = f"malformed JSON: {error}"
    if next_line is None and not final:
        too_long = len(buffer) - start > limit
        # More bytes can still make it whole, unless the error lies before the last complete line's end.
        last_line = buffer.rfind(b"\n", start) + 1
        if not too_long and (not complete or fatal_at >= last_line):
            return None
        end = last_line or len(buffer)
        problem = f"longer than {limit} bytes; {problem}" if too_long else problem
    return Piece(start, end, None, problem, last=True)


def _ends_line(buffer: bytes, at: int) -> bool:
    rest = buffer[at : at + 2].lstrip(b" \t\r")
    return not rest or rest.startswith(b"\n")
