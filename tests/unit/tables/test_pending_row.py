from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.api.errors import DataError
from tables.pending import PendingRow

ROW = PendingRow(2, 17, b"k", b'{"a":1}', [("connect.ts_us", b"42")], 1700000000123, 1, 1700000030123)

_bytes = st.one_of(st.none(), st.binary(max_size=20))


@given(
    st.builds(
        PendingRow,
        st.integers(0, 99),
        st.integers(0, 2**53),
        _bytes,
        _bytes,
        st.lists(st.tuples(st.text(max_size=5), _bytes)),
        st.integers(0, 2**53),
        st.integers(0, 9),
        st.integers(0, 2**53),
    )
)
def test_round_trip(row: PendingRow) -> None:
    assert PendingRow.decode(row.encode()) == row


def test_key_is_partition_and_offset() -> None:
    assert ROW.row_key() == b"2-17"


def test_first_line_is_for_people() -> None:
    line = ROW.encode().split(b"\n")[0]
    assert b'"offset":17' in line
    assert b'"attempt":1' in line


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"garbage\nmore",
        b"{}\n",
        b"[1]\n",
        b"null\n",
        ROW.encode()[:-1],
        ROW.encode() + b"x",
        ROW.encode().replace(b'"v":1', b'"v":9'),
        ROW.encode().replace(b'"headers":[[', b'"headers":[5,['),
    ],
)
def test_damaged_row_is_a_data_error(data: bytes) -> None:
    with pytest.raises(DataError):
        PendingRow.decode(data)
