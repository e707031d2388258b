"""Runs a source task exactly once: records and the offset behind them in one Kafka transaction.

Source: KIP-618. The transactional id belongs to the task, not to the worker, so a new instance of the task fences the
old one wherever that hangs; only then are the offsets read.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from connectors.api.connector import Connector
from connectors.api.errors import FatalError
from connectors.api.record import SourceRecord
from connectors.api.source import SourceConnector
from connectors.runtime.fencing import transactional_id
from connectors.runtime.settings import WorkerSettings
from connectors.runtime.source_context import StoredOffsets, Transactions
from connectors.runtime.source_task import SourceTaskRunner
from connectors.runtime.task import EndedError, Report, TaskSpec

__all__ = ["ReadOffsets", "TransactionalSourceRunner", "is_exactly_once"]

log = logging.getLogger(__name__)

ReadOffsets = Callable[[], Awaitable[StoredOffsets]]
"""Reads the connector's offsets as they are now, all that is committed included."""

_CALL_S: Final = 2.0
_RETRY_S: Final = 1.0
# Of a transaction with more bytes nothing is kept to send it again, should Kafka abort it.
_KEPT_BYTES: Final = 64 << 20

_FENCED: Final = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH})
# Of the record itself: it would be refused again.
_PERMANENT: Final = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.INVALID_RECORD,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.POLICY_VIOLATION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._UNKNOWN_TOPIC,
    }
)


class _AbortedError(Exception):
    """The transaction cannot be committed; it has to be aborted and written anew."""


def is_exactly_once(plugin: type[Connector], props: Mapping[str, str], settings: WorkerSettings) -> bool:
    """Tell whether a connector's tasks write in transactions."""
    if not issubclass(plugin, SourceConnector):
        return False
    if props.get("exactly.once.support", "requested") == "required":
        return True
    return settings.exactly_once_source and plugin.exactly_once_support(props) is True


class TransactionalSourceRunner(SourceTaskRunner):
    """See `SourceTaskRunner`.

    Args:
        spec: What to run.
        report: Called from the task's thread at each change of state.
        read_offsets: Reads the stored offsets.
    """

    def __init__(self, spec: TaskSpec, report: Report, read_offsets: ReadOffsets) -> None:
        super().__init__(spec, report, StoredOffsets([]))
        self.transactional_id = transactional_id(spec.settings, spec.task_id)
        self._read_offsets = read_offsets
        self._boundary = spec.props.get("transaction.boundary", "poll")
        interval = spec.props.get("transaction.boundary.interval.ms")
        self._flush_s = self._flush_s if interval is None else int(interval) / 1000
        self._next_flush = time.monotonic() + self._flush_s
        if self._boundary == "connector":
            self._transactions = Transactions()
        self._begun = False
        self._broken = False
        self._kept: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        self._kept_bytes = 0

    def producer_options(self) -> dict[str, Any]:
        """Return what makes the producer transactional."""
        # As long as an interval and a commit may take. Readers of what comes after wait as long for a worker that died.
        longest_ms = 10_000 + (0 if self._boundary == "poll" else 2 * int(self._flush_s * 1000))
        longest_ms = 60_000 if self._boundary == "connector" else min(longest_ms, 900_000)
        return {
            "transactional.id": self.transactional_id,
            "transaction.timeout.ms": longest_ms,
            "message.timeout.ms": longest_ms,
        }

    def _may_go_in_rounds(self) -> bool:
        return False

    async def prepare(self) -> None:
        """Fence the task's former instance, then read how far it came."""
        await self._transact(self._producer.init_transactions)
        self._stored = await self._read_offsets()

    async def step(self) -> None:
        """Poll once, write what came, commit where the boundary is."""
        records = await self._poll()
        if records:
            await self._send_parts(records)
            self._serve()
        if (records and self._boundary == "poll") or time.monotonic() >= self._next_flush:
            await self._store_offsets()

    async def idle(self) -> None:
        """While paused: commit what waits for its interval."""
        await self.wait(self._until_next())
        await self._store_offsets()

    async def finish(self) -> None:
        """Commit what is whole."""
        await self._store_offsets()

    async def release(self) -> None:
        """Abort what is not committed; the next start polls it again."""
        if hasattr(self, "_producer") and self._begun:
            try:
                await asyncio.to_thread(self._producer.abort_transaction, 1.0)
            except KafkaException as error:
                # Fenced, or Kafka is away: it ends the transaction itself.
                log.info("%s: the open transaction is left to Kafka: %s", self.spec.task_id, error.args[0].str())
        await super().release()

    def refused(self, topic: str, error: KafkaError) -> None:
        """Learn that Kafka did not take a record; unless it never will, the transaction is written again."""
        if error.code() in _PERMANENT:
            super().refused(topic, error)

    async def _send_parts(self, records: list[SourceRecord]) -> None:
        if self._transactions is None:
            await self._send(records)
            return
        for part, ending in self._transactions.take(records):
            await self._send(part)
            if ending is not None:
                await self._commit(drop=ending == "abort")

    async def _settle(self) -> None:
        """Serve callbacks; what is acknowledged counts only once it is committed."""
        self._serve()
        if self.failure is not None:
            raise self.failure

    async def _store_offsets(self) -> None:
        self._next_flush = time.monotonic() + self._flush_s
        if self._transactions is None:
            await self._commit()

    def _enqueue(self, give_up: Callable[[], bool], topic: str, *arguments: Any, **options: Any) -> None:
        self._begin()
        # Kept only once it is taken: what the producer refuses is no part of the transaction.
        self._hand(give_up, topic, *arguments, **options)
        if self._kept_bytes <= _KEPT_BYTES:
            self._kept.append(((topic, *arguments), options))
            self._kept_bytes += sum(len(each) for each in arguments if each is not None)

    def _begin(self) -> None:
        if self._begun:
            return
        try:
            self._producer.begin_transaction()
        except KafkaException as error:
            self._tell_fenced(error.args[0])
            raise FatalError(f"transaction {self.transactional_id}: {error.args[0].str()}") from error
        self._begun = True

    def _hand(self, give_up: Callable[[], bool], topic: str, *arguments: Any, **options: Any) -> None:
        if self._broken:  # it will be aborted: all of it is handed over again then
            return
        try:
            super()._enqueue(give_up, topic, *arguments, **options)
        except FatalError as error:
            cause = error.__cause__
            if not isinstance(cause, KafkaException) or cause.args[0].code() in _PERMANENT:
                raise
            self._tell_fenced(cause.args[0])
            log.warning("%s: %s", self.spec.task_id, error)
            self._broken = True

    # --- transactions ---

    async def _commit(self, *, drop: bool = False) -> None:
        """Commit the records and the offsets behind them; with `drop`, the offsets alone."""
        if not self._inflight or self._cut or self.abandoned:
            return
        offsets = {
            json.dumps(record.source_partition or {}, sort_keys=True): record.source_offset
            for record in self._inflight.last().values()
        }
        if drop:
            await self._abort()
            self._forget()
        self._write_offsets(offsets, self._late, _ignore)
        while self._begun:
            try:
                if self.failure is not None:
                    raise self.failure
                if self._broken:
                    raise _AbortedError("the producer refused a record")  # noqa: TRY301 - one way for both
                await self._transact(self._producer.commit_transaction)
                self._begun = False
            except _AbortedError as error:
                await self._write_again(str(error))
        await self._committed(dropped=drop)

    async def _committed(self, *, dropped: bool) -> None:
        count = len(self._inflight)
        self.metrics.transaction.observe(count)
        self._inflight.clear()
        self._forget()
        if not dropped:
            self.metrics.written.inc(count)
        acked, self.acked = self.acked, []
        if acked:
            await self._tell_acked([(record, None if dropped else place) for record, place in acked])
        await self._tell_committed()

    async def _write_again(self, reason: str) -> None:
        """Abort the transaction and write it once more."""
        if self.failure is not None:
            raise self.failure
        log.warning("%s: the transaction is aborted and written again: %s", self.spec.task_id, reason)
        self.metrics.retries.inc()
        await self._abort()
        if self._kept_bytes > _KEPT_BYTES:
            raise FatalError(
                f"Kafka aborted a transaction of more than {_KEPT_BYTES >> 20} MB ({reason}); restart the task, which"
                " reads these records again"
            )
        await self.wait(_RETRY_S)
        if self.stopping():
            raise EndedError("stops before its transaction is written again; the next start polls it again")
        self._begin()
        for arguments, options in self._kept:
            self._hand(self._late, *arguments, **options)

    async def _abort(self) -> None:
        if self._begun:
            await self._transact(self._producer.abort_transaction)
        self._begun = self._broken = False
        # What was told of records of that transaction is no longer true.
        self.acked = [(record, place) for record, place in self.acked if place is None]

    def _forget(self) -> None:
        self._kept.clear()
        self._kept_bytes = 0

    def _late(self) -> bool:
        return time.monotonic() > self._stop_by

    async def _transact(self, call: Callable[[float], None]) -> None:
        """Make a call of the transactional producer until it succeeds; it goes on where it stopped.

        Raises:
            _AbortedError: The transaction must be aborted.
            EndedError: Another instance of the task took over, or the time to stop is up.
            FatalError: Kafka refuses for good.
        """
        name = getattr(call, "__name__", "call")
        while True:
            try:
                await asyncio.to_thread(call, _CALL_S)
            except KafkaException as error:
                problem = error.args[0]
            else:
                return
            self._tell_fenced(problem)
            if problem.txn_requires_abort():
                raise _AbortedError(problem.str())
            if not problem.retriable() and problem.code() != KafkaError._TIMED_OUT:
                raise FatalError(f"transaction {self.transactional_id}: {name}: {problem.str()}")
            if self._late() or (self.stopping() and name == "init_transactions"):
                raise EndedError(f"stops while Kafka does not answer to {name}; the next start polls it again")
            log.warning("%s: %s: %s; trying again", self.spec.task_id, name, problem.str())

    def _lost(self, problem: KafkaError) -> None:
        self._tell_fenced(problem)
        super()._lost(problem)

    def _tell_fenced(self, problem: KafkaError) -> None:
        if problem.code() in _FENCED:
            raise EndedError(f"another instance of this task took over (transactional id {self.transactional_id})")
        if problem.fatal():
            raise FatalError(f"transaction {self.transactional_id}: {problem.str()}")


def _ignore(_error: Any, _message: Any) -> None:
    """Do nothing: whether an offset was delivered, the commit tells."""
