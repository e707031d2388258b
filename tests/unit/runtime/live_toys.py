"""A connector whose calls are written down; loaded by its dotted path."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from connectors import ConfigDef, SinkConnector, Task


class Toy(SinkConnector):
    """Does what the test tells it to."""

    made: ClassVar[list[Toy]] = []
    calls: ClassVar[list[str]] = []
    plan: ClassVar[Any] = None
    errors: ClassVar[dict[str, Exception]] = {}
    gate: ClassVar[threading.Event] = threading.Event()
    held: ClassVar[str] = ""

    def __init__(self) -> None:
        self.made.append(self)

    @classmethod
    def task_class(cls) -> type[Task]:
        return Task

    @classmethod
    def config(cls) -> ConfigDef:
        return ConfigDef()

    def start(self, props: Any) -> None:
        self._note("start")

    def task_configs(self, max_tasks: int) -> Any:
        self._note("task_configs")
        return self.plan

    def stop(self) -> None:
        self._note("stop")

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if call == self.held:
            self.gate.wait(20)
        if call in self.errors:
            raise self.errors[call]
