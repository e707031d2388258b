"""A stage whose input GoldenGate's Kafka handler writes."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from agents.config import StageConfig
from agents.formats import decoder
from agents.message import Message
from connectors.api.errors import DataError
from tests.unit.agents.test_stage import Rig, record, settle

META: dict[str, Any] = {"table": "S.T", "op_ts": "2024-01-02 03:04:05.123456", "pos": "1"}
OPTIONS = {"key.S.T": "A"}


def operation(op: str, **images: Any) -> bytes:
    return json.dumps(META | {"op_type": op} | images).encode()


async def test_rows_reach_the_steps_as_canal_messages_and_leave_as_such() -> None:
    seen: list[Message] = []

    async def function(message: Message) -> list[Message]:
        seen.append(message)
        message.rows[0]["extra"] = "x"
        return [message]

    rig = await Rig(function, format="goldengate", format_options=OPTIONS).start()
    values = [operation("I", after={"A": 1, "B": 2}), operation("T"), operation("U", before={"A": 1}, after={"A": 2})]
    rig.stage.take(0, [record(number, value) for number, value in enumerate(values)])
    await settle()
    assert [message.op for message in seen] == ["INSERT", "UPDATE"]
    out = [orjson.loads(sent.value or b"") for sent in rig.producer.of("out")]
    assert sorted((each["type"], each["isDdl"]) for each in out) == [
        ("INSERT", False),
        ("TRUNCATE", True),
        ("UPDATE", False),
    ]
    insert, update = (next(each for each in out if each["type"] == kind) for kind in ("INSERT", "UPDATE"))
    assert (insert["data"], insert["pkNames"], insert["es"]) == (
        [{"A": "1", "B": "2", "extra": "x"}],
        ["A"],
        1704164645123,
    )
    assert update["old"] == [{"A": "1"}]


def test_an_attempt_sees_nothing_of_the_one_before() -> None:
    decode = decoder("goldengate", OPTIONS)
    message = Message.decode("in", 0, 0, None, operation("I", after={"A": 1}), [], 0, decode)
    message.for_attempt().rows[0]["A"] = "changed"
    assert message.for_attempt().rows == [{"A": "1"}]


def test_a_whole_transaction_and_wrong_options_are_told() -> None:
    decode = decoder("goldengate", {})
    with pytest.raises(DataError, match="2 GoldenGate operations"):
        decode(operation("T") + operation("T"))
    base: dict[str, Any] = {"name": "s", "input": "in", "steps": [{"function": "f"}]}
    with pytest.raises(ValidationError, match=r"did you mean time\.zone"):
        StageConfig(**base, format="goldengate", format_options={"time.zon": "UTC"})
    with pytest.raises(ValidationError, match="only the format goldengate has options"):
        StageConfig(**base, format_options=OPTIONS)
