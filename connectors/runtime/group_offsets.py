"""Kafka's OffsetDelete request, which neither client library offers.

Source: KIP-496; the protocol guide, "OffsetDelete API (Key: 47)".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupIdNotFound, NonEmptyGroup, for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int16, Int32, Schema, String

from connectors.api.errors import RetriableError

__all__ = ["delete_group_offsets"]

# The group reads a topic of which offsets are to be deleted.
_SUBSCRIBED = 86


class _OffsetDeleteResponse(Response):  # type: ignore[misc]
    API_KEY = 47
    API_VERSION = 0
    SCHEMA = Schema(
        ("error_code", Int16),
        ("throttle_time_ms", Int32),
        (
            "topics",
            Array(("name", String("utf-8")), ("partitions", Array(("partition", Int32), ("error_code", Int16)))),
        ),
    )


class _OffsetDeleteStruct(RequestStruct):  # type: ignore[misc]
    API_KEY = 47
    API_VERSION = 0
    RESPONSE_TYPE = _OffsetDeleteResponse
    SCHEMA = Schema(
        ("group_id", String("utf-8")),
        ("topics", Array(("name", String("utf-8")), ("partitions", Array(Int32)))),
    )


class _OffsetDelete(Request[_OffsetDeleteStruct]):  # type: ignore[misc]
    API_KEY = 47

    def __init__(self, group: str, topics: list[tuple[str, list[int]]]) -> None:
        self._fields = group, topics

    def build(self, request_struct_class: type[_OffsetDeleteStruct]) -> _OffsetDeleteStruct:
        return request_struct_class(*self._fields)


async def delete_group_offsets(client: dict[str, Any], group: str, partitions: Iterable[tuple[str, int]]) -> None:
    """Forget the committed offsets of some partitions of a group.

    Args:
        client: Connection options of aiokafka's clients.
        group: The consumer group; one that does not exist has nothing to forget.
        partitions: Topics and partition numbers.

    Raises:
        RetriableError: The group still has members.
        KafkaError: Kafka refused otherwise.
    """
    topics: dict[str, list[int]] = {}
    for topic, number in partitions:
        topics.setdefault(topic, []).append(number)
    admin = AIOKafkaAdminClient(**client)
    await admin.start()
    try:
        node = await admin.find_coordinator(group)
        answer = await admin._send_request_to_node(node, _OffsetDelete(group, list(topics.items())))
    finally:
        await admin.close()
    codes = {answer.error_code} | {code for _, each in answer.topics for _, code in each}
    if NonEmptyGroup.errno in codes or _SUBSCRIBED in codes:
        raise RetriableError("Tasks are still leaving their consumer group; try again")
    bad = codes - {0, GroupIdNotFound.errno}
    if bad:
        raise for_code(bad.pop())(f"offsets of group {group} could not be deleted")
