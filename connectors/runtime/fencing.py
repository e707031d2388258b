"""Ends the transactions of tasks that fall away, wherever they may still run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Final

from confluent_kafka import KafkaException, Producer

from connectors.api.errors import RetriableError
from connectors.runtime.kafka_clients import client_options
from connectors.runtime.settings import WorkerSettings
from connectors.runtime.state import TaskId

__all__ = ["fence", "transactional_id"]

_LIMIT_S: Final = 5.0


def transactional_id(settings: WorkerSettings, task: TaskId) -> str:
    """Return Kafka's name of a task's transactions; the same on all workers, so that its instances fence each other."""
    return f"{settings.internal(task.connector)}-{task.number}"


async def fence(settings: WorkerSettings, tasks: Iterable[TaskId]) -> None:
    """Have Kafka refuse whatever instances of these tasks write from now on.

    Raises:
        RetriableError: Kafka does not answer.
    """
    await asyncio.gather(*(asyncio.to_thread(_fence, settings, task) for task in tasks))


def _fence(settings: WorkerSettings, task: TaskId) -> None:
    name = transactional_id(settings, task)
    producer = Producer(client_options(settings, task) | {"transactional.id": name})
    deadline = time.monotonic() + _LIMIT_S
    while True:
        try:
            producer.init_transactions(1.0)
        except KafkaException as error:
            problem = error.args[0]
            if time.monotonic() > deadline or not problem.retriable():
                message = f"transactions of {task}, which falls away, cannot be ended for now: {problem.str()}"
                raise RetriableError(message) from error
        else:
            return
