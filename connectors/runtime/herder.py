"""Brings what runs on this worker in line with what the cluster's memory says should run here.

Everybody reads the same memory. The leader alone writes placements; each worker starts and stops its own share and
reports its states. The loop runs at every change and, to be safe, every few seconds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from aiokafka.errors import KafkaError
from mode import Service

from connectors.api.errors import ConnectError
from connectors.runtime.assembly import Assembly
from connectors.runtime.health import health, progress_json
from connectors.runtime.live_connector import LiveConnector
from connectors.runtime.live_connectors import LiveConnectors
from connectors.runtime.loggers import LEVELS, Loggers
from connectors.runtime.membership import Members, Membership
from connectors.runtime.placement import Demand, place
from connectors.runtime.plugins import connector_class, kind_of
from connectors.runtime.restarts import Restarts
from connectors.runtime.session import SessionKeys
from connectors.runtime.settings import WorkerSettings
from connectors.runtime.state import CONNECTOR, Progress, State, Status, Target, TaskId, iso_time
from connectors.runtime.store import SIGNAL, Store

__all__ = ["Herder"]

log = logging.getLogger(__name__)


_LOGGER = "logger-cluster-"


class Herder(Service):  # type: ignore[misc]
    """The control loop of a worker.

    Args:
        settings: The worker's settings.
    """

    PERIOD_S = 3.0
    GRACEFUL_S = 5.0

    def __init__(self, settings: WorkerSettings) -> None:
        super().__init__()
        self.settings = settings
        self.members = Members("", {}, {})
        self.store = Store(settings, self._changed)
        self.loggers = Loggers()
        self.session = SessionKeys(self.store)
        self.rebalances = 0
        self.kafka_cluster_id = ""
        self.starting = f"The worker starts: it waits for Kafka at {settings.kafka.bootstrap_servers}"
        self._membership = Membership(settings, self._members_changed)
        self._wake = asyncio.Event()
        self._connectors = LiveConnectors(settings, self.store, self._wake.set)
        self._assembly = Assembly(settings, self.store, self._reported)
        self._restarts = Restarts(self.store, settings.worker_id, self._wake_in)
        self._reports: asyncio.Queue[tuple[TaskId, State, str, str]] = asyncio.Queue()
        self._last_round = 0.0
        self._was_ready = False
        self._turn = asyncio.Lock()
        self._closing = False

    @property
    def me(self) -> str:
        """This worker's name."""
        return self.settings.worker_id

    @property
    def ready(self) -> bool:
        """Whether the memory is read and the group joined."""
        return bool(self.members.leader)

    @property
    def lost(self) -> bool:
        """Whether the group was joined and has been out of reach since."""
        return self._was_ready and not self.ready

    def seconds_since_round(self) -> float:
        """Return how long ago the loop last went round."""
        return time.monotonic() - self._last_round

    async def on_start(self) -> None:
        """Read the memory, join the group."""
        self._loop = asyncio.get_running_loop()
        self._last_round = time.monotonic()
        for topic in (self.store.configs, self.store.statuses, self.store.offsets):
            self.starting = f"The worker starts: it reads the topic {topic.topic}"
            await self.add_runtime_dependency(topic)
        self.starting = "The worker starts: it joins its group"
        await self.add_runtime_dependency(self._membership)

    async def on_stop(self) -> None:
        """Stop all tasks here, so that others can take them without duplicates; then leave."""
        self._closing = True
        async with self._turn:
            await self._stop_all()
        try:
            async with asyncio.timeout(self.GRACEFUL_S):
                await self._write_reports()
        except (TimeoutError, KafkaError):
            # The others see that this worker has left the group, so nothing hangs on these reports.
            log.warning("The last states could not be written within %.0f s", self.GRACEFUL_S)

    # --- what wakes the loop ---

    def _changed(self, key: str) -> None:
        if key.startswith(_LOGGER):
            self._set_logger(key.removeprefix(_LOGGER))
        elif key.startswith(SIGNAL):
            name = key.removeprefix(SIGNAL)
            signal = self.store.signal(name)
            if signal is not None:
                self._assembly.signal(name, *signal)
        self._wake.set()

    def _wake_in(self, seconds: float) -> None:
        self._loop.call_later(seconds, self._wake.set)

    def _set_logger(self, name: str) -> None:
        """Take a level that was set for the whole cluster; as in Kafka Connect it does not outlast the process."""
        level = (self.store.configs.data.get(f"{_LOGGER}{name}") or {}).get("level")
        if level in LEVELS:
            self.loggers.set(name, level)

    def _members_changed(self, members: Members) -> None:
        log.info("Workers: %s; leader: %s", ", ".join(sorted(members.roles)) or "none", members.leader or "none")
        self.members = members
        self.rebalances += 1
        self._was_ready = self._was_ready or self.ready
        self._wake.set()

    def _reported(self, task: TaskId, state: State, trace: str, version: str) -> None:
        """Take a report from a task's thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._take_report, task, state, trace, version)

    def _take_report(self, *report: *tuple[TaskId, State, str, str]) -> None:
        self._reports.put_nowait(report)
        self._wake.set()

    @Service.task  # type: ignore[untyped-decorator]
    async def _rounds(self) -> None:
        while not self.should_stop:
            try:
                await asyncio.wait_for(self._wake.wait(), self.PERIOD_S)
            except TimeoutError:
                log.debug("Looking again")
            self._wake.clear()
            async with self._turn:
                if not self._closing:
                    await self._safe_round()

    async def _safe_round(self) -> None:
        """Go round once; what fails is tried again at the next round, and `/health` tells when none succeeds."""
        try:
            await self._round()
        except KafkaError as error:
            log.warning("Kafka does not answer (%s); trying again", type(error).__name__)
        except Exception:
            log.exception("A round of the control loop failed; trying again")
        else:
            self._last_round = time.monotonic()

    async def _round(self) -> None:
        if not self.ready:
            # Lost: the others take this worker's tasks over, so none may run on here.
            await self._stop_all()
            return
        await self._write_reports()
        if self.members.leader == self.me:
            await self._lead()
        await self._follow()
        await self._write_reports()

    async def _stop_all(self) -> None:
        await asyncio.gather(self._connectors.stop_all(), self._assembly.stop_all())

    # --- the leader's part ---

    async def _lead(self) -> None:
        demands = []
        for name in self.store.connectors():
            config = self.store.config(name) or {}
            try:
                kind = kind_of(connector_class(config.get("connector.class", "")))
            except ConnectError as error:
                await self._set_connector(name, State.FAILED, str(error))
                continue
            tasks = 0 if self.store.target(name) is Target.STOPPED else len(self.store.task_configs(name))
            demands.append(Demand(name, kind, tasks))
        now = self.store.placement()
        wanted = place(demands, self.members.roles, now)
        if wanted is not now:
            log.info("Placement %d: %s", wanted.epoch, wanted.tasks)
            await self.store.put_placement(wanted)
        await self._forget_leftovers(set(self.store.connectors()))
        await self.session.renew()

    async def _forget_leftovers(self, known: set[str]) -> None:
        """Remove statuses of connectors and tasks that are gone."""
        for key in list(self.store.statuses.data):
            if key.startswith("status-connector-") and key.removeprefix("status-connector-") not in known:
                await self.store.statuses.write(key, None)
            elif key.startswith("status-task-"):
                name, _, number = key.removeprefix("status-task-").rpartition("-")
                wanted = len(self.store.task_configs(name)) if name in known else 0
                stopped = self.store.target(name) is Target.STOPPED
                if (stopped or int(number) >= wanted) and not self.runs(TaskId(name, int(number))):
                    await self.store.statuses.write(key, None)
            elif key.startswith("status-topic-") and self.store.statuses.data[key].get("connector") not in known:
                await self.store.statuses.write(key, None)

    def runs(self, task: TaskId) -> bool:
        """Tell whether a living worker says that it runs a task."""
        status = self.store.task_status(task)
        living = status is not None and status.worker_id in self.members.roles
        return living and status is not None and status.state in (State.RUNNING, State.PAUSED)

    def any_runs(self, name: str) -> bool:
        """Tell whether a living worker says that it runs a task of a connector."""
        return any(self.runs(TaskId(name, number)) for number in range(len(self.store.task_configs(name))))

    # --- every worker's part ---

    async def _follow(self) -> None:
        placement = self.store.placement()
        mine = self.me in self.members.roles
        await self._follow_connectors({name for name, at in placement.connectors.items() if mine and at == self.me})
        tasks = {_task_id(text) for text, worker in placement.tasks.items() if mine and worker == self.me}
        await self._assembly.keep_only(tasks)
        living = set(self.members.roles)
        # All at once: a task that takes its time to stop must not keep the others from starting.
        free = [task for task in sorted(tasks) if not self.store.busy_elsewhere(task, self.me, living)]
        outcomes = await asyncio.gather(*map(self._follow_task, free), return_exceptions=True)
        # Raised once none is under way any more, as the next round must not meet this one.
        failure = next((outcome for outcome in outcomes if outcome is not None), None)
        if failure is not None:
            raise failure
        await self._restarts.apply(sorted(tasks))
        await self._note_topics()

    async def _note_topics(self) -> None:
        if self.settings.rest.topic_tracking:
            for connector, topic in self._assembly.topics():
                if not self.store.knows_topic(connector, topic):
                    await self.store.put_topic(connector, topic, {"discovered_ms": int(time.time() * 1000)})

    async def _follow_connectors(self, placed: set[str]) -> None:
        living = set(self.members.roles) - {self.me}
        known = placed & set(self.store.connectors())
        # One that was moved here begins when its former worker has stopped it.
        free = {name for name in known if not self._lives_elsewhere(name, living)}
        for name, live in sorted(self._connectors.follow(free).items()):
            await self._note_connector(name, live)
        for name in self.store.connectors():
            status = self.store.connector_status(name)
            mine = status is not None and status.worker_id == self.me and status.state is not State.UNASSIGNED
            if mine and name not in placed and not self._connectors.has(name):
                await self._set_connector(name, State.UNASSIGNED)

    def _lives_elsewhere(self, name: str, living: set[str]) -> bool:
        status = self.store.connector_status(name)
        return status is not None and status.worker_id in living and status.state in (State.RUNNING, State.PAUSED)

    async def _note_connector(self, name: str, live: LiveConnector) -> None:
        """Store what came of a connector's last call."""
        config = self.store.config(name)
        if live.version != self.store.version(name) or config is None:
            return  # changed since: the next round brings its successor
        planned = live.planned
        if planned is not None and (planned != self.store.task_configs(name) or not self.store.is_planned(name)):
            await self.store.put_task_configs(name, planned, config)
        if live.state is not None and not (live.state is State.STOPPED and self.any_runs(name)):
            await self._set_connector(name, live.state, live.trace)

    async def _follow_task(self, task: TaskId) -> None:
        configs = self.store.task_configs(task.connector)
        if task.number >= len(configs) or self.store.target(task.connector) is Target.STOPPED:
            return
        if not self.store.is_planned(task.connector) and not self._assembly.has(task):
            return  # the connector has not planned anew yet
        paused = self.store.target(task.connector) is Target.PAUSED
        version = self.store.version(task.connector, task.number)
        await self._assembly.keep(task, configs[task.number], version, paused=paused)

    async def _set_connector(self, name: str, state: State, trace: str = "") -> None:
        wanted = Status(state, self.me, trace, self.store.version(name))
        if self.store.connector_status(name) != wanted:
            await self.store.put_connector_status(name, wanted)

    async def _write_reports(self) -> None:
        latest: dict[TaskId, Status] = {}
        while not self._reports.empty():
            task, state, trace, version = self._reports.get_nowait()
            latest[task] = Status(state, self.me, trace, version, self._restarts.count(task, state, version))
        for task, status in latest.items():
            gone = task.connector not in self.store.connectors()
            known = self.store.task_status(task)
            # A report that comes late must not cover the state that the task's new worker reported.
            taken = known is not None and known.worker_id != self.me and known.worker_id in self.members.roles
            late = taken and status.state is State.UNASSIGNED
            if known != status and not late:
                await self.store.put_task_status(task, None if gone else status)

    # --- for REST ---

    async def restart(self, name: str, tasks: list[int]) -> None:
        """Restart a connector and some of its tasks."""
        await self.store.request_restart(name, ["connector", *map(str, tasks)])

    async def restart_task(self, task: TaskId) -> None:
        """Restart one task."""
        await self.store.request_restart(task.connector, [str(task.number)])

    def progress(self) -> dict[TaskId, Progress]:
        """Return what the tasks and connectors of this worker are doing."""
        return self._assembly.progress() | self._connectors.progress()

    def status(self, name: str, progress: Mapping[TaskId, Progress]) -> dict[str, Any]:
        """Return Kafka Connect's status of a connector; `health`, `reasons` and what tasks do are ours.

        Args:
            name: The connector.
            progress: What tasks are doing, of all workers that could be asked.
        """
        connector = self._connector_status(name).to_json()
        doing = progress.get(TaskId(name, CONNECTOR))
        if doing is not None and doing.stage != "waiting":
            connector |= {"stage": doing.stage, "stage_since": iso_time(doing.since)}
        count = 0 if self.store.target(name) is Target.STOPPED else len(self.store.task_configs(name))
        tasks = [{"id": number} | self.task_status(TaskId(name, number), progress) for number in range(count)]
        judgement, reasons = health(self.store.target(name), connector, tasks, progress, name)
        return {"name": name, "connector": connector, "tasks": tasks, "health": judgement.value, "reasons": reasons}

    def task_status(self, task: TaskId, progress: Mapping[TaskId, Progress]) -> dict[str, Any]:
        """Return Kafka Connect's status of a task; one whose worker is gone is UNASSIGNED."""
        version = self.store.version(task.connector, task.number)
        if self._connector_status(task.connector).version != self.store.version(task.connector):
            version = "not planned yet"
        status = self.store.task_status(task) or Status(State.UNASSIGNED, "")
        if (self.ready or self.lost) and status.worker_id not in self.members.roles:
            status = Status(State.UNASSIGNED, status.worker_id)
        shown = status.seen_from(version).to_json()
        return shown | progress_json(progress[task]) if task in progress else shown

    def _connector_status(self, name: str) -> Status:
        status = self.store.connector_status(name) or Status(State.UNASSIGNED, "")
        return status.seen_from(self.store.version(name))


def _task_id(text: str) -> TaskId:
    name, _, number = text.rpartition("-")
    return TaskId(name, int(number))
