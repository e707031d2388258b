"""What every back end of the port must do; run on kudu-python's imitation and on a real Kudu by the Java client."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.clients.kudu.port import UNSET, ColumnSpec, FailureKind, KuduClient, Layout, OpKind, RowOp, Table
from connectors.clients.kudu.settings import ExistsError, MissingTableError

COLUMNS = (
    ColumnSpec("id", "STRING", key=True),
    ColumnSpec("at", "UNIXTIME_MICROS", key=True),
    ColumnSpec("i8", "INT8", nullable=True),
    ColumnSpec("i16", "INT16", nullable=True),
    ColumnSpec("i32", "INT32", nullable=True),
    ColumnSpec("i64", "INT64", nullable=True),
    ColumnSpec("f", "FLOAT", nullable=True),
    ColumnSpec("d", "DOUBLE", nullable=True),
    ColumnSpec("b", "BOOL", nullable=True),
    ColumnSpec("s", "STRING", nullable=True),
    ColumnSpec("v", "VARCHAR", nullable=True, length=5),
    ColumnSpec("bin", "BINARY", nullable=True),
    ColumnSpec("day", "DATE", nullable=True),
    ColumnSpec("small", "DECIMAL", nullable=True, precision=5, scale=2),
    ColumnSpec("big", "DECIMAL", nullable=True, precision=38, scale=10),
    ColumnSpec("must", "INT32"),
)
FULL: dict[str, Any] = {
    "id": "a",
    "at": 1_700_000_000_123_456,
    "i8": -128,
    "i16": 32767,
    "i32": -(2**31),
    "i64": 2**63 - 1,
    "f": 0.5,
    "d": 1e300,
    "b": True,
    "s": "Zürich 東京 😀",
    "v": "東京",
    "bin": b"\x00\xff",
    "day": -1,
    "small": 120,
    "big": -(10**38 - 1),
    "must": 7,
}
SEEN = FULL | {
    "at": datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=UTC),
    "day": date(1969, 12, 31),
    "small": Decimal("1.20"),
    "big": Decimal("-9999999999999999999999999999.9999999999"),
}


def op(kind: OpKind, **values: Any) -> RowOp:
    return RowOp(kind, [_stored(values.get(column.name, UNSET)) for column in COLUMNS])


def _stored(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


class Contract:
    """Give the fixtures `client` and `table` (with `COLUMNS`, empty)."""

    def test_the_columns_are_those_of_the_table(self, table: Table) -> None:
        assert table.columns == COLUMNS
        assert table.key_size == 2

    def test_every_type_is_stored_exactly(self, client: KuduClient, table: Table) -> None:
        assert client.write_batch(table, [op(OpKind.UPSERT, **FULL)]) == []
        assert list(client.scan(table.name)) == [SEEN]

    def test_null_is_stored_and_unset_keeps(self, client: KuduClient, table: Table) -> None:
        client.write_batch(table, [op(OpKind.UPSERT, **FULL)])
        keys = {name: FULL[name] for name in ("id", "at", "must")}
        assert client.write_batch(table, [op(OpKind.UPSERT, **keys, s=None, small=0)]) == []
        assert list(client.scan(table.name)) == [SEEN | {"s": None, "small": Decimal("0.00")}]

    def test_unset_is_null_in_a_new_row(self, client: KuduClient, table: Table) -> None:
        client.write_batch(table, [op(OpKind.UPSERT, id="a", at=0, must=1)])
        (row,) = client.scan(table.name)
        assert {name for name, value in row.items() if value is not None} == {"id", "at", "must"}

    def test_insert_ignore_leaves_what_is_there(self, client: KuduClient, table: Table) -> None:
        ops = [op(OpKind.INSERT_IGNORE, id="a", at=0, must=number) for number in (1, 2)]
        assert client.write_batch(table, ops[:1]) == []
        assert client.write_batch(table, ops[1:]) == []
        assert [row["must"] for row in client.scan(table.name)] == [1]

    def test_a_delete_of_a_missing_row_is_no_failure(self, client: KuduClient, table: Table) -> None:
        client.write_batch(table, [op(OpKind.UPSERT, **FULL)])
        deletes = [op(OpKind.DELETE_IGNORE, **FULL), op(OpKind.DELETE_IGNORE, id="none", at=0)]
        assert client.write_batch(table, deletes) == []
        assert list(client.scan(table.name)) == []

    def test_the_operations_of_a_key_keep_their_order(self, client: KuduClient, table: Table) -> None:
        ops = [
            op(OpKind.UPSERT, id="a", at=0, must=1, s="old"),
            op(OpKind.DELETE_IGNORE, id="a", at=0),
            op(OpKind.UPSERT, id="a", at=0, must=2),
        ]
        assert client.write_batch(table, ops) == []
        assert [(row["must"], row["s"]) for row in client.scan(table.name)] == [(2, None)]

    def test_a_row_without_a_needed_value_fails_alone(self, client: KuduClient, table: Table) -> None:
        ops = [op(OpKind.UPSERT, id=str(i), at=0, **({} if i == 1 else {"must": i})) for i in range(3)]
        failures = client.write_batch(table, ops)
        assert [(failure.kind, failure.index) for failure in failures] == [(FailureKind.INVALID, 1)]
        assert sorted(row["id"] for row in client.scan(table.name)) == ["0", "2"]

    def test_a_cell_that_is_too_large_fails_alone(self, client: KuduClient, table: Table) -> None:
        ops = [op(OpKind.UPSERT, id=str(i), at=0, must=i, bin=b"x" * (70_000 if i == 2 else 9)) for i in range(4)]
        failures = client.write_batch(table, ops)
        assert [(failure.kind, failure.index) for failure in failures] == [(FailureKind.INVALID, 2)]
        assert sorted(row["id"] for row in client.scan(table.name)) == ["0", "1", "3"]

    def test_batches_may_be_of_any_size(self, client: KuduClient, table: Table) -> None:
        assert client.write_batch(table, []) == []
        ops = [op(OpKind.UPSERT, id=str(i), at=0, must=i, s="x" * 2_000) for i in range(9_000)]
        assert client.write_batch(table, ops) == []
        assert sum(1 for _ in client.scan(table.name)) == 9_000

    def test_large_cells_pass_in_any_number(self, client: KuduClient, table: Table) -> None:
        ops = [op(OpKind.UPSERT, id=str(i), at=0, must=i, bin=b"x" * 60_000) for i in range(300)]
        assert client.write_batch(table, ops) == []
        assert sum(1 for _ in client.scan(table.name)) == 300

    def test_a_missing_table_is_named(self, client: KuduClient) -> None:
        with pytest.raises(MissingTableError, match=r"no\.such\.table"):
            client.open_table("no.such.table")

    def test_a_table_is_created_once(self, client: KuduClient, table: Table) -> None:
        with pytest.raises(ExistsError, match=table.name):
            client.create_table(table.name, COLUMNS, Layout(("id",), 2, replicas=1))

    def test_a_table_may_have_ranges_with_or_without_buckets(self, client: KuduClient, table: Table) -> None:
        columns = (ColumnSpec("at", "UNIXTIME_MICROS", key=True), ColumnSpec("no", "INT32", key=True))
        for layout in (
            Layout(range_on="at", splits=(0, 1_700_000_000_000_000), replicas=1),
            Layout(("no",), 2, "at", (5,), replicas=1),
        ):
            name = f"{table.name}.ranges"
            ranged = client.create_table(name, columns, layout)
            ops = [RowOp(OpKind.UPSERT, [at, at % 7]) for at in (-(10**15), -1, 0, 5, 2 * 10**15)]
            failures = client.write_batch(ranged, ops)
            found = sum(1 for _ in client.scan(name))
            client.drop_table(name)
            assert (failures, found) == ([], 5)

    def test_columns_can_be_added_and_the_old_handle_goes_on(self, client: KuduClient, table: Table) -> None:
        new = (
            ColumnSpec("more", "DECIMAL", nullable=True, precision=9, scale=3),
            ColumnSpec("text", "VARCHAR", nullable=True, length=7),
        )
        client.add_columns(table, new)
        with pytest.raises(ExistsError, match="more"):
            client.add_columns(table, new[:1])
        assert client.write_batch(table, [op(OpKind.UPSERT, id="old", at=0, must=1)]) == []
        again = client.reopen(table)
        assert again.columns == (*COLUMNS, *new)
        row = op(OpKind.UPSERT, id="new", at=0, must=1)
        assert client.write_batch(again, [RowOp(row.kind, [*row.values, 1_500, b"x"])]) == []
        found = {row["id"]: (row["more"], row["text"]) for row in client.scan(table.name)}
        assert found == {"old": (None, None), "new": (Decimal("1.500"), "x")}

    def test_a_table_can_be_opened_again(self, client: KuduClient, table: Table) -> None:
        assert client.reopen(table).columns == COLUMNS

    def test_it_can_be_closed_twice(self, client: KuduClient, table: Table) -> None:
        client.drop_table(table.name)
        client.close()
        client.close()
