"""The parts of `AsyncCassandraRequest` that need no server."""

from __future__ import annotations

import asyncio
from datetime import UTC, timedelta, timezone
from typing import Any

import pytest

from agents.functions.cassandra import AsyncCassandraRequest
from agents.functions.cassandra.texts import Renderer
from agents.functions.cassandra.turns import Clock, Turns
from agents.message import Message
from connectors.api.errors import ConfigError, DataError

UPSERT: dict[str, Any] = {"mode": "upsert", "table": "k.t", "mapping": "a = value.a"}
LOOKUP: dict[str, Any] = {"mode": "lookup", "table": "k.t", "key": {"a": "a"}, "columns": {"b": "b"}}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (UPSERT | {"mode": "upser"}, "did you mean upsert?"),
        (UPSERT | {"table": "t"}, "'t' is not keyspace.table"),
        (UPSERT | {"mapping": None}, "needs the option mapping"),
        (UPSERT | {"mapping": "a"}, "cannot read 'a'"),
        (UPSERT | {"mapping": "a = now()"}, "use generate: {a: change_time}"),
        (UPSERT | {"mapping": "a = key.b"}, "cannot take a field of the key"),
        (UPSERT | {"generate": {"a": "now"}}, "is not change_time or value.<field>"),
        (UPSERT | {"read": "never"}, "'never' is not always or updates"),
        (UPSERT | {"delete_after_s": -1}, "negative"),
        (UPSERT | {"keep": "a"}, "are lists"),
        (UPSERT | {"key": {"a": "a"}}, "Option key does not belong to mode upsert"),
        (UPSERT | {"time_zone": "Mars"}, "time_zone"),
        (UPSERT | {"emit_as": "txt"}, "did you mean text?"),
        (UPSERT | {"batch": "all"}, "Option batch"),
        (UPSERT | {"consistency": "QUORUMS"}, "did you mean QUORUM?"),
        (LOOKUP | {"key": None}, "needs the options key and columns"),
        (LOOKUP | {"on_miss": "skip"}, "'skip' is not keep, drop, error"),
        (LOOKUP | {"on_miss": {"c": 1}}, "c is not among columns"),
        (LOOKUP | {"keep": ["a"]}, "Option keep does not belong to mode lookup"),
    ],
)
def test_options_are_checked(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        AsyncCassandraRequest(**options)
    assert text in str(caught.value)


async def test_one_turn_at_a_time_for_a_key() -> None:
    turns = Turns()
    log: list[str] = []
    gate = asyncio.Event()

    async def work(name: str, *keys: str) -> None:
        async with turns.turn(*keys):
            log.append(f"{name}+")
            await gate.wait()
            log.append(f"{name}-")

    tasks = [asyncio.create_task(work(*given)) for given in (("1", "a"), ("2", "a", "b"), ("3", "b"), ("4", "c"))]
    await asyncio.sleep(0)
    assert log == ["1+", "4+"]
    gate.set()
    await asyncio.gather(*tasks)
    alone = [entry for entry in log if entry[0] != "4"]
    assert alone == ["1+", "1-", "2+", "2-", "3+", "3-"]
    assert turns._last == {}


async def test_a_failed_or_cancelled_turn_lets_the_next_one_go() -> None:
    turns = Turns()

    async def fail() -> None:
        async with turns.turn("a"):
            await asyncio.sleep(0)
            raise DataError("bad")

    async def hang() -> None:
        async with turns.turn("a"):
            await asyncio.Event().wait()

    failing, hanging = asyncio.create_task(fail()), asyncio.create_task(hang())
    last = asyncio.create_task(fail())
    with pytest.raises(DataError):
        await failing
    await asyncio.sleep(0)
    hanging.cancel()
    with pytest.raises(DataError):
        await asyncio.wait_for(last, 5)
    assert turns._last == {}


def message(offset: int, timestamp_ms: int, ts_us: int | None = None) -> Message:
    headers = [] if ts_us is None else [("connect.ts_us", b"%d" % ts_us)]
    return Message("t", 0, offset, None, b"{}", {}, headers, timestamp_ms)


def test_the_order_of_records() -> None:
    clock = Clock()
    assert clock.order_of(message(0, 5, ts_us=77)) == 77
    first, second = message(10, 5), message(12, 5)
    assert [clock.order_of(first), clock.order_of(second)] == [5000, 5002]
    assert [clock.order_of(second), clock.order_of(first)] == [5002, 5000]  # a retry gets the same order
    assert clock.order_of(message(13, 6)) == 6000
    assert clock.order_of(message(11, 5)) == 5000
    assert clock.order_of(message(5000, 6)) == 6999


def test_times_in_messages() -> None:
    shanghai = timezone(timedelta(hours=8))
    millis = 1574388000123
    assert Renderer(shanghai, "text").time(millis) == "2019-11-22 10:00:00.123"
    assert Renderer(shanghai, "iso").time(millis) == "2019-11-22T10:00:00.123+08:00"
    assert Renderer(shanghai, "millis").time(millis) == millis
    assert Renderer(UTC, "text").time(-1) == "1969-12-31 23:59:59.999"
    with pytest.raises(DataError, match="beyond the years"):
        Renderer(UTC, "text").time(10**17)
    assert Renderer(UTC, "text").value(b"\xff", "blob") == "\xff"
