"""Who is alive and who leads, by Kafka's group protocol.

A consumer that never takes a partition joins the group `<cluster>-workers`. What the leader's assignor hands out is
not partitions but the list of members, so that every worker learns the same view in the same generation.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from mode import Service

from connectors.api.errors import ConfigError
from connectors.runtime.settings import Role, WorkerSettings

__all__ = ["Members", "Membership", "check_name_is_free"]

log = logging.getLogger(__name__)


_CLIENT = "connect "


def _instance(settings: WorkerSettings) -> str:
    # With the role in it: a restarted worker of another role must be seen as another member.
    return f"{settings.worker_id.replace(':', '_')}.{settings.role}"


async def check_name_is_free(settings: WorkerSettings) -> None:
    """Refuse to take the place of a living worker of the same name, which Kafka would throw out of the group.

    A member that is still in the group but does not answer any more is this worker's own past.

    Raises:
        ConfigError: Another worker of this name answers.
    """
    for url in await asyncio.to_thread(_members_of_my_name, settings):
        if url != settings.rest_url and await _answers(settings, url):
            raise ConfigError(
                f"Another worker of cluster {settings.cluster} is named {settings.worker_id} and answers at {url}; "
                "set CONNECTORS_WORKER_ID to another name",
                key="CONNECTORS_WORKER_ID",
            )


def _members_of_my_name(settings: WorkerSettings) -> list[str]:
    group = settings.internal("workers")
    client = AdminClient(settings.kafka.librdkafka() | {"log_level": 0})
    try:
        found = client.describe_consumer_groups([group], request_timeout=10)[group].result()
    except KafkaException as error:
        log.debug("The group %s cannot be described: %s", group, error)
        return []
    mine = [member for member in found.members if member.group_instance_id == _instance(settings)]
    return [member.client_id.removeprefix(_CLIENT) for member in mine if member.client_id.startswith(_CLIENT)]


async def _answers(settings: WorkerSettings, url: str) -> bool:
    limit = ClientTimeout(3)
    try:
        async with (
            ClientSession(timeout=limit) as session,
            session.get(f"{url}/health", ssl=settings.rest.client_tls()) as answer,
        ):
            return answer.content_type == "application/json"
    except (ClientError, TimeoutError):
        return False


@dataclass(frozen=True, slots=True)
class Members:
    """One generation of the group.

    Attributes:
        leader: The worker that places tasks.
        roles: Living workers and their roles.
        urls: Their REST addresses.
    """

    leader: str
    roles: dict[str, Role]
    urls: dict[str, str]


class _MembersAssignor(AbstractPartitionAssignor):  # type: ignore[misc]
    """Hands the list of members to every member. An instance, not a class, as it carries the worker's own data."""

    name = "connect-members"

    def __init__(self, settings: WorkerSettings, changed: Callable[[Members], None]) -> None:
        self._me = {"id": settings.worker_id, "role": settings.role, "url": settings.rest_url}
        self._changed = changed

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """Tell the group who this worker is."""
        return ConsumerProtocolMemberMetadata(0, list(topics), orjson.dumps(self._me))

    def assign(
        self, cluster: Any, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Called on the leader alone: give everybody the list."""
        known = [orjson.loads(member.user_data) for member in members.values()]
        view = orjson.dumps({"leader": self._me["id"], "members": known})
        return {member: ConsumerProtocolMemberAssignment(0, [], view) for member in members}

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Called on every worker with what the leader gave it."""
        view = orjson.loads(assignment.user_data)
        roles = {member["id"]: member["role"] for member in view["members"]}
        urls = {member["id"]: member["url"] for member in view["members"]}
        self._changed(Members(view["leader"], roles, urls))


class Membership(Service):  # type: ignore[misc]
    """This worker's place in the group.

    Args:
        settings: The worker's settings.
        changed: Called with each new generation.
    """

    # A dead worker is noticed after the session time-out; a busy one must not be taken for dead.
    SESSION_MS = 8000
    HEARTBEAT_MS = 2000
    # Without a heartbeat for so long the others have taken this worker's tasks. Longer than the session, as there are
    # no heartbeats while the group waits for a dead member's session to end.
    LOST_S = 12.0

    def __init__(self, settings: WorkerSettings, changed: Callable[[Members], None]) -> None:
        super().__init__()
        self._settings = settings
        self._changed = changed
        self._assignor = _MembersAssignor(settings, self._joined)
        self._last_sign = 0.0
        self._lost = True
        self._members: Members | None = None

    async def on_start(self) -> None:
        """Join."""
        settings = self._settings
        self._consumer = AIOKafkaConsumer(
            settings.internal("configs"),
            **settings.kafka.aiokafka(),
            group_id=settings.internal("workers"),
            group_instance_id=_instance(settings),
            # Tells other workers where a member of the same name answers.
            client_id=f"{_CLIENT}{settings.rest_url}",
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            session_timeout_ms=self.SESSION_MS,
            heartbeat_interval_ms=self.HEARTBEAT_MS,
            # Nothing is ever polled here.
            max_poll_interval_ms=2**31 - 1,
        )
        await self._consumer.start()
        self._watch_heartbeats()

    def _watch_heartbeats(self) -> None:
        # aiokafka tells nobody that heartbeats fail.
        async def beat() -> bool:
            answered: bool = await heartbeat()
            if answered:
                self._last_sign = time.monotonic()
            return answered

        coordinator = self._consumer._coordinator
        heartbeat, coordinator._do_heartbeat = coordinator._do_heartbeat, beat

    def _joined(self, members: Members) -> None:
        self._last_sign = time.monotonic()
        self._lost = False
        self._members = members
        self._changed(members)

    @Service.task  # type: ignore[untyped-decorator]
    async def _notice_loss(self) -> None:
        while not self.should_stop:
            await asyncio.sleep(1)
            lost = time.monotonic() - self._last_sign > self.LOST_S
            if lost and not self._lost:
                servers = self._settings.kafka.bootstrap_servers
                log.warning("No contact with Kafka at %s for %.0f s: this worker stops its tasks", servers, self.LOST_S)
                self._changed(Members("", {}, {}))
            elif self._lost and not lost and self._members is not None:
                log.info("The group answers again")
                self._changed(self._members)
            self._lost = lost

    async def on_stop(self) -> None:
        """Leave at once, so that others need not wait for the session to end."""
        if hasattr(self, "_consumer"):
            await self._leave()
            await self._consumer.stop()

    async def _leave(self) -> None:
        # aiokafka leaves the group on close only for members without an instance id.
        coordinator = self._consumer._coordinator
        if coordinator is not None and hasattr(coordinator, "_group_instance_id"):
            coordinator._group_instance_id = None
