"""An imitation of the module `kudu` (kudu-python 1.18.1), traps included: what ends the real process is `Crashed`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from types import ModuleType, SimpleNamespace
from typing import Any

BUFFER_BYTES = 7 * 1024 * 1024


class Crashed(BaseException):
    """The real library would have freed an operation twice."""


class KuduException(Exception):  # noqa: N818 - the library's name
    pass


class KuduBadStatus(KuduException):
    pass


class KuduNotFound(KuduBadStatus):
    pass


@dataclass
class Column:
    name: str
    kind: str
    nullable: bool
    type_attributes: Any = None

    @property
    def type(self) -> Any:
        return SimpleNamespace(name=self.kind)


class Adding:
    def __init__(self, column: Column) -> None:
        self.column = column
        column.type_attributes = SimpleNamespace(precision=0, scale=0, length=0)

    def precision(self, number: int) -> Adding:
        self.column.type_attributes.precision = number
        return self

    def scale(self, number: int) -> Adding:
        self.column.type_attributes.scale = number
        return self

    def length(self, number: int) -> Adding:
        self.column.type_attributes.length = number
        return self


class Schema:
    def __init__(self) -> None:
        self.columns: list[Column] = []
        self.keys: list[str] = []

    def add_column(self, name: str, type_: str, nullable: bool) -> Adding:
        self.columns.append(Column(name, type_, nullable))
        return Adding(self.columns[-1])

    def set_primary_keys(self, names: list[str]) -> None:
        self.keys = names

    def build(self) -> Schema:
        return self

    def primary_keys(self) -> list[str]:
        return self.keys

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def __getitem__(self, index: int) -> Column:
        return self.columns[index]


@dataclass
class Stored:
    schema: Schema
    rows: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)


@dataclass
class Operation:
    kind: str
    table: Stored
    cells: dict[str, Any]


class Table:
    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self.schema = Schema()  # a handle knows the columns of its time
        self.schema.columns, self.schema.keys = list(stored.schema.columns), stored.schema.keys

    def new_upsert(self, record: dict[str, Any]) -> Operation:
        return self._operation("upsert", record)

    def new_insert_ignore(self, record: dict[str, Any]) -> Operation:
        return self._operation("insert", record)

    def new_delete_ignore(self, record: dict[str, Any]) -> Operation:
        return self._operation("delete", record)

    def _operation(self, kind: str, record: dict[str, Any]) -> Operation:
        columns = {column.name: column for column in self.schema.columns}
        return Operation(kind, self._stored, {name: _stored(columns[name], value) for name, value in record.items()})

    def scanner(self) -> Table:
        return self

    def open(self) -> None:
        self._unread = [tuple(row.get(name) for name in self.schema.names) for row in self._stored.rows.values()]

    def has_more_rows(self) -> bool:
        return bool(self._unread)

    def read_next_batch_tuples(self) -> list[tuple[Any, ...]]:
        batch, self._unread = self._unread[:1_000], self._unread[1_000:]
        return batch


def _stored(column: Column, value: Any) -> Any:
    if value is None:
        return None
    match column.kind:
        case "decimal":
            if not isinstance(value, Decimal):
                raise TypeError(value)
            sign, digits, _ = value.as_tuple()  # trap 1: the value's own exponent is forgotten
            unscaled = int("".join(map(str, digits))) * (-1 if sign else 1)
            return Decimal((int(unscaled < 0), Decimal(abs(unscaled)).as_tuple().digits, -column.type_attributes.scale))
        case "unixtime_micros":
            if not isinstance(value, datetime):
                raise ValueError(value)  # noqa: TRY004 - as the library does
            return value.replace(tzinfo=UTC)
        case "string" | "varchar":
            if not isinstance(value, str | bytes):
                raise TypeError(value)
            return value
        case "date":
            assert type(value) is date
    return value


class Session:
    def __init__(self, client: Client) -> None:
        self._client = client
        self._buffer: list[Operation] = []
        self._bytes = 0
        self._pending: list[Any] = []

    def apply(self, operation: Operation) -> None:
        schema = operation.table.schema
        needed = schema.keys if operation.kind == "delete" else [c.name for c in schema.columns if not c.nullable]
        if any(operation.cells.get(name) is None for name in needed):
            raise Crashed("a NOT NULL column is unset")  # trap 2
        self._bytes += sum(len(cell) for cell in operation.cells.values() if isinstance(cell, str | bytes))
        if self._bytes > BUFFER_BYTES:
            raise Crashed("the buffer is full")  # trap 2
        self._buffer.append(operation)

    def flush(self) -> None:
        assert not self._pending, "errors of an earlier flush were not fetched"
        self._client.flushes += 1
        buffer, self._buffer, self._bytes = self._buffer, [], 0
        for operation in buffer:
            self._run(operation)
        if self._pending:
            raise KuduBadStatus(b"IO error: Some errors occurred, see KuduSession::GetPendingErrors()")

    def get_pending_errors(self) -> tuple[list[Any], bool]:
        pending, self._pending = self._pending, []
        return pending, False

    def _run(self, operation: Operation) -> None:
        if self._client.fault is not None:
            self._pending.append(KuduError(self._client.fault))
        elif any(isinstance(cell, bytes) and len(cell) > 65_536 for cell in operation.cells.values()):
            self._pending.append(KuduError("Invalid argument: value too large for column"))
        else:
            _carry_out(operation)


@dataclass
class KuduError:
    status: str

    def __repr__(self) -> str:
        return f"KuduError('{self.status}')"


def _carry_out(operation: Operation) -> None:
    rows = operation.table.rows
    key = tuple(operation.cells[name] for name in operation.table.schema.keys)
    if operation.kind == "delete":
        rows.pop(key, None)
    elif operation.kind == "upsert" or key not in rows:
        empty = dict.fromkeys(operation.table.schema.names)
        rows[key] = rows.get(key, empty) | operation.cells


class Client:
    def __init__(self) -> None:
        self.tables: dict[str, Stored] = {}
        self.fault: str | None = None
        self.flushes = 0
        self.timeouts_ms: list[int] = []

    def connect(self, hosts: list[str], ports: list[int], admin_timeout_ms: int, rpc_timeout_ms: int) -> Client:
        assert len(hosts) == len(ports)
        self.timeouts_ms += [admin_timeout_ms, rpc_timeout_ms]
        return self

    def new_session(self, flush_mode: str, timeout_ms: int) -> Session:
        assert flush_mode == "manual"
        self.timeouts_ms.append(timeout_ms)
        return Session(self)

    def create_table(self, name: str, schema: Schema, partitioning: Any, n_replicas: int) -> None:
        assert partitioning.buckets >= 2 or partitioning.range_on
        assert n_replicas == 1
        if name in self.tables:
            raise KuduBadStatus(f"Already present: table {name} already exists with id 1")
        self.tables[name] = Stored(schema)

    def new_table_alterer(self, table: Table) -> Alterer:
        return Alterer(table)

    def delete_table(self, name: str) -> None:
        del self.tables[name]

    def table(self, name: str) -> Table:
        if name not in self.tables:
            raise KuduNotFound(f"Not found: the table does not exist: table_name: {name}")
        return Table(self.tables[name])


class Alterer:
    def __init__(self, table: Table) -> None:
        self._schema = table._stored.schema
        self._added = Schema()

    def add_column(self, name: str, type_: str, nullable: bool) -> Adding:
        return self._added.add_column(name, type_, nullable)

    def alter(self) -> None:
        for column in self._added.columns:
            if column.name in self._schema.names:
                raise KuduBadStatus(f"Already present: The column already exists: {column.name}")
        self._schema.columns += self._added.columns


class Partitioning:
    buckets = 0
    range_on: tuple[str, ...] = ()

    def set_range_partition_columns(self, column_names: list[str]) -> Partitioning:
        self.range_on = tuple(column_names)
        return self

    def add_range_partition_split(self, row: dict[str, Any]) -> Partitioning:
        assert tuple(row) == self.range_on
        assert not isinstance(row[self.range_on[0]], datetime) or row[self.range_on[0]].tzinfo is None
        return self

    def add_hash_partitions(self, column_names: list[str], num_buckets: int) -> Partitioning:
        assert column_names
        self.buckets = num_buckets
        return self


def install(monkeypatch: Any) -> Client:
    """Make `import kudu` find the imitation; returns its one client."""
    client = Client()
    module, submodule = ModuleType("kudu"), ModuleType("kudu.client")
    for name, value in {
        "connect": client.connect,
        "schema_builder": Schema,
        "KuduException": KuduException,
        "__spec__": SimpleNamespace(name="kudu"),
    }.items():
        setattr(module, name, value)
    submodule.__dict__["Partitioning"] = Partitioning
    monkeypatch.setitem(sys.modules, "kudu", module)
    monkeypatch.setitem(sys.modules, "kudu.client", submodule)
    return client
