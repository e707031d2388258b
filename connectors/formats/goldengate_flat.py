"""A GoldenGate message as Canal's flat message, for what reads such a topic without a connector between."""

from __future__ import annotations

import time
from typing import Any

import orjson

from connectors.api.errors import DataError
from connectors.formats.flat_message import FlatMessages
from connectors.formats.goldengate import GoldenGateFormat, decode_objects

__all__ = ["FlatReader"]


class FlatReader:
    """Turns messages of one operation into flat messages.

    Args:
        form: Reads the operations.
    """

    def __init__(self, form: GoldenGateFormat) -> None:
        self._form = form
        self._flat = FlatMessages()

    def __call__(self, data: bytes) -> dict[str, Any]:
        """Return the flat message; an UPDATE of the key stays one UPDATE, a table's schema becomes a QUERY.

        Raises:
            DataError: It is no operation, or holds several (`mode=tx`), which may go to several tables.
        """
        records = list(decode_objects(data))
        if len(records) != 1:
            raise DataError(
                f"{len(records)} GoldenGate operations in a message where one is needed; have GoldenGateSource read a"
                " topic of whole transactions (mode=tx)"
            )
        operation = self._form.operation(records[0])
        now_ms = time.time_ns() // 1_000_000
        if operation is None:
            return _message(self._flat.truncate("", "", es_ms=now_ms, ts_ms=now_ms, message_id=0)) | {
                "type": "QUERY",
                "sql": "",
            }
        es_ms = now_ms if operation.op_us is None else operation.op_us // 1000
        moment = {"es_ms": es_ms, "ts_ms": now_ms, "message_id": 0}
        if operation.op == "TRUNCATE":
            return _message(self._flat.truncate(operation.database, operation.table, **moment))
        [change] = operation.changes(split_key_updates=False)
        types = operation.types
        return _message(self._flat.encode(change, types, **moment))


def _message(value: bytes) -> dict[str, Any]:
    message: dict[str, Any] = orjson.loads(value)
    return message
