from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connectors.clients.kudu.columns import Column, decode, encode
from connectors.clients.kudu.port import UNSET, ColumnSpec, OpKind, RowOp

_MISSING = st.sampled_from([None, UNSET])


def _read_back(column: ColumnSpec, encoded: Column) -> list[Any]:
    """Decode what was encoded, as the Java side would return it; UNSET comes back as None."""
    count = len(encoded.lengths if encoded.lengths is not None else encoded.numbers or ())
    states = encoded.states or b"\x02" * count
    nulls = bytes(state != 2 for state in states)
    numbers = encoded.lengths if encoded.lengths is not None else encoded.numbers or ()
    return decode(column, nulls, numbers, encoded.data)


def _sent(column: ColumnSpec, values: list[Any]) -> list[Any]:
    """Encode and decode values; which of them are NULL or not set is checked in between."""
    (encoded,) = encode([column], [RowOp(OpKind.UPSERT, [value]) for value in values])
    if all(value is not None and value is not UNSET for value in values):
        assert encoded.states is None
    else:
        assert encoded.states == bytes(0 if v is UNSET else 1 if v is None else 2 for v in values)
    return _read_back(column, encoded)


def _set(values: list[Any]) -> list[Any]:
    return [None if value is UNSET else value for value in values]


@given(st.lists(st.binary(max_size=9) | _MISSING, min_size=1))
def test_bytes_come_back(values: list[Any]) -> None:
    assert _sent(ColumnSpec("c", "STRING", nullable=True), values) == _set(values)


@given(st.lists(st.integers(-(2**63), 2**63 - 1) | _MISSING, min_size=1))
def test_integers_come_back(values: list[Any]) -> None:
    assert _sent(ColumnSpec("c", "INT64", nullable=True), values) == _set(values)


@given(st.lists(st.floats(allow_nan=False) | _MISSING, min_size=1))
def test_floats_come_back(values: list[Any]) -> None:
    assert _sent(ColumnSpec("c", "DOUBLE", nullable=True), values) == _set(values)


@given(st.lists(st.integers(-(10**38) + 1, 10**38 - 1) | _MISSING, min_size=1))
def test_decimals_of_38_digits_come_back(values: list[Any]) -> None:
    assert _sent(ColumnSpec("c", "DECIMAL", nullable=True, precision=38), values) == _set(values)
