"""The contract of source plugins."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol, cast

from connectors.api.connector import Connector, ConnectorContext, Props, Task
from connectors.api.errors import DataError
from connectors.api.record import RecordMetadata, SourceRecord

__all__ = [
    "OffsetStorageReader",
    "SourceConnector",
    "SourceConnectorContext",
    "SourceTask",
    "SourceTaskContext",
    "TransactionContext",
]


class OffsetStorageReader(Protocol):
    """Reads the offsets that the runtime stored for this connector."""

    def offset(self, partition: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the last stored offset of a source partition, or None."""

    def offsets(self) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Return all stored (source partition, offset) pairs of this connector."""


class TransactionContext(Protocol):
    """Where a task's transactions end, with `transaction.boundary=connector` (KIP-618)."""

    def commit_transaction(self, record: SourceRecord | None = None) -> None:
        """Commit after the batch that `poll` returns next, or after this record of it."""

    def abort_transaction(self, record: SourceRecord | None = None) -> None:
        """Drop all records of the transaction after the next batch, or up to and with this record of it.

        Their offsets are stored all the same; where the records should come again, raise an error instead.
        """


class SourceTaskContext(Protocol):
    """What a source task may ask of the runtime."""

    @property
    def connector(self) -> str:
        """Name of the connector."""

    @property
    def offset_storage_reader(self) -> OffsetStorageReader:
        """The stored offsets, as they were when the task started."""

    @property
    def transaction_context(self) -> TransactionContext | None:
        """Where transactions end; None unless the connector defines it."""

    def configs(self) -> dict[str, str]:
        """Return the task's present configuration, secrets resolved."""

    def gauge(self, name: str, value: float) -> None:
        """Show a figure of the plugin under `/metrics`, as `connect_source_<name>`. May be called from any thread.

        Args:
            name: Snake case, with its unit at the end, e.g. `lag_seconds`.
            value: The figure now.
        """


class SourceConnectorContext(ConnectorContext, Protocol):
    """What a source connector may ask of the runtime."""

    @property
    def offset_storage_reader(self) -> OffsetStorageReader:
        """The offsets that are stored now, e.g. to plan tasks by what is left to do."""


class SourceConnector(Connector):
    """A connector whose tasks are `SourceTask`s."""

    context: SourceConnectorContext

    def initialize(self, context: ConnectorContext) -> None:
        """Receive the runtime's context, that of a source. Called once, before `start`."""
        self.context = cast("SourceConnectorContext", context)

    @classmethod
    def exactly_once_support(cls, props: Props) -> bool | None:
        """Tell whether each record's offset says exactly where to go on, so that transactions make it exactly once.

        None, the default, is not known, and counts as no. The last record of a batch must have a `source_offset`.
        """
        del props
        return None

    @classmethod
    def can_define_transaction_boundaries(cls, props: Props) -> bool:
        """Tell whether the tasks use `context.transaction_context`."""
        del props
        return False

    @classmethod
    def signals(cls) -> tuple[str, ...]:
        """Return the types of messages that users may send to the running tasks; see `SourceTask.signal`."""
        return ()

    def alter_offsets(
        self, props: Mapping[str, str], offsets: list[tuple[dict[str, Any], dict[str, Any] | None]]
    ) -> Any:
        """Learn that a user is about to change stored offsets; the connector is stopped and was not started.

        Args:
            props: The connector's configuration, secrets resolved.
            offsets: Source partitions and their new offsets; None: to be forgotten.

        Returns:
            Whether the plugin keeps offsets of its own and has changed those; the default is False.

        Raises:
            ConnectError: These offsets make no sense; nothing is changed, and the user sees the sentence.
        """
        del props, offsets
        return False


class SourceTask(Task):
    """Reads a source.

    The life of a source task:
        1. `initialize(context)`.
        2. `start(props)`: open the source at `context.offset_storage_reader.offset(...)`.
        3. `poll()`, again and again. The runtime converts and produces what it returns, in order.
        4. `commit_record(record, metadata)` once a record is acknowledged by all in-sync replicas.
        5. `commit()` after offsets were stored in Kafka.
        6. `stop()`.

    The offset of a record is stored only after that record and every record returned before it are acknowledged.
    A record delivered after the last stored offset is delivered again after a crash: at least once.

    A piece of the source that cannot be read is returned as `SourceRecord.errant(...)` in its place; the runtime's
    error policy (fail, skip or dead letter) decides.
    """

    context: SourceTaskContext

    def initialize(self, context: SourceTaskContext) -> None:
        """Receive the runtime's context. Called once, before `start`."""
        self.context = context

    @abstractmethod
    def poll(self) -> Any:
        """Return a list of `SourceRecord`, or None where there is nothing; may wait up to about a second.

        Raises:
            RetriableError: The source is out of reach for now; the runtime polls again after a back-off.
        """

    def commit(self) -> Any:
        """Learn that offsets were stored."""
        return

    def signal(self, kind: str, data: Mapping[str, Any]) -> Any:
        """Take a message from a user; called between two polls.

        Args:
            kind: One of the connector's `signals`.
            data: What came with it.

        Raises:
            DataError: It makes no sense; the sentence is logged, and the task goes on.
        """
        del data
        raise DataError(f"a signal {kind} means nothing to this source")

    def commit_record(self, record: SourceRecord, metadata: RecordMetadata | None) -> Any:
        """Learn that a record was acknowledged; `metadata` is None where it was filtered out or skipped."""
        return
