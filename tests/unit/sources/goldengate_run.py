"""Runs a GoldenGateTask on a directory, without Kafka, and keeps what Canal's consumers would."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import orjson

from connectors.api.record import SourceRecord, header_value
from connectors.formats.canal import changes_of
from connectors.sources.goldengate import GoldenGateTask


class Offsets:
    def __init__(self, stored: dict[str, Any] | None) -> None:
        self.stored = stored

    def offset(self, _partition: Any) -> dict[str, Any] | None:
        return self.stored


class Context:
    connector = "ogg"

    def __init__(self, stored: dict[str, Any] | None) -> None:
        # As it comes back from Kafka.
        self.offset_storage_reader = Offsets(None if stored is None else orjson.loads(orjson.dumps(stored)))


class Run:
    """A task and what came out of it."""

    made: ClassVar[list[Run]] = []

    def __init__(self, path: Path | str, stored: dict[str, Any] | None = None, **options: str) -> None:
        self.offset = stored
        self.records: list[SourceRecord] = []
        self.errant: list[SourceRecord] = []
        self.task = GoldenGateTask()
        self.task.initialize(Context(stored))  # type: ignore[arg-type]
        self.task.start({"goldengate.path": str(path)} | {name.replace("__", "."): v for name, v in options.items()})
        self.task._stopped.set()  # polls do not wait
        reader = self.task._files
        assert reader is not None
        self.reader = reader
        Run.made.append(self)

    def once(self) -> bool:
        """Poll once, as if a second had passed."""
        self.reader._scanned = 0.0
        batch = self.task.poll()
        for record in batch or ():
            if record.error is not None:
                self.errant.append(record)
            elif record.topic:
                self.records.append(record)
            if record.source_offset is not None:
                self.offset = dict(record.source_offset)
        return bool(batch)

    def drain(self) -> Run:
        while self.once():
            continue
        return self

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [orjson.loads(record.value) for record in self.records]

    @property
    def ts_us(self) -> list[int]:
        return [int(header_value(record.headers, "connect.ts_us") or 0) for record in self.records]

    def table(self, key: str = "AID") -> dict[str, dict[str, Any]]:
        """What a table holds after all changes, applied as a sink does."""
        rows: dict[str, dict[str, Any]] = {}
        for message in self.messages:
            for change in changes_of(message):
                if change.op == "DELETE":
                    rows.pop(change.row[key], None)
                else:
                    rows[change.row[key]] = rows.get(change.row[key], {}) | change.row
        return rows
