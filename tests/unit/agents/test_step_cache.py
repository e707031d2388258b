"""The cache of a step: columns of one message used again for another."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents.async_io import unordered_wait
from agents.async_io.function import as_async_function
from agents.config_options import CacheConfig
from agents.message import Message
from agents.step_cache import cached_step
from agents.steps import Steps


def message(value: dict[str, Any], offset: int = 0) -> Message:
    return Message.decode("t", 0, offset, None, json.dumps(value).encode(), [], 0)


class Names:
    """Looks styles up; counts."""

    def __init__(self, **found: str) -> None:
        self.found, self.calls = found, 0

    async def __call__(self, message: Message) -> list[Message]:
        self.calls += 1
        for row in message.rows:
            row["name"] = self.found.get(row["style"])
        return [message]


async def run(function: Any, values: list[dict[str, Any]], stream_of: Any, **options: Any) -> list[dict[str, Any]]:
    config = CacheConfig(**{"key": ["style"], "columns": ["name"], "ttl_s": 60, **options})
    steps = Steps([cached_step(as_async_function(function), config)])
    stream = stream_of([message(value, offset) for offset, value in enumerate(values)], every_s=1)
    return [one.value async for one in unordered_wait(stream, steps, timeout_s=9)]


def test_columns_are_set_in_the_message_at_hand(virtual, stream_of) -> None:
    names = Names(a="Alpha")
    out = virtual(run(names, [{"style": "a", "n": 1}, {"style": "a", "n": 2}], stream_of))
    assert out == [{"style": "a", "n": 1, "name": "Alpha"}, {"style": "a", "n": 2, "name": "Alpha"}]
    assert names.calls == 1


def test_rows_of_a_canal_message_have_their_own_columns(virtual, stream_of) -> None:
    def change(*styles: str, kind: str = "INSERT") -> dict[str, Any]:
        rows = [{"style": style, "name": None} for style in styles]
        return {"type": kind, "database": "d", "table": "t", "data": rows, "isDdl": False}

    names = Names(a="Alpha", b="Beta")
    changes = [change("a", "b"), change("a", "b"), change("b", "a"), change("a", "b", kind="DELETE")]
    out = virtual(run(names, changes, stream_of))
    assert [[row["name"] for row in one["data"]] for one in out] == [
        ["Alpha", "Beta"],
        ["Alpha", "Beta"],
        ["Beta", "Alpha"],
        ["Alpha", "Beta"],
    ]
    assert names.calls == 3, "other rows and another kind of change are other keys"


@pytest.mark.parametrize("value", [{"n": 1}, {"style": ["list"]}])
def test_message_without_a_usable_key_is_not_cached(value, virtual, stream_of) -> None:
    calls = 0

    async def function(message: Message) -> list[Message]:
        nonlocal calls
        calls += 1
        return [message]

    virtual(run(function, [value, value], stream_of))
    assert calls == 2


@pytest.mark.parametrize(("negative_ttl_s", "calls"), [(0, 3), (None, 1)])
def test_miss_has_an_age_of_its_own(negative_ttl_s, calls, virtual, stream_of) -> None:
    names = Names()
    virtual(run(names, [{"style": "x"}] * 3, stream_of, negative_ttl_s=negative_ttl_s))
    assert names.calls == calls


def test_dropped_message_is_dropped_again(virtual, stream_of) -> None:
    calls = 0

    async def drop(message: Message) -> list[Message]:
        nonlocal calls
        calls += 1
        return []

    assert virtual(run(drop, [{"style": "x"}] * 3, stream_of)) == []
    assert calls == 1


def test_function_that_makes_several_messages_cannot_be_cached(virtual, stream_of) -> None:
    async def twice(message: Message) -> list[Message]:
        return [message, message]

    with pytest.raises(Exception, match="a step with a cache must give one message"):
        virtual(run(twice, [{"style": "x"}], stream_of))
