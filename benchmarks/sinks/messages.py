"""The rows of the benchmark, as Canal messages of the job's table and as what the baselines write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

from examples.pojo.pojo import Pojo, pojos, text_of

__all__ = ["FIRST_MS", "canal_message", "canal_rows", "rows"]

FIRST_MS: Final = 1_574_388_000_000
"""Time of the first row, milliseconds since 1970; each row is a millisecond later than the one before."""

_TYPES: Final = {"aid": "varchar(64)", "log_time": "bigint", "energy": "decimal(20,2)", "age": "int"}


def rows(count: int, *, hot: bool = False) -> Iterator[Pojo]:
    """Make rows: of a partition each, or all of one."""
    for made in pojos(count):
        at_ms = FIRST_MS + made.i
        yield Pojo(0, 0, made.energy, at_ms) if hot else Pojo(made.i, made.style, made.energy, at_ms)


def canal_rows(count: int, *, hot: bool = False) -> Iterator[tuple[bytes, bytes]]:
    """Make keys and values of Kafka records, a message for each row."""
    for row in rows(count, hot=hot):
        yield row.aid.encode(), canal_message([row])


def canal_message(made: list[Pojo]) -> bytes:
    """Return the Canal message of an INSERT."""
    return orjson.dumps(
        {
            "data": [_columns(row) for row in made],
            "database": "m",
            "es": made[0].at_ms,
            "id": made[0].i,
            "isDdl": False,
            "mysqlType": _TYPES,
            "old": None,
            "pkNames": ["aid"],
            "sql": "",
            "sqlType": {},
            "table": "pojo",
            "ts": made[0].at_ms,
            "type": "INSERT",
        }
    )


def _columns(row: Pojo) -> dict[str, Any]:
    text = text_of(row.at_ms)
    times = ("create_time", "update_time", "ts_create_time", "ts_update_time", "sys_update_time", "sys_create_time")
    return {
        "aid": row.aid,
        "astyle": row.astyle,
        "aname": row.aname,
        "log_time": str(row.at_ms),
        "energy": str(row.energy),
        "age": str(row.age),
        "astatus": row.astatus,
        **dict.fromkeys(times, text),
    }
