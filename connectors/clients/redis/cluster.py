"""A cluster: the requests of a batch go to the nodes that own their keys, one pipeline for each node.

A node that is away fails its own keys alone: the batch is split here and not by the driver, which fails a pipeline as a
whole and drops the connections to all nodes. The driver follows MOVED and ASK, command by command.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.crc import key_slot
from redis.exceptions import (
    ClusterDownError,
    ConnectionError,  # noqa: A004 - the driver's name
    RedisClusterException,
    RedisError,
    TimeoutError,  # noqa: A004 - the driver's name
)

from connectors.clients.redis.servers import Words

__all__ = ["ClusterServers"]

_NODE_AWAY: Final = (ConnectionError, TimeoutError, ClusterDownError, RedisClusterException, OSError)
_KEY_AT: Final = {"GET": 1, "MGET": 1, "HMGET": 1, "EVALSHA": 3, "EVAL": 3}


class ClusterServers:
    """The masters of a cluster.

    Args:
        driver: Client of redis-py, which must neither retry nor start over by itself.
        retries: How often requests to a node that broke off are sent again, to the owners of the keys by then.
        pause_s: Time before that, seconds.
    """

    def __init__(self, driver: RedisCluster, retries: int, pause_s: float) -> None:
        self._driver = driver
        self._retries = retries
        self._pause_s = pause_s

    async def ping(self) -> None:
        """Check that they answer."""
        await self._driver.initialize()

    def string_requests(self, keys: Sequence[bytes]) -> list[Words]:
        """Return a GET for each key, and one MGET for keys of one slot, as those that share a hash tag are."""
        slots: dict[int, list[bytes]] = {}
        for key in keys:
            slots.setdefault(key_slot(key), []).append(key)
        return [("GET", *some) if len(some) == 1 else ("MGET", *some) for some in slots.values()]

    async def send(self, requests: Sequence[Words]) -> list[Any]:
        """Return the answer to each request, or its error."""
        answers: list[Any] = await self._try(requests)
        for _ in range(self._retries):
            failed = [i for i, answer in enumerate(answers) if isinstance(answer, _NODE_AWAY)]
            if not failed:
                break
            await asyncio.sleep(self._pause_s)
            if not await self._look_again():
                break
            for i, answer in zip(failed, await self._try([requests[i] for i in failed]), strict=True):
                answers[i] = answer
        return answers

    async def close(self) -> None:
        """Disconnect."""
        await self._driver.aclose()

    async def _try(self, requests: Sequence[Words]) -> list[Any]:
        await self._driver.initialize()
        answers: list[Any] = [None] * len(requests)
        nodes: dict[str, tuple[ClusterNode, list[int]]] = {}
        for i, words in enumerate(requests):
            try:
                node = self._owner(words)
            except RedisClusterException as error:  # nobody owns the slot
                answers[i] = error
            else:
                nodes.setdefault(node.name, (node, []))[1].append(i)
        replies = await asyncio.gather(
            *(self._pipeline(node, [requests[i] for i in places]) for node, places in nodes.values())
        )
        for (_, places), some in zip(nodes.values(), replies, strict=True):
            for i, reply in zip(places, some, strict=True):
                answers[i] = reply
        return answers

    def _owner(self, words: Words) -> ClusterNode:
        slot = key_slot(words[_KEY_AT[words[0]]])
        return self._driver.nodes_manager.get_node_from_slot(slot)

    async def _pipeline(self, node: ClusterNode, requests: list[Words]) -> list[Any]:
        pipe = self._driver.pipeline()
        for words in requests:
            pipe.execute_command(*words, target_nodes=node)
        try:
            return await pipe.execute(raise_on_error=False)
        except (RedisError, RedisClusterException, OSError) as error:
            return [error] * len(requests)

    async def _look_again(self) -> bool:
        """Read anew who owns which keys; False where no node tells."""
        try:
            await self._driver.nodes_manager.initialize()
        except _NODE_AWAY:
            return False
        return True
