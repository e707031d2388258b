"""What the runtime knows about connector classes, so that no request waits on a plugin's code longer than its limit."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from connectors.api.config import ConfigDef
from connectors.api.connector import Connector
from connectors.api.errors import ConfigError
from connectors.runtime.base_config import definition
from connectors.runtime.plugins import Kind, connector_class, kind_of, own_options
from connectors.runtime.threads import in_daemon_thread

__all__ = ["Catalog", "Described", "PluginTimeoutError"]

T = TypeVar("T")


class PluginTimeoutError(Exception):
    """A plugin did not answer in time."""


@dataclass(frozen=True, slots=True)
class Described:
    """A connector class.

    Attributes:
        plugin: The class.
        kind: Whether it is a source or a sink.
        keys: Its options, and those that every connector of its kind has.
    """

    plugin: type[Connector]
    kind: Kind
    keys: ConfigDef


class Catalog:
    """Calls plugins in threads of their own, and keeps what they said of themselves."""

    LIMIT_S = 10.0
    # Threads that hang cannot be ended, so a plugin gets no more than these.
    MOST_HANGING = 5

    def __init__(self) -> None:
        self._known: dict[str, Described] = {}
        self._hanging: Counter[str] = Counter()
        self._lock = threading.Lock()

    async def get(self, name: str) -> Described:
        """Return the connector class of a name.

        Raises:
            ConfigError: There is none.
            PluginTimeoutError: Its code hangs.
        """
        if name not in self._known:
            self._known[name] = await self.call(name, _describe, name)
        return self._known[name]

    def knows(self, name: str) -> bool:
        """Tell whether the connector class of a name was found before."""
        return name in self._known

    async def find(self, name: str) -> Described | None:
        """Return the connector class of a name, or None where it cannot be had."""
        try:
            return await self.get(name)
        except (ConfigError, PluginTimeoutError):
            return None

    async def call(self, name: str, method: Callable[..., T], *arguments: object) -> T:
        """Make a call of a plugin in a thread, so many at most that hang.

        Args:
            name: The connector class, for the error.
            method: What to call.
            arguments: Its arguments.

        Raises:
            PluginTimeoutError: It took longer than `LIMIT_S`, or too many earlier calls still hang.
        """
        if self._hanging[name] >= self.MOST_HANGING:
            raise PluginTimeoutError(f"{self._hanging[name]} calls of {name} still hang; nothing was changed")

        finished, late = threading.Event(), threading.Event()

        def guarded() -> T:
            try:
                return method(*arguments)
            finally:
                with self._lock:
                    finished.set()
                    if late.is_set():
                        self._hanging[name] -= 1

        try:
            result: T = await in_daemon_thread(guarded, limit_s=self.LIMIT_S)
        except TimeoutError:
            with self._lock:
                if not finished.is_set():
                    late.set()
                    self._hanging[name] += 1
            raise PluginTimeoutError(
                f"{name} did not answer within {self.LIMIT_S:.0f} s; nothing was changed"
            ) from None
        return result


def _describe(name: str) -> Described:
    plugin = connector_class(name)
    kind = kind_of(plugin)
    return Described(plugin, kind, definition(kind) | own_options(plugin))
