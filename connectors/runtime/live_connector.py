"""A connector on the worker where it has its place: started, asked for its tasks, paused, stopped.

Its calls go on beside the control loop and never in it, so one that hangs holds nobody up. The control loop says what
the connector should do (`follow`) and reads what came of it (`state`, `trace`, `planned`).

Source: Kafka Connect's `WorkerConnector`.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
import traceback
from collections.abc import Awaitable, Mapping
from typing import Any, Protocol

from connectors.api.connector import Connector
from connectors.api.errors import ConfigError, ConnectError, FatalError, RetriableError
from connectors.runtime.plugin_config import plugin_config, resolved_config, with_references
from connectors.runtime.plugins import connector_class
from connectors.runtime.secrets import SECRETS
from connectors.runtime.source_context import Pairs, StoredOffsets
from connectors.runtime.state import Progress, State, Target
from connectors.runtime.threads import in_daemon_thread

__all__ = ["LiveConnector", "Surroundings"]

log = logging.getLogger(__name__)


class Surroundings(Protocol):
    """What a connector's instance needs of the worker."""

    def offsets(self, connector: str) -> Pairs:
        """Return the stored offsets of a source connector."""

    async def make_way(self, connector: str, config: Mapping[str, str], count: int) -> None:
        """See to it that tasks beyond `count` write nothing any more, before the others take their share."""

    def changed(self) -> None:
        """Have the control loop look at its connectors."""


class LiveConnector:
    """One instance of a connector, for one configuration. Is its plugin's `ConnectorContext`.

    Args:
        name: The connector.
        config: Its configuration, references unresolved.
        version: `Store.version` of it; another one needs another instance.
        worker: What is around it.
        after: Ends when the connector's former instance has stopped.

    Attributes:
        state: What it does, or None until the first call ended.
        trace: Why it failed.
        planned: The configurations of its tasks, references unresolved; None until they are planned.
    """

    START_LIMIT_S = 10.0
    STOP_LIMIT_S = 5.0
    # A connector that could not start or plan for now, as its system is away, is asked again after this time.
    RETRY_S = 10.0

    def __init__(
        self,
        name: str,
        config: Mapping[str, str],
        version: str,
        worker: Surroundings,
        after: Awaitable[None] | None = None,
    ) -> None:
        self.name, self.version = name, version
        self.state: State | None = None
        self.trace = ""
        self.planned: list[dict[str, str]] | None = None
        self._config = dict(config)
        self._plugin: Connector | None = None
        self._worker = worker
        self._target = Target.STARTED
        self._started = False
        self._wants_plan = True
        self._raised: Exception | None = None
        self._retry = False
        self._retired = False
        self._call_of: tuple[str, float] | None = None
        self._asked = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._life = self._loop.create_task(self._live(after), name=f"connector {name}")

    # ---- what the control loop asks

    def follow(self, target: Target) -> None:
        """Have it do what a user asked for; returns at once."""
        if self.state is None or target is not self._target:
            self._target = target
            self._asked.set()

    async def retire(self) -> None:
        """Stop it for good. A call that does not come back is left behind, and what it does later has no effect."""
        self._retired = True
        self._asked.set()
        _, hanging = await asyncio.wait({self._life}, timeout=self.STOP_LIMIT_S)
        if hanging:
            stage = self.progress.stage
            log.error("%s: its %s goes on after %.0f s and is left behind", self.name, stage, self.STOP_LIMIT_S)
            self._life.cancel()

    @property
    def progress(self) -> Progress:
        """Which call of the plugin goes on."""
        return Progress(*(self._call_of or ("waiting", time.time())), None)

    # ---- what the plugin asks, from any thread

    def request_task_reconfiguration(self) -> None:
        """Have `task_configs` called again."""
        self._loop.call_soon_threadsafe(self._plan_again)

    def raise_error(self, error: Exception) -> None:
        """Fail the connector; its tasks go on."""
        self._loop.call_soon_threadsafe(self._take_error, error)

    @property
    def offset_storage_reader(self) -> StoredOffsets:
        """The offsets that are stored now."""
        return StoredOffsets(self._worker.offsets(self.name))

    def _plan_again(self) -> None:
        self._wants_plan = True
        self._asked.set()

    def _take_error(self, error: Exception) -> None:
        self._raised = self._raised or error
        self._asked.set()

    # ---- its life

    async def _live(self, after: Awaitable[None] | None) -> None:
        if after is not None:
            await after
        while not self._retired:
            await self._asked.wait()
            self._asked.clear()
            if not self._retired:
                await self._step()
        await self._stop()

    async def _step(self) -> None:
        if self.state is State.FAILED and self._target is not Target.STOPPED and not self._retry:
            self._raised = None
            return  # until it is restarted, stopped or given another configuration, as in Kafka Connect
        try:
            self.state, self.trace = await self._reach(self._target), ""
            self._retry = False
        except Exception as error:
            self._retry = isinstance(error, RetriableError)
            if self._retry:
                self._loop.call_later(self.RETRY_S, self._asked.set)
            self.state, self.trace = State.FAILED, self._sentence(error)
            log.error("%s: %s", self.name, self.trace)  # noqa: TRY400 - the trace has what there is to say
        self._worker.changed()

    async def _reach(self, target: Target) -> State:
        if target is Target.STOPPED:
            await self._stop()
            self._raised, self._wants_plan = None, True
            return State.STOPPED
        if target is Target.STARTED or self._wants_plan:
            await self._start()
        if self._wants_plan:
            # Cleared first: the plugin may ask for another plan while it makes this one.
            self._wants_plan = False
            try:
                await self._plan()
            except BaseException:
                self._wants_plan = True
                raise
        if target is Target.PAUSED:
            await self._stop()
        self._check_raised()
        return State.RUNNING if target is Target.STARTED else State.PAUSED

    async def _start(self) -> None:
        if self._started:
            return
        if self._plugin is None:
            self._plugin = connector_class(self._config.get("connector.class", ""))()
            self._plugin.initialize(self)
        await self._call("start", plugin_config(type(self._plugin), self._config), limit_s=self.START_LIMIT_S)
        self._started = True
        self._check_raised()

    async def _plan(self) -> None:
        assert self._plugin is not None
        resolved = resolved_config(type(self._plugin), self._config)
        most = int(resolved.get("tasks.max", "1"))
        planned = await self._call("task_configs", most, limit_s=self.START_LIMIT_S)
        self._check_raised()
        self._check_plan(planned, most, enforced=resolved.get("tasks.max.enforce", "true").lower() != "false")
        configs = [self._config | with_references(each, self._config, resolved) for each in planned]
        await self._worker.make_way(self.name, self._config, len(configs))
        self.planned = configs

    async def _stop(self) -> None:
        if not self._started:
            return
        self._started = False
        try:
            await self._call("stop", limit_s=self.STOP_LIMIT_S)
        except Exception as error:  # it is over for this instance in any case
            log.warning("%s did not stop cleanly: %s", self.name, self._sentence(error))

    async def _call(self, name: str, *arguments: Any, limit_s: float) -> Any:
        method = getattr(self._plugin, name)
        self._call_of = (name, time.time())
        try:
            if inspect.iscoroutinefunction(method):
                return await asyncio.wait_for(method(*arguments), limit_s)
            return await in_daemon_thread(method, *arguments, limit_s=limit_s)
        except TimeoutError:
            raise FatalError(f"{type(self._plugin).__name__}.{name} took longer than {limit_s:.0f} s") from None
        finally:
            self._call_of = None

    def _check_raised(self) -> None:
        if self._raised is not None:
            error, self._raised = self._raised, None
            raise error

    def _check_plan(self, planned: Any, most: int, *, enforced: bool) -> None:
        plugin = type(self._plugin).__name__
        if not isinstance(planned, list) or not all(isinstance(each, Mapping) for each in planned):
            kind = type(planned).__name__
            raise FatalError(f"{plugin}.task_configs returned {kind}, a list of configurations is needed")
        if len(planned) > most:
            what = f"{plugin} planned {len(planned)} tasks, tasks.max is {most}"
            if enforced:
                raise FatalError(f"{what}; tasks.max.enforce=false lets them run")
            log.warning("%s: %s", self.name, what)

    def _sentence(self, error: Exception) -> str:
        if isinstance(error, ConfigError):
            return str(error)
        if isinstance(error, ConnectError):
            return f"{type(error).__name__}: {error}"
        return SECRETS.masked("".join(traceback.format_exception(error)))
