"""Back end `jvm`: the official Java client in this process."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from connectors.api.errors import ConnectError
from connectors.clients.kudu.columns import Column, decode, encode
from connectors.clients.kudu.jvm import helper, start_jvm
from connectors.clients.kudu.port import (
    AWAY,
    ColumnSpec,
    FailureKind,
    Layout,
    OpKind,
    RowFailure,
    RowOp,
    Table,
    to_python,
)
from connectors.clients.kudu.settings import KuduSettings, check_masters, error_of

__all__ = ["JvmKuduClient"]

_CLIENT: Final = "org.apache.kudu.client."
_MOST_ROWS: Final = 4_000
_MOST_BYTES: Final = 8 * 1024 * 1024
_ROWS_READ: Final = 4_000


class JvmKuduClient:
    """The Java client, whole batches in one call.

    Writes with MANUAL_FLUSH and one flush at a time: the other modes of the client may reorder the writes of a key
    (KUDU-1767).

    Args:
        settings: How to reach the cluster.

    Raises:
        ConfigError: JPype, a Java runtime or a jar is missing.
        RetriableError: No master answers.
    """

    def __init__(self, settings: KuduSettings) -> None:
        self._where = f"Kudu {settings.masters}"
        check_masters(settings)
        self._jpype = start_jvm(settings.jars, settings.heap_mb)
        self._bulk = helper(self._jpype)
        self._client: Any = self._connect(settings)
        self._session = self._open_session(settings)

    def open_table(self, name: str) -> Table:
        """See `KuduClient`."""
        handle = self._call(f"table {name}", self._client.openTable, name)
        return Table(name, tuple(_column(schema) for schema in handle.getSchema().getColumns()), handle)

    def reopen(self, table: Table) -> Table:
        """See `KuduClient`."""
        return self.open_table(table.name)

    def write_batch(self, table: Table, ops: Sequence[RowOp]) -> list[RowFailure]:
        """See `KuduClient`."""
        failures: list[RowFailure] = []
        waiting = [(start, ops[start : start + _MOST_ROWS]) for start in range(0, len(ops), _MOST_ROWS)]
        away: RowFailure | None = None
        while waiting:
            first, part = waiting.pop(0)
            if away is not None:
                failures += [RowFailure(away.kind, first + i, away.text) for i in range(len(part))]
                continue
            columns = encode(table.columns, part)
            if sum(column.size for column in columns) > _MOST_BYTES and len(part) > 1:
                half = len(part) // 2
                waiting[:0] = [(first, part[:half]), (first + half, part[half:])]
                continue
            found = self._write(table, part, columns, first)
            away = next((failure for failure in found if failure.kind in AWAY), None)
            failures += found
        return failures

    def create_table(self, name: str, columns: Sequence[ColumnSpec], layout: Layout) -> Table:
        """See `KuduClient`."""
        what = f"creating table {name}"
        schemas = self._list([self._schema(column) for column in columns])
        schema = self._call(what, self._jpype.JClass("org.apache.kudu.Schema"), schemas)
        self._call(what, self._client.createTable, name, schema, self._layout(columns, schema, layout))
        return self.open_table(name)

    def add_columns(self, table: Table, columns: Sequence[ColumnSpec]) -> None:
        """See `KuduClient`."""
        options = self._class("AlterTableOptions")()
        what = f"adding columns to table {table.name}"
        for column in columns:
            self._call(what, options.addColumn, self._schema(column))
        self._call(what, self._client.alterTable, table.name, options)

    def drop_table(self, name: str) -> None:
        """See `KuduClient`."""
        self._call(f"dropping table {name}", self._client.deleteTable, name)

    def scan(self, name: str) -> Iterator[dict[str, Any]]:
        """See `KuduClient`."""
        table, what = self.open_table(name), f"reading table {name}"
        names = [column.name for column in table.columns]
        scanner = self._call(what, self._client.newScannerBuilder(table.handle).build)
        try:
            while (read := self._call(what, self._bulk.read, scanner, table.handle, _ROWS_READ)) is not None:
                cells = [
                    [to_python(column, value) for value in decode(column, *_arrays(column, part))]
                    for column, part in zip(table.columns, read, strict=True)
                ]
                for row in zip(*cells, strict=True):
                    yield dict(zip(names, row, strict=True))
        finally:
            self._call(what, scanner.close)

    def close(self) -> None:
        """See `KuduClient`."""
        client, self._client = self._client, None
        if client is not None:
            self._call("closing the session", self._session.close)
            self._call("closing", client.close)

    def _write(self, table: Table, ops: Sequence[RowOp], columns: list[Column], first: int) -> list[RowFailure]:
        kinds = self._jpype.JArray(self._jpype.JByte)(bytes(op.kind for op in ops))
        answer = self._call("writing", self._bulk.write, self._session, table.handle, kinds, *self._to_java(columns))
        if answer is None:
            return []
        return [
            RowFailure(FailureKind(str(kind)), first + int(index), str(text))
            for index, kind, text in zip(*answer, strict=True)
        ]

    def _to_java(self, columns: list[Column]) -> tuple[Any, ...]:
        jpype = self._jpype
        longs, doubles = jpype.JArray(jpype.JLong), jpype.JArray(jpype.JDouble)
        ints, byte_array = jpype.JArray(jpype.JInt), jpype.JArray(jpype.JByte)
        numbers = [
            None if c.numbers is None else (longs if c.numbers.typecode == "q" else doubles)(c.numbers) for c in columns
        ]
        data = [None if c.data is None else byte_array(c.data) for c in columns]
        lengths = [None if c.lengths is None else ints(c.lengths) for c in columns]
        states = [None if c.states is None else byte_array(c.states) for c in columns]
        return (
            jpype.JArray(jpype.JObject)(numbers),
            jpype.JArray(jpype.JByte, 2)(data),
            jpype.JArray(jpype.JInt, 2)(lengths),
            jpype.JArray(jpype.JByte, 2)(states),
        )

    def _connect(self, settings: KuduSettings) -> Any:
        addresses = [f"{host}:{port}" for host, port in settings.addresses()]
        builder = self._class("KuduClient$KuduClientBuilder")(",".join(addresses))
        builder.defaultAdminOperationTimeoutMs(settings.admin_timeout_ms)
        builder.defaultOperationTimeoutMs(settings.operation_timeout_ms)
        # Two network threads carry more than the worker can make; the default counts the machine's processors.
        return builder.disableStatistics().workerCount(2).build()

    def _open_session(self, settings: KuduSettings) -> Any:
        session = self._client.newSession()
        session.setFlushMode(self._class("SessionConfiguration$FlushMode").MANUAL_FLUSH)
        session.setMutationBufferSpace(_MOST_ROWS, 4 * _MOST_BYTES)
        session.setErrorCollectorSpace(_MOST_ROWS)
        session.setTimeoutMillis(settings.operation_timeout_ms)
        return session

    def _layout(self, columns: Sequence[ColumnSpec], schema: Any, layout: Layout) -> Any:
        options = self._class("CreateTableOptions")()
        if layout.replicas:
            options.setNumReplicas(layout.replicas)
        if layout.hash_on:
            options.addHashPartitions(self._list(layout.hash_on), layout.hash_buckets)
        options.setRangePartitionColumns(self._list([layout.range_on] if layout.range_on else []))
        place = next((i for i, column in enumerate(columns) if column.name == layout.range_on), 0)
        for split in layout.splits:
            encoded = self._to_java(encode(columns[place : place + 1], [RowOp(OpKind.UPSERT, [split])]))
            options.addSplitRow(self._bulk.row(schema, place, *(part[0] for part in encoded[:3])))
        return options

    def _list(self, items: Iterable[Any]) -> Any:
        return self._jpype.JClass("java.util.ArrayList")(list(items))

    def _schema(self, column: ColumnSpec) -> Any:
        jpype = self._jpype
        type_ = getattr(jpype.JClass("org.apache.kudu.Type"), column.type)
        builder = jpype.JClass("org.apache.kudu.ColumnSchema$ColumnSchemaBuilder")(column.name, type_)
        builder.key(column.key).nullable(column.nullable)
        attributes = jpype.JClass("org.apache.kudu.ColumnTypeAttributes$ColumnTypeAttributesBuilder")()
        if column.type == "DECIMAL":
            builder.typeAttributes(attributes.precision(column.precision).scale(column.scale).build())
        elif column.type == "VARCHAR":
            builder.typeAttributes(attributes.length(column.length).build())
        return builder.build()

    def _class(self, name: str) -> Any:
        return self._jpype.JClass(_CLIENT + name)

    def _call(self, what: str, method: Any, *arguments: Any) -> Any:
        """The one place where Java's exceptions become ours."""
        try:
            return method(*arguments)
        except self._jpype.JException as error:
            raise self._translate(what, error) from None

    def _translate(self, what: str, error: Any) -> ConnectError:
        where = f"{self._where}, {what}"
        if not isinstance(error, self._class("KuduException")):
            kind = FailureKind.INVALID if "IllegalArgument" in str(error.getClass().getName()) else FailureKind.FATAL
            return error_of(kind, where, str(error))
        status = error.getStatus()
        return error_of(FailureKind(str(self._bulk.kind(status))), where, str(status.toString()))


def _column(schema: Any) -> ColumnSpec:
    attributes = schema.getTypeAttributes()
    return ColumnSpec(
        name=str(schema.getName()),
        type=str(schema.getType().name()),
        key=bool(schema.isKey()),
        nullable=bool(schema.isNullable()),
        has_default=schema.getDefaultValue() is not None,
        precision=int(attributes.getPrecision()) if attributes is not None and attributes.hasPrecision() else 0,
        scale=int(attributes.getScale()) if attributes is not None and attributes.hasScale() else 0,
        length=int(attributes.getLength()) if attributes is not None and attributes.hasLength() else 0,
    )


def _arrays(column: ColumnSpec, part: Any) -> tuple[bytes, Sequence[Any], bytes | None]:
    nulls, numbers, data = part
    values: array[Any] = array("d" if column.type in ("FLOAT", "DOUBLE") else "q")
    values.frombytes(bytes(memoryview(numbers)))
    return bytes(memoryview(nulls)), values, None if data is None else bytes(memoryview(data))
