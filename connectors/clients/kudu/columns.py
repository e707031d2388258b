"""Rows to columns and back: batches cross into the JVM as a few arrays, not with a call for each cell."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from connectors.clients.kudu.port import UNSET, ColumnSpec, RowOp

__all__ = ["Column", "decode", "encode"]

_BYTES: Final = frozenset({"STRING", "VARCHAR", "BINARY"})
_FLOATS: Final = frozenset({"FLOAT", "DOUBLE"})
_LONG_DIGITS: Final = 18
_SET, _NULL, _UNSET = 2, 1, 0


@dataclass(slots=True)
class Column:
    """One column of a batch.

    Attributes:
        numbers: 64-bit numbers, or None.
        data: Cells of variable length, one after the other, or None.
        lengths: Their lengths in bytes.
        states: For each cell 0 unset, 1 NULL, 2 set; None where all are set.
    """

    numbers: array[int] | array[float] | None = None
    data: bytes | None = None
    lengths: array[int] | None = None
    states: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes in cells of variable length."""
        return len(self.data) if self.data is not None else 0


def encode(columns: Sequence[ColumnSpec], ops: Sequence[RowOp]) -> list[Column]:
    """Return the columns of a batch of valid operations."""
    cells = zip(*(op.values for op in ops), strict=True)
    return [_encode(column, values) for column, values in zip(columns, cells, strict=True)]


def _encode(column: ColumnSpec, values: tuple[Any, ...]) -> Column:
    try:
        return _filled(column, values)
    except TypeError:  # a NULL or an unset cell; the usual column has neither and is not searched for them
        filler: Any = b"" if column.type in _BYTES else 0
        states = bytes(_UNSET if v is UNSET else _NULL if v is None else _SET for v in values)
        given = tuple(v if state == _SET else filler for v, state in zip(values, states, strict=True))
        result = _filled(column, given)
        result.states = states
        return result


def _filled(column: ColumnSpec, values: tuple[Any, ...]) -> Column:
    if column.type in _BYTES:
        return Column(data=b"".join(values), lengths=array("i", map(len, values)))
    if column.type in _FLOATS:
        return Column(numbers=array("d", values))
    if column.type == "DECIMAL" and column.precision > _LONG_DIGITS:
        cells = [_big_endian(v) for v in values]
        return Column(data=b"".join(cells), lengths=array("i", map(len, cells)))
    return Column(numbers=array("q", values))


def _big_endian(value: int) -> bytes:
    if not isinstance(value, int):
        raise TypeError(value)
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def decode(column: ColumnSpec, nulls: bytes, numbers: Sequence[Any], data: bytes | None) -> list[Any]:
    """Return the cells of a column that was read, in storage form.

    Args:
        column: The column.
        nulls: 1 for each cell that is NULL, else 0.
        numbers: The values; for cells of variable length, their lengths in bytes.
        data: Cells of variable length, one after the other, or None.
    """
    if data is None:
        return [None if null else number for null, number in zip(nulls, numbers, strict=True)]
    result: list[Any] = []
    position = 0
    for null, length in zip(nulls, numbers, strict=True):
        end = position + length
        cell = data[position:end]
        result.append(None if null else int.from_bytes(cell, "big", signed=True) if column.type == "DECIMAL" else cell)
        position = end
    return result
