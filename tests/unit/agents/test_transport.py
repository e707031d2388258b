"""The private methods of Faust that the transport overrides or relies on, pinned by their source."""

from __future__ import annotations

import hashlib
import inspect

import pytest
from faust.app.base import App
from faust.tables.recovery import Recovery
from faust.transport import consumer as base
from faust.transport.drivers import aiokafka as driver
from faust.transport.drivers import by_url

from agents.transport import Transport

PINNED = {
    base.Consumer._drain_messages: "44a2500309e8",
    base.Consumer.getmany: "4b168d84882a",
    base.Consumer._wait_next_records: "6218e1969a63",
    base.Consumer._new_offset: "1d2c7ea89a7a",
    base.Consumer.on_partitions_revoked: "d04b7ae72c6f",
    base.Consumer.on_partitions_assigned: "29ce96596f05",
    base.Consumer.perform_seek: "0e8c130ff4b0",
    base.ThreadDelegateConsumer._getmany: "f9d47aa9010b",
    base.ThreadDelegateConsumer._commit: "a20eec84e4b2",
    driver.Consumer._new_consumer_thread: "0870ec53dea7",
    driver.AIOKafkaConsumerThread._commit: "932852ce7a23",
    driver.AIOKafkaConsumerThread._fetch_records: "39a2c6c79fc1",
    driver.ConsumerRebalanceListener.on_partitions_assigned: "1c1f8406ad36",
    App._on_partitions_revoked: "d5c895bbe57d",
    App._on_partitions_assigned: "de932b7927db",
    App._stop_consumer: "55854a5de12c",
    Recovery._resume_streams: "d986a6710c1a",
}


def digest(method: object) -> str:
    return hashlib.sha256(inspect.getsource(method).encode()).hexdigest()[:12]  # type: ignore[arg-type]


@pytest.mark.parametrize("method", PINNED, ids=lambda method: method.__qualname__)
def test_faust_is_the_one_that_was_read(method) -> None:
    message = (
        f"{method.__qualname__} has changed in Faust: read it, adapt agents/transport.py, then pin {digest(method)}"
    )
    assert digest(method) == PINNED[method], message


def test_driver_is_found_by_its_url() -> None:
    assert by_url("connect://localhost:9092") is Transport
