"""Loads `m.pojo`: INSERTs of all rows, UPDATEs of a tenth, DELETEs of a hundredth.

One row in a thousand also changes its style, which is part of the sinks' keys: there it has to move.

python -m examples.pojo.load --rows 100000
python -m examples.pojo.load --rows 5000 --first 1000000 --rate 500
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, TypeAlias, TypeVar

import pymysql
from pymysql.cursors import Cursor

from examples.pojo.pojo import Pojo, energy, now_ms, pojos, text_of
from examples.pojo.servers import Servers

__all__ = ["delete", "deleted", "insert", "insert_paced", "load", "move", "moved", "update", "updated"]

_COLUMNS: Final = "aid, astyle, aname, log_time, energy, age, astatus, tt, create_time, update_time"
_INSERT: Final = f"INSERT INTO m.pojo ({_COLUMNS}) VALUES ({', '.join(['%s'] * 10)})"
_UPDATE: Final = "UPDATE m.pojo SET aname = %s, energy = %s, log_time = %s, update_time = %s WHERE aid = %s"
# MySQL assigns from left to right: the style comes last, as the others are made from the old one.
_NEXT: Final = "MOD(RIGHT(astyle, 1) + 1, 5)"
_MOVE: Final = (
    f"UPDATE m.pojo SET astatus = CONCAT('0', {_NEXT}), age = GREATEST({_NEXT}, 1) * 13, log_time = %s,"
    f" update_time = %s, astyle = CONCAT('STYLE000-', {_NEXT}) WHERE aid = %s"
)
_DELETE: Final = "DELETE FROM m.pojo WHERE aid = %s"
_TICK_S: Final = 0.02

Connection: TypeAlias = "pymysql.Connection[Cursor]"
Report = Callable[[int], None]
T = TypeVar("T")


def _silent(_: int) -> None:
    return


def insert(connection: Connection, rows: Iterable[Pojo], *, transaction: int = 1000, report: Report = _silent) -> int:
    """Insert rows.

    Args:
        connection: Connection without autocommit.
        rows: The rows.
        transaction: Rows for each transaction.
        report: Told how many rows each commit added.

    Returns:
        How many rows were inserted.
    """
    return _in_transactions(connection, _INSERT, map(_values, rows), transaction, report)


def update(connection: Connection, numbers: Iterable[int], *, transaction: int = 500, report: Report = _silent) -> int:
    """Change name, energy and times of rows by their numbers; the other arguments are those of `insert`."""
    rng = random.Random(5)
    now = _later(connection)
    values = ((f"NAME-{i}-改", energy(rng), at_ms, text_of(at_ms), f"ID000-{i}") for i in numbers for at_ms in (now(),))
    return _in_transactions(connection, _UPDATE, values, transaction, report)


def move(connection: Connection, numbers: Iterable[int], *, transaction: int = 500, report: Report = _silent) -> int:
    """Give rows the next style; the arguments are those of `update`."""
    now = _later(connection)
    values = ((at_ms, text_of(at_ms), f"ID000-{i}") for i in numbers for at_ms in (now(),))
    return _in_transactions(connection, _MOVE, values, transaction, report)


def delete(connection: Connection, numbers: Iterable[int], *, transaction: int = 500, report: Report = _silent) -> int:
    """Delete rows by their numbers; the other arguments are those of `insert`."""
    return _in_transactions(connection, _DELETE, ((f"ID000-{i}",) for i in numbers), transaction, report)


def updated(first: int, count: int) -> Iterator[int]:
    """Return the numbers of the rows that are updated: a tenth."""
    return (i for i in range(first, first + count) if i % 10 == 3)


def moved(first: int, count: int) -> Iterator[int]:
    """Return the numbers of the rows that change their style: a thousandth, each after an update."""
    return (i for i in range(first, first + count) if i % 1000 == 3)


def deleted(first: int, count: int) -> Iterator[int]:
    """Return the numbers of the rows that are deleted: a hundredth, half of them after an update."""
    return (i for i in range(first, first + count) if i % 200 in (7, 53))


def load(connection: Connection, count: int, *, first: int = 0, report: Report = _silent) -> int:
    """Insert, update, move and delete; returns the number of row changes."""
    changes = insert(connection, pojos(count, first=first), report=report)
    changes += update(connection, updated(first, count), report=report)
    changes += move(connection, moved(first, count), report=report)
    return changes + delete(connection, deleted(first, count), report=report)


def insert_paced(
    connection: Connection,
    count: int,
    rate: float,
    *,
    first: int = 0,
    probe: Callable[[list[Pojo], float], None] = lambda rows, at: None,
    report: Report = _silent,
) -> float:
    """Insert rows at a steady rate, one transaction every 20 ms.

    Args:
        connection: Connection without autocommit.
        count: Number of rows.
        rate: Rows per second.
        first: Number of the first row.
        probe: Given the rows of each transaction and `time.monotonic()` as the commit was sent.
        report: Told how many rows each commit added.

    Returns:
        The rate reached.
    """
    started = time.monotonic()
    rows, done = pojos(0), 0
    while done < count:
        due = min(count, int((time.monotonic() - started + _TICK_S) * rate))
        if due > done:
            rows = pojos(due - done, seed=first + done, first=first + done)
            batch = list(rows)
            with connection.cursor() as cursor:
                cursor.executemany(_INSERT, [_values(row) for row in batch])
            at = time.monotonic()
            connection.commit()
            probe(batch, at)
            report(len(batch))
            done = due
        # Pacing, not waiting for something: the next transaction is due then.
        time.sleep(max(0.0, started + done / rate - time.monotonic()))
    return count / (time.monotonic() - started)


def _later(connection: Connection) -> Callable[[], int]:
    """Return a clock ahead of every row's time, so that an updated row is known by its times."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT COALESCE(MAX(log_time), 0) FROM m.pojo")
        (newest,) = cursor.fetchone() or (0,)
    return lambda: max(now_ms(), int(newest) + 1)


def _in_transactions(
    connection: Connection, sql: str, values: Iterator[tuple[Any, ...]], size: int, report: Report
) -> int:
    total = 0
    for batch in _chunks(values, size):
        with connection.cursor() as cursor:
            changed = cursor.executemany(sql, batch) or 0
        connection.commit()
        total += changed
        report(changed)
    return total


def _chunks(items: Iterator[T], size: int) -> Iterator[Sequence[T]]:
    while batch := list(islice(items, size)):
        yield batch


def _values(row: Pojo) -> tuple[Any, ...]:
    text = row.text
    return (
        row.aid, row.astyle, row.aname, row.at_ms, row.energy, row.age, row.astatus, row.tt, text, text,
    )  # fmt: skip


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Load the MySQL table m.pojo.")
    parser.add_argument("--rows", type=int, default=100_000, help="rows to insert (default 100000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first row (default 0)")
    parser.add_argument("--rate", type=float, help="insert at this rate, rows per second, and change nothing after")
    options = parser.parse_args()
    started = time.monotonic()
    with Servers.from_env().mysql() as connection:
        if options.rate:
            insert_paced(connection, options.rows, options.rate, first=options.first)
            changes = options.rows
        else:
            changes = load(connection, options.rows, first=options.first)
    seconds = time.monotonic() - started
    print(f"{changes:,} row changes in {seconds:.1f} s, {changes / seconds:,.0f}/s")


if __name__ == "__main__":
    main()
