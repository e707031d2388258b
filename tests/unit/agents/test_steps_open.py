from __future__ import annotations

import logging

import pytest

from agents import steps
from agents.async_io import AsyncFunction, ResultFuture
from agents.message import Message
from agents.steps import Steps
from connectors import ConfigError, RetriableError


class Late(AsyncFunction[Message, Message]):
    """Its server comes up at the third try."""

    def __init__(self) -> None:
        self.tries = 0

    async def open(self) -> None:
        self.tries += 1
        if self.tries < 3:
            raise RetriableError("no Redis at 127.0.0.1:1")

    async def async_invoke(self, value: Message, result_future: ResultFuture[Message]) -> None:
        result_future.complete([value])


class Wrong(Late):
    async def open(self) -> None:
        raise ConfigError("wrong credentials")


async def test_a_server_that_is_down_at_start_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(steps, "FIRST_WAIT_S", 0.001)
    late = Late()
    with caplog.at_level(logging.WARNING):
        await Steps([late]).open()
    assert late.tries == 3
    assert "Waiting: no Redis at 127.0.0.1:1" in caplog.text


async def test_a_wrong_configuration_is_not_waited_for() -> None:
    with pytest.raises(ConfigError, match="wrong credentials"):
        await Steps([Wrong()]).open()
