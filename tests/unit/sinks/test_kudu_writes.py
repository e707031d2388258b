from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connectors import SinkRecord
from connectors.clients.kudu.port import UNSET, OpKind
from connectors.sinks.kudu.writes import Write, collapse

RECORDS = [SinkRecord("t", 0, i, None, None, [], 0) for i in range(40)]
Rows = dict[int, tuple[Any, ...]]


def write(kind: OpKind, key: int, *cells: Any, ts_us: int | None = None, record: int = 0) -> Write:
    return Write(kind, [key, *cells], (key,), ts_us, [RECORDS[record]])


def carry_out(rows: Rows, writes: list[Write]) -> Rows:
    """Do what Kudu does."""
    rows = dict(rows)
    for each in writes:
        (key,) = each.key
        if each.kind is OpKind.DELETE_IGNORE:
            rows.pop(key, None)
        elif each.kind is OpKind.UPSERT or key not in rows:
            before = rows.get(key, (None,) * (len(each.values) - 1))
            rows[key] = tuple(b if a is UNSET else a for b, a in zip(before, each.values[1:], strict=True))
    return rows


_CELL = st.sampled_from([UNSET, None, 1, 2, 3])
_WRITES = st.lists(st.tuples(st.booleans(), st.integers(0, 3), _CELL, _CELL), max_size=12)
_ROWS = st.dictionaries(st.integers(0, 3), st.tuples(st.integers(7, 9), st.integers(7, 9)))


@given(_WRITES, _ROWS, st.sampled_from([OpKind.UPSERT, OpKind.INSERT_IGNORE]))
def test_collapsed_writes_have_the_effect_of_all(given_writes: list[Any], rows: Rows, kind: OpKind) -> None:
    def writes() -> list[Write]:
        return [write(OpKind.DELETE_IGNORE if d else kind, key, a, b) for d, key, a, b in given_writes]

    result = collapse(writes())
    assert carry_out(rows, result) == carry_out(rows, writes())
    for key in range(4):
        kinds = [each.kind for each in result if each.key == (key,)]
        assert len(kinds) <= 1 or kinds == [OpKind.DELETE_IGNORE, kind]


@given(st.permutations(range(8)), _WRITES.filter(lambda writes: len(writes) >= 8), _ROWS)
def test_the_order_of_time_wins_over_that_of_arrival(order: list[int], given_writes: list[Any], rows: Rows) -> None:
    def writes() -> list[Write]:
        kinds = (OpKind.UPSERT, OpKind.DELETE_IGNORE)
        return [write(kinds[d], key, a, b, ts_us=i) for i, (d, key, a, b) in enumerate(given_writes[:8])]

    shuffled = [writes()[i] for i in order]
    assert carry_out(rows, collapse(shuffled)) == carry_out(rows, writes())


def test_equal_times_stay_in_order_of_arrival() -> None:
    result = collapse([write(OpKind.UPSERT, 1, "a", ts_us=5), write(OpKind.UPSERT, 1, "b", ts_us=5)])
    assert [each.values for each in result] == [[1, "b"]]


def test_a_merged_write_carries_all_its_records() -> None:
    (result,) = collapse([write(OpKind.UPSERT, 1, "a", UNSET), write(OpKind.UPSERT, 1, UNSET, "b", record=1)])
    assert result.values == [1, "a", "b"]
    assert result.records == RECORDS[:2]


def test_the_delete_of_an_old_key_comes_before_the_new_row() -> None:
    writes = [write(OpKind.DELETE_IGNORE, 1), write(OpKind.UPSERT, 2, "a"), write(OpKind.UPSERT, 2, "b")]
    assert [(each.kind, each.key) for each in collapse(writes)] == [(OpKind.DELETE_IGNORE, (1,)), (OpKind.UPSERT, (2,))]
