"""The task: start, poll, stop."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final

from connectors.api.connector import Props
from connectors.api.errors import FatalError
from connectors.api.record import SourceRecord
from connectors.api.source import SourceTask
from connectors.clients.kafka import KafkaSettings
from connectors.formats.goldengate_options import format_of
from connectors.sources.goldengate.file_reader import FileReader
from connectors.sources.goldengate.files import Directory
from connectors.sources.goldengate.messages import Messages
from connectors.sources.goldengate.options import CONFIG, PREFIX, check_together, read_share
from connectors.sources.goldengate.routing import Routing
from connectors.sources.goldengate.topic_reader import TopicReader

__all__ = ["GoldenGateTask"]

_POLL_S: Final = 0.3


class GoldenGateTask(SourceTask):
    """Reads a directory, or some partitions of a topic."""

    def __init__(self) -> None:
        self._files: FileReader | None = None
        self._topic: TopicReader | None = None
        self._stopped = threading.Event()
        self._skip = False

    def start(self, props: Props) -> None:
        """Take up where the stored offset says.

        Raises:
            ConfigError: An option cannot be used.
            FatalError: The stored offset is not of this connector.
        """
        values = CONFIG.parse(props)
        check_together(values)
        if values["goldengate.path"]:
            self._start_files(values)
        else:
            self._start_topic(values)

    def poll(self) -> list[SourceRecord] | None:
        """Return records; waits up to 0.3 s for them."""
        if self._topic is not None:
            return self._topic.poll(_POLL_S) or None
        if self._files is None:
            raise FatalError("poll was called before start")
        if self._skip:
            self._skip = False
            return [self._files.skip_to_end()]
        records = self._files.poll()
        if not records:
            self._stopped.wait(_POLL_S)
        return records or None

    def stop(self) -> None:
        """Close the input."""
        self._stopped.set()
        if self._files is not None:
            self._files.close()
        if self._topic is not None:
            self._topic.close()

    def _messages(self, values: Mapping[str, Any], partition: dict[str, Any], state: tuple[int, str]) -> Messages:
        routing = Routing(
            values["topic"], values["topic.ddl"], values["table.include.list"], values["table.exclude.list"]
        )
        return Messages(
            format_of(values, PREFIX),
            routing,
            partition,
            keyed=values["message.key"] == "primary-key",
            deduplicate=values["goldengate.deduplicate"],
            change_time=values["record.timestamp"] == "change",
            state=state,
        )

    def _start_files(self, values: Mapping[str, Any]) -> None:
        path = values["goldengate.path"]
        partition = {"path": path}
        stored = self.context.offset_storage_reader.offset(partition)
        try:
            state = (int(stored["ts_us"]), str(stored["pos"])) if stored else (0, "")
            files = stored["files"] if stored else {}
            directory = Directory(path, tuple(values["goldengate.ignore.suffixes"]), files)
        except (KeyError, TypeError, ValueError) as error:
            raise FatalError(f"the stored offset {stored!r} cannot be used: {error!r}") from None
        self._skip = stored is None and values["goldengate.start.position"] == "latest"
        self._files = FileReader(
            directory,
            self._messages(values, partition, state),
            max_batch=values["max.batch.size"],
            transactional=values["goldengate.mode"] == "tx",
            max_record=values["goldengate.max.record.bytes"],
            max_transaction=values["goldengate.max.transaction.bytes"],
            partial_s=values["goldengate.partial.timeout.ms"] / 1000,
        )

    def _start_topic(self, values: Mapping[str, Any]) -> None:
        start = "goldengate.consumer."
        own = {name.removeprefix(start): text for name, text in values.items()
               if name.startswith(start) and "<" not in name}  # fmt: skip
        servers = values["goldengate.bootstrap.servers"]
        client = {"bootstrap.servers": servers} if servers else KafkaSettings.from_env().librdkafka()
        self._topic = TopicReader(
            values["goldengate.topic"],
            client | own,
            read_share(values),
            self.context.offset_storage_reader.offset,
            lambda partition, state: self._messages(values, partition, state),
            latest=values["goldengate.start.position"] == "latest",
            max_batch=values["max.batch.size"],
        )
