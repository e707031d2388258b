"""Writes GoldenGate's JSON after the documented shapes, so that the source can be tried without Oracle.

    python -m examples.goldengate.trails DIRECTORY [--records 10000] [--format op|row] [--mode op|tx]
        [--layout line|pretty|none] [--files 3] [--gzip]

The operations are those of a shop's orders: inserts, updates, updates of the key, deletes.
"""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import click

__all__ = ["Shop", "Style", "Trail", "write"]

Row = dict[str, Any]
FormatName = Literal["op", "row"]
Layout = Literal["line", "pretty", "none"]
_UNQUOTED: Final = re.compile(r'"<([-+.\dE]+)>"')
_BEGAN: Final = datetime(2024, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)


class Digits(str):
    """A number that is written with its own digits, as GoldenGate does; `json` would write 0.5 for 0.50."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Style:
    """How operations are written.

    Attributes:
        format: `op` for images under before and after, `row` for columns beside the meta columns.
        layout: A record a line, a record over several lines, or nothing between records.
        full: Whether updates carry both whole images, or only the key and what changed.
        keys: Whether `primary_keys` is written.
        tokens: Whether `tokens` is written.
        txind: Whether the transaction indicator is written.
    """

    format: FormatName = "op"
    layout: Layout = "line"
    full: bool = True
    keys: bool = True
    tokens: bool = False
    txind: bool = False


@dataclass(slots=True)
class Trail:
    """Writes operations as a replicat's formatter does.

    Attributes:
        style: How.
        table: Full name of the table.
        key: Its key columns.
    """

    style: Style
    table: str = "SALES.ORDERS"
    key: tuple[str, ...] = ("AID",)
    _rba: int = 2000
    _number: int = 0

    def operation(self, op: str, before: Row | None, after: Row | None, *, txind: str = "W", xid: str = "1.2.3") -> str:
        """Return the text of one operation, without what separates it from the next."""
        self._rba += 137
        self._number += 1
        moment = _BEGAN + timedelta(milliseconds=self._number)
        record: Row = {
            "table": self.table,
            "op_type": op,
            "op_ts": moment.strftime("%Y-%m-%d %H:%M:%S.%f"),
            "current_ts": (moment + timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S.%f"),
            "pos": f"{2:010d}{self._rba:010d}",
        }
        if self.style.keys:
            record["primary_keys"] = list(self.key)
        if self.style.tokens:
            record["tokens"] = {"TK-KEY": ",".join(self.key), "txid": xid}
        if self.style.txind:
            record["txind"] = txind
        indent = 4 if self.style.layout == "pretty" else None
        return _UNQUOTED.sub(r"\1", json.dumps(record | self._images(op, before, after), indent=indent))

    def _images(self, op: str, before: Row | None, after: Row | None) -> Row:
        if op == "T":
            return {}
        if self.style.format == "row":
            return _written((before if op == "D" else after) or {})
        if op == "U" and not self.style.full and before and after:
            changed = {name for name in after if before[name] != after[name]}
            before = {name: before[name] for name in before if name in self.key or name in changed}
            after = {name: after[name] for name in after if name in self.key or name in changed}
        return {name: _written(image) for name, image in (("before", before), ("after", after)) if image is not None}

    def transaction(self, operations: Iterable[tuple[str, Row | None, Row | None]]) -> str:
        """Return all operations of a transaction one after the other, as `mode=tx` writes them."""
        listed = list(operations)
        last = len(listed) - 1
        texts = []
        for number, (op, before, after) in enumerate(listed):
            txind = "W" if last == 0 else "B" if number == 0 else "E" if number == last else "M"
            texts.append(self.operation(op, before, after, txind=txind))
        return "".join(texts)


@dataclass(slots=True)
class Shop:
    """Makes operations at random and keeps what the table holds after them.

    Attributes:
        seed: The same seed makes the same operations.
        rows: The table, by key.
    """

    seed: int = 1
    key_updates: bool = True
    rows: dict[str, Row] = field(default_factory=dict)
    _made: int = 0
    _random: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        """Set the seed."""
        self._random.seed(self.seed)

    def operations(self, count: int) -> Iterator[tuple[str, Row | None, Row | None]]:
        """Return operations as op_type, before, after."""
        for _ in range(count):
            yield self._one()

    def _one(self) -> tuple[str, Row | None, Row | None]:
        draw = self._random.random()
        if len(self.rows) < 10 or draw < 0.5:
            row = self._row()
            self.rows[row["AID"]] = row
            return "I", None, row
        # The latest rows change most; a list of all keys at each step would be slow.
        aid = f"ID-{self._random.randrange(max(0, self._made - 50), self._made)}"
        if aid not in self.rows:
            aid = next(iter(self.rows))
        before = self.rows.pop(aid)
        if draw < 0.6:
            return "D", before, None
        after = before | {
            "ENERGY": self._energy(),
            "ANAME": self._random.choice(["Ümlaut", "名前", 'a"b', "x{y", None]),
        }
        if self.key_updates and draw < 0.65:
            after |= {"AID": self._next()}
        self.rows[after["AID"]] = after
        return "U", before, after

    def _next(self) -> str:
        self._made += 1
        return f"ID-{self._made - 1}"

    def _energy(self) -> Digits:
        return Digits(f"{self._random.randrange(10**6)}.{self._random.randrange(100):02d}")

    def _row(self) -> Row:
        number = self._made
        return {
            "AID": self._next(),
            "ANAME": f"NAME-{number}",
            "ASTYLE": f"STYLE-{number % 5}",
            "ENERGY": self._energy(),
            "AGE": number % 80,
            "TT": "2024-01-02 03:04:05.000000000",
            "LOG_TIME": 1_700_000_000_000 + number,
            "CREATE_TIME": "2024-01-02 03:04:05.006",
            "UPDATE_TIME": None if number % 7 == 0 else "2024-01-02 03:04:05.006",
            "ASTATUS": f"0{number % 5}",
        }


def _written(image: Row) -> Row:
    return {name: f"<{value}>" if isinstance(value, Digits) else value for name, value in image.items()}


def write(directory: Path, texts: list[str], layout: Layout = "line", files: int = 1, *, compress: bool = False) -> int:
    """Write texts of records to rolling files; returns the bytes written, uncompressed."""
    separator = "" if layout == "none" else "\n"
    share = -(-len(texts) // files)
    total = 0
    for number in range(files):
        data = "".join(text + separator for text in texts[number * share : (number + 1) * share]).encode()
        path = directory / f"SALES.ORDERS_{number:06d}.json{'.gz' if compress else ''}"
        path.write_bytes(gzip.compress(data) if compress else data)
        total += len(data)
    return total


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--records", default=10_000, help="Operations.")
@click.option("--format", "format_name", type=click.Choice(["op", "row"]), default="op")
@click.option("--mode", type=click.Choice(["op", "tx"]), default="op", help="tx: ten operations a record.")
@click.option("--layout", type=click.Choice(["line", "pretty", "none"]), default="line")
@click.option("--files", default=3)
@click.option("--gzip", "compress", is_flag=True)
def main(
    directory: Path, records: int, format_name: FormatName, mode: str, layout: Layout, files: int, compress: bool
) -> None:
    """Write a sample trail into DIRECTORY."""
    directory.mkdir(parents=True, exist_ok=True)
    trail = Trail(Style(format_name, layout))
    made = list(Shop(key_updates=format_name == "op").operations(records))
    if mode == "tx":
        texts = [trail.transaction(made[start : start + 10]) for start in range(0, len(made), 10)]
    else:
        texts = [trail.operation(*each) for each in made]
    size = write(directory, texts, layout, files, compress=compress)
    click.echo(f"{records} operations, {size} bytes in {files} files under {directory}")


if __name__ == "__main__":
    main()
