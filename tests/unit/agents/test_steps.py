"""Functions run one after the other inside one request."""

from __future__ import annotations

import threading

import pytest

from agents.async_io import AsyncFunction, ResultFuture, unordered_wait
from agents.async_io.function import as_async_function
from agents.message import Message
from agents.steps import Steps


def message(number: int) -> Message:
    return Message.decode("t", 0, number, None, b'{"n":%d}' % number, [], 0)


async def add_one(message: Message) -> list[Message]:
    message.value["n"] += 1
    return [message]


async def twice(message: Message) -> list[Message]:
    return [message, message.derive({"n": message.value["n"] * 10})]


class FromThread(AsyncFunction[Message, Message]):
    async def async_invoke(self, value: Message, result_future: ResultFuture[Message]) -> None:
        threading.Thread(target=result_future.complete, args=([value],)).start()


async def run(steps: list, stream_of, count: int = 1) -> list[int]:
    made = Steps([as_async_function(step) for step in steps])
    stream = stream_of([message(i) for i in range(count)])
    return sorted([out.value["n"] async for out in unordered_wait(stream, made, timeout_s=5)])


async def test_outputs_of_one_are_inputs_of_the_next(stream_of) -> None:
    assert await run([add_one, twice, FromThread(), add_one], stream_of) == [2, 11]


async def test_dropped_by_the_first(stream_of) -> None:
    async def drop(message: Message) -> list[Message]:
        return []

    assert await run([drop, twice], stream_of, 3) == []


async def test_error_names_the_steps(stream_of) -> None:
    async def boom(message: Message) -> list[Message]:
        raise LookupError("no style")

    with pytest.raises(Exception, match=r"add_one -> .*boom failed for Message\(t-0@0.*LookupError: no style"):
        await run([add_one, boom], stream_of)


async def test_wrong_result_names_the_step(stream_of) -> None:
    async def careless(message: Message) -> None:
        return None

    with pytest.raises(Exception, match="careless completed with None"):
        await run([add_one, careless, twice], stream_of)


async def test_close_goes_on_after_an_error() -> None:
    closed = []

    class Closing(AsyncFunction[Message, Message]):
        async def close(self) -> None:
            closed.append(1)
            raise OSError("gone")

    with pytest.raises(ExceptionGroup):
        await Steps([Closing(), Closing()]).close()
    assert closed == [1, 1]
