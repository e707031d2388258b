"""Reads a directory of files into batches of messages, each with the offset behind it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from connectors.api.errors import DataError
from connectors.api.record import SourceRecord
from connectors.sources.goldengate.files import Directory, TrailFile
from connectors.sources.goldengate.framing import Piece, pieces, skip_blank
from connectors.sources.goldengate.messages import Messages

__all__ = ["FileReader"]

_CHUNK: Final = 1 << 18
_SCAN_S: Final = 1.0


class FileReader:
    """Reads files one after the other, each as far as it goes, in the order of their names.

    Args:
        directory: The files.
        messages: Makes messages of records.
        max_batch: Most operations of a batch, about; a transaction is not cut.
        transactional: Whether offsets stand between transactions only.
        max_record: A record of more bytes is a broken one.
        max_transaction: A transaction of more bytes is cut.
        partial_s: After this time without growth, and with a later file there, an incomplete last record is broken.
    """

    def __init__(
        self,
        directory: Directory,
        messages: Messages,
        *,
        max_batch: int,
        transactional: bool,
        max_record: int,
        max_transaction: int,
        partial_s: float,
    ) -> None:
        self._directory = directory
        self._messages = messages
        self._max_batch = max_batch
        self._transactional = transactional
        self._max_record = max_record
        self._max_transaction = max_transaction
        self._partial_s = partial_s
        self._files: list[TrailFile] = []
        self._scanned = 0.0
        # Size and time of the last change at which nothing more could be read of a file, and when that was.
        self._ended: dict[str, tuple[int, int, float]] = {}
        self._damaged: dict[str, int] = {}
        self._carried: tuple[str, int, bytes] = ("", 0, b"")

    def poll(self) -> list[SourceRecord]:
        """Return messages; none where nothing new is there.

        Raises:
            RetriableError: The directory is not there for now.
            FatalError: A file may not be read.
        """
        if time.monotonic() >= self._scanned + _SCAN_S:
            self._scan()
        records = self._first()
        if not records:
            self._scan()
            records = self._first()
        while records and len(records) < self._max_batch and (more := self._first()):
            records += more
        return records

    def close(self) -> None:
        """Close files."""
        self._directory.close()

    def skip_to_end(self) -> SourceRecord:
        """Leave out what the files hold now; returns a record that stores this."""
        for file in self._directory.scan():
            while data := self._directory.read(file, file.offset, _CHUNK):
                file.offset += len(data)
        return SourceRecord.heartbeat(self._messages.source_partition, self._offset())

    def _scan(self) -> None:
        self._files = self._directory.scan()
        self._scanned = time.monotonic()
        names = {file.name for file in self._files}
        self._ended = {name: ended for name, ended in self._ended.items() if name in names}

    def _first(self) -> list[SourceRecord]:
        for number, file in enumerate(self._files):
            size, modified, since = self._ended.get(file.name, (-1, 0, 0.0))
            stalled = size == file.size and modified == file.modified
            later = number + 1 < len(self._files)
            if self._damaged.get(file.name) == file.modified:
                continue
            given_up = stalled and later and time.monotonic() >= since + self._partial_s
            if stalled and not (given_up and file.offset < file.size and not file.compressed):
                continue
            records = self._read(file, final=given_up)
            if records:
                return records
        return []

    def _read(self, file: TrailFile, *, final: bool) -> list[SourceRecord]:
        name, start, buffer = self._carried
        if name != file.name or start != file.offset:
            buffer = b""
        while True:
            try:
                data = self._directory.read(file, file.offset + len(buffer), _CHUNK)
            except DataError as error:
                return [self._given_up(file, buffer, error)]
            buffer += data
            ended = len(data) < _CHUNK
            before = file.offset
            records = self._records(file, buffer, final=ended and (final or file.compressed))
            buffer = buffer[file.offset - before :]
            self._carried = (file.name, file.offset, buffer)
            if ended and not records:
                self._ended[file.name] = (file.size, file.modified, time.monotonic())
            if records or ended:
                return records

    def _records(self, file: TrailFile, buffer: bytes, *, final: bool) -> list[SourceRecord]:
        """Return the messages up to the last boundary, and move the file's offset there."""
        messages, start = self._messages, file.offset
        found: list[SourceRecord] = []
        kept, end, state = 0, 0, messages.state
        too_long = len(buffer) > self._max_transaction
        for piece in pieces(buffer, final=final, limit=self._max_record):
            found += self._piece(file.name, start, buffer, piece)
            if not self._transactional or too_long or self._ends(piece):
                kept, end, state = len(found), piece.end, messages.state
                if kept >= self._max_batch:
                    break
        del found[kept:]
        messages.state = state
        if end:
            file.offset = start + skip_blank(buffer, end)
            if found:
                found[-1].source_offset = self._offset()
            else:
                found.append(SourceRecord.heartbeat(messages.source_partition, self._offset()))
        return found

    def _piece(self, name: str, start: int, buffer: bytes, piece: Piece) -> list[SourceRecord]:
        place = f"{name}:{start + piece.start}"
        if piece.record is None:
            problem: Exception | str = piece.problem
        else:
            try:
                return self._messages.of(piece.record, place)
            except DataError as error:
                problem = error
        self._messages.ends_transaction = None
        told = DataError(f"{name} at byte {start + piece.start}: {problem}")
        raw = buffer[piece.start : piece.end]
        partition = self._messages.source_partition
        return [SourceRecord.errant(raw, told, position=place, source_partition=partition)]

    def _given_up(self, file: TrailFile, buffer: bytes, error: DataError) -> SourceRecord:
        """Leave a damaged file alone until it is written anew; returns the dead letter of what was not used of it."""
        self._damaged[file.name] = file.modified
        place = f"{file.name}:{file.offset}"
        return SourceRecord.errant(buffer, error, position=place, source_partition=self._messages.source_partition)

    def _ends(self, piece: Piece) -> bool:
        told = self._messages.ends_transaction
        return piece.last if told is None else told

    def _offset(self) -> Mapping[str, Any]:
        ts_us, pos = self._messages.state
        return {"files": self._directory.to_offset(), "ts_us": ts_us, "pos": pos}
