"""Toy plugins: a source that counts, a sink that writes to a file; loaded by their dotted paths."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from connectors import (
    ConfigDef,
    DataError,
    SinkConnector,
    SinkRecord,
    SinkTask,
    SourceConnector,
    SourceRecord,
    SourceTask,
    TopicPartition,
    Type,
)
from connectors.api.config import ConfigValue


class CountingSource(SourceConnector):
    """Sends the numbers from 0 to `limit`."""

    @classmethod
    def exactly_once_support(cls, props: Mapping[str, str]) -> bool:
        return True

    @classmethod
    def can_define_transaction_boundaries(cls, props: Mapping[str, str]) -> bool:
        return True

    @classmethod
    def task_class(cls) -> type[SourceTask]:
        return CountingTask

    @classmethod
    def config(cls) -> ConfigDef:
        return (
            ConfigDef()
            .define("topic", Type.STRING, doc="Target topic.")
            .define("limit", Type.INT, 1000, doc="How many numbers.")
            .define("batch", Type.INT, 100, doc="Numbers a poll.")
            .define("pause.ms", Type.INT, 0, doc="Pause before each poll.")
            .define("fail.at", Type.INT, -1, doc="Number that raises.")
            .define("tasks", Type.INT, 1, doc="How many tasks count, each for itself.")
            .define("task", Type.INT, -1, doc="Number of the task, where there are several.")
            .define("abort.every", Type.INT, 0, doc="Drop each so many-th batch, commit the others.")
            .define("secret", Type.PASSWORD, None, doc="A secret.")
            .define("fail.with.secret", Type.BOOLEAN, False, doc="Raise an error with the secret in it.")
            .define("fail.times", Type.STRING, "", doc="File whose lines count the failures; three are enough.")
        )

    def task_configs(self, max_tasks: int) -> list[dict[str, str]]:
        count = int(self.props.get("tasks", 1))
        return [self.props if count == 1 and "tasks" not in self.props else {**self.props, "task": str(number)}
                for number in range(count)]  # fmt: skip

    @classmethod
    def validate(cls, props: Mapping[str, str]) -> list[ConfigValue]:
        if props.get("topic") == "hang":
            time.sleep(3600)
        return super().validate(props)

    @classmethod
    def signals(cls) -> tuple[str, ...]:
        return ("jump",)

    def alter_offsets(
        self, props: Mapping[str, str], offsets: list[tuple[dict[str, Any], dict[str, Any] | None]]
    ) -> bool:
        if any(offset is not None and not isinstance(offset.get("next"), int) for _, offset in offsets):
            raise DataError("next is no number")
        return props["topic"].endswith("own")


class CountingTask(SourceTask):
    def start(self, props: Mapping[str, str]) -> None:
        own = {key: value for key, value in props.items() if key in CountingSource.config()}
        self.options = CountingSource.config().parse(own)
        self.extra = {} if self.options["task"] < 0 else {"task": self.options["task"]}
        self.partition = {"numbers": "all"} | self.extra
        offset = self.context.offset_storage_reader.offset(self.partition)
        self.next = 0 if offset is None else offset["next"]
        if self.options["fail.with.secret"]:
            raise OSError(f"cannot log in with {self.options['secret'].value}")
        if self.options["fail.times"]:
            self._fail_thrice(Path(self.options["fail.times"]))

    def _fail_thrice(self, file: Path) -> None:
        failures = file.read_text().count("\n") if file.exists() else 0
        if failures < 3:
            file.write_text("x\n" * (failures + 1))
            raise OSError(f"failure {failures + 1}")

    def poll(self) -> list[SourceRecord] | None:
        time.sleep(self.options["pause.ms"] / 1000)
        end = min(self.next + self.options["batch"], self.options["limit"])
        if self.next >= end:
            time.sleep(0.05)
            return None
        if self.next <= self.options["fail.at"] < end:
            raise ValueError(f"number {self.options['fail.at']} is out of cheese")
        records = [
            SourceRecord(
                self.options["topic"],
                {"number": number} | self.extra,
                str(number),
                source_partition=self.partition,
                source_offset={"next": number + 1},
            )
            for number in range(self.next, end)
        ]
        self.next = end
        transactions, every = self.context.transaction_context, self.options["abort.every"]
        if transactions is not None and every:
            if end // self.options["batch"] % every == 0:
                transactions.abort_transaction()
            else:
                transactions.commit_transaction(records[-1])
        return records

    def signal(self, kind: str, data: Mapping[str, Any]) -> None:
        if not isinstance(data.get("to"), int):
            raise DataError("jump needs a number in to")
        self.next = data["to"]

    def stop(self) -> None:
        return


class WatchingSource(CountingSource):
    """As many tasks as the file `watch` says, now; `fail` in it fails the connector. Its calls go to `<watch>.log`."""

    @classmethod
    def config(cls) -> ConfigDef:
        return super().config().define("watch", Type.STRING, doc="The file.")

    def start(self, props: Mapping[str, str]) -> None:
        super().start(props)
        self.file = Path(props["watch"])
        self._note("start")
        self.stopped = threading.Event()
        self.seen = self.file.read_text()
        threading.Thread(target=self._watch, args=(self.stopped,), daemon=True).start()

    def _watch(self, stopped: threading.Event) -> None:
        while not stopped.wait(0.05):
            text = self.file.read_text()
            if text != self.seen:
                self.seen = text
                if text == "fail":
                    self.context.raise_error(OSError("the file says so"))
                else:
                    self.context.request_task_reconfiguration()

    def task_configs(self, max_tasks: int) -> list[dict[str, str]]:
        return [{**self.props, "task": str(number)} for number in range(int(self.seen))]

    def stop(self) -> None:
        self._note("stop")
        self.stopped.set()

    def _note(self, call: str) -> None:
        with self.file.with_suffix(".log").open("a") as log:
            log.write(f"{call}\n")


class FileSink(SinkConnector):
    """Appends numbers to a file at each flush."""

    @classmethod
    def task_class(cls) -> type[SinkTask]:
        return FileTask

    @classmethod
    def config(cls) -> ConfigDef:
        return (
            ConfigDef()
            .define("file", Type.STRING, doc="Target file.")
            .define("refuse", Type.INT, -1, doc="Number that is refused.")
        )


class FileTask(SinkTask):
    def start(self, props: Mapping[str, str]) -> None:
        self.path = Path(props["file"])
        self.refuse = int(props.get("refuse", -1))
        self.held: list[Any] = []

    def open(self, partitions: Collection[TopicPartition]) -> None:
        self.held.clear()

    async def put(self, records: list[SinkRecord]) -> None:
        for record in records:
            number = record.value[0].row["number"]
            if number == self.refuse:
                error = DataError(f"{number} is refused")
                self.context.errant_record_reporter.report(record, error)
            else:
                self.held.append(number)

    def flush(self, offsets: Mapping[TopicPartition, int]) -> None:
        with self.path.open("a") as out:
            out.writelines(json.dumps(number) + "\n" for number in self.held)
            out.flush()
            os.fsync(out.fileno())
        self.held.clear()

    def stop(self) -> None:
        return


class HangingSource(SourceConnector):
    """Never comes back from the method that `hang` names."""

    @classmethod
    def task_class(cls) -> type[SourceTask]:
        return HangingTask

    @classmethod
    def config(cls) -> ConfigDef:
        return ConfigDef().define("hang", Type.STRING, doc="plan, start, poll or stop.")

    def task_configs(self, max_tasks: int) -> list[dict[str, str]]:
        if self.props["hang"] == "plan":
            time.sleep(3600)
        return super().task_configs(max_tasks)


class HangingTask(SourceTask):
    def start(self, props: Mapping[str, str]) -> None:
        self.where = props["hang"]
        self._pass("start")

    def poll(self) -> None:
        self._pass("poll")
        time.sleep(0.1)

    def stop(self) -> None:
        self._pass("stop")

    def _pass(self, method: str) -> None:
        if method == self.where:
            time.sleep(3600)
