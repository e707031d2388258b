"""The decoder of a snapshot's rows against a plain reading of the same values."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sources.mysql.charsets import charset_named
from connectors.sources.mysql.columns import JSON, LONG, LONGLONG, SET, TIMESTAMP2, VARCHAR, Column, Table
from connectors.sources.mysql.fields import Rendering
from connectors.sources.mysql.rules import TableRules
from connectors.sources.mysql.selection import Selection
from connectors.sources.mysql.snapshot_decoder import Around, frame, raw_values
from connectors.sources.mysql.values import Cache

Row = tuple[bytes | None, ...]

UTF8 = charset_named("utf8mb4")
COLUMNS = [
    Column(VARCHAR, name="id", charset=UTF8),
    Column(LONG, name='it\'s {n} "\\"'),
    Column(VARCHAR, name="text", charset=UTF8),
    Column(LONGLONG, name="wide", unsigned=True),
    Column(TIMESTAMP2, name="at"),
    Column(VARCHAR, name="raw"),
    Column(LONG, name="end"),
]
LARGEST = 9223372036854775807

numbers = st.integers(-(2**31), 2**31 - 1).map(lambda n: str(n).encode())
texts = st.one_of(st.text(max_size=20), st.text('aä"\\\n\0€😀', min_size=60, max_size=100)).map(str.encode)
rows = st.tuples(
    texts,
    st.none() | numbers,
    st.none() | texts,
    st.none() | st.integers(0, 2**64 - 1).map(lambda n: str(n).encode()),
    st.none() | st.integers(0, 4 * 10**9).map(lambda n: str(n).encode()),
    st.none() | st.binary(max_size=300),
    numbers,
)


def packets(some: list[Row]) -> bytes:
    return b"".join(
        struct.pack("<I", len(body) | number % 256 << 24) + body
        for number, row in enumerate(some)
        for body in [b"".join(map(value, row))]
    )


def value(data: bytes | None) -> bytes:
    if data is None:
        return b"\xfb"
    length = bytes([len(data)]) if len(data) < 251 else b"\xfc" + struct.pack("<H", len(data))
    return length + data


def decoded(selection: Selection, data: bytes, around: Around | None = None) -> tuple[list[Any], int, int]:
    return selection.decode(data, data.decode("latin-1"), 0, len(data), around)


def selected(rules: TableRules, *, whole: bool = False) -> Selection:
    return Selection(Table("d", "t", COLUMNS, [0]), rules, Rendering(), whole=whole)


def plainly(row: Row) -> dict[str, str | None]:
    moments = Selection(Table("d", "t", [COLUMNS[4]]), TableRules("t"), Rendering(), whole=False)
    at = None if row[4] is None else json.loads(decoded(moments, packets([(row[4],)]))[0][0][0])["at"]
    read = [each.decode("latin-1" if n == 5 else "utf-8") if each is not None else None for n, each in enumerate(row)]
    read[4] = at
    return dict(zip([column.name for column in COLUMNS], read, strict=True))


@given(st.lists(rows, max_size=6))
def test_rows_are_the_values_that_the_server_sent(some: list[Row]) -> None:
    found, at, _ = decoded(selected(TableRules("t", key=(0,))), data := packets(some))
    assert at == len(data)
    assert [json.loads(row) for row, _, _ in found] == [plainly(row) for row in some]
    assert [json.loads(key) for _, key, _ in found] == [{"id": plainly(row)["id"]} for row in some]
    assert [mask for _, _, mask in found] == [(int(row[3] or 0) > LARGEST) << 3 for row in some]


@given(st.lists(rows, max_size=6))
def test_messages_hold_the_same_rows_between_what_belongs_around_them(some: list[Row]) -> None:
    data, rules = packets(some), TableRules("t", key=(0,))
    found, _, _ = decoded(selected(rules, whole=True), data, Around("<", Cache(lambda mask: f">{mask}"), 5))
    expected, _, _ = decoded(selected(rules), data)
    assert found == [(f"<{row}>{mask}", key, 5) for row, key, mask in expected]


@given(st.lists(rows, min_size=1, max_size=5), st.data())
def test_a_buffer_cut_anywhere_is_framed_to_its_whole_rows(some: list[Row], draw: Any) -> None:
    data = packets(some)
    cut = draw.draw(st.integers(0, len(data)))
    whole = sum(len(packets(some[: n + 1])) <= cut for n in range(len(some)))
    ends = [len(packets(some[:n])) for n in range(whole + 1)]
    assert frame(data[:cut]) == (whole, ends[-1], ends[-2] + 4 if whole else 0)


@pytest.mark.parametrize(
    "packet", [b"\x05\0\0\7\xfe\0\0\x22\0", b"\x09\0\0\7\xff\x28\x04#42000no", b"\xff\xff\xff\7abc"]
)
def test_what_is_no_row_ends_the_rows(packet: bytes) -> None:
    data = packets([(b"1",), (b"2",)])
    assert frame(data + packet) == (2, len(data), len(data) - 2)


@given(st.lists(rows, min_size=1, max_size=5), st.data())
def test_rows_are_decoded_in_portions(some: list[Row], draw: Any) -> None:
    data, selection = packets(some), selected(TableRules("t"))
    text, end = data.decode("latin-1"), draw.draw(st.integers(1, len(data)))
    first, at, last = selection.decode(data, text, 0, end, None)
    begun = sum(len(packets(some[:n])) < end for n in range(len(some)))
    assert (at, last) == (len(packets(some[:begun])), len(packets(some[: begun - 1])) + 4)
    assert first + selection.decode(data, text, at, len(data), None)[0] == decoded(selection, data)[0]


@given(st.lists(rows, max_size=4))
def test_columns_are_left_out_changed_and_looked_at(some: list[Row]) -> None:
    # The key is left out, so it is among the columns that are looked at; the wide number is not even selected.
    rules = TableRules("t", frozenset({0, 3, 5}), {2: lambda text: f'"{len(text)}"'}, key=(0, 1))
    selection = selected(rules)
    assert selection.indexes == [0, 1, 2, 4, 6]
    chosen = [tuple(row[n] for n in selection.indexes) for row in some]
    names = [COLUMNS[n].name for n in selection.indexes]
    found, _, _ = decoded(selection, packets(chosen))
    for (text, key, mask, seen), row in zip(found, some, strict=True):
        plain = plainly(row)
        assert json.loads(text) == {
            name: str(len(json.dumps(plain[name], ensure_ascii=False))) if name == "text" else plain[name]
            for name in names[1:]
        }
        assert json.loads(key) == {name: plain[name] for name in names[:2]}
        assert (mask, [json.loads(each) for each in seen]) == (0, [plain["id"]])


def test_a_key_that_is_neither_sent_nor_asked_for_says_only_where_to_go_on() -> None:
    columns = [Column(LONGLONG, name="id", unsigned=True), Column(JSON, name="doc"), Column(SET, name="set")]
    rules = TableRules("t", frozenset({0}), exact=True)
    selection = Selection(Table("d", "t", columns, [0]), rules, Rendering(exact=True), whole=False)
    found, _, last = decoded(selection, data := packets([(b"1", None, None), (str(2**64 - 1).encode(), b"{}", b"3")]))
    assert found == [('{"doc":null,"set":null}', None, 6), ('{"doc":"{}","set":"3"}', None, 0)]
    assert raw_values(data, last, 1) == [str(2**64 - 1).encode()]


def test_the_rows_of_a_table_of_which_nothing_is_sent_are_counted() -> None:
    selection = Selection(Table("d", "t", COLUMNS), TableRules("t", frozenset(range(7))), Rendering(), whole=True)
    assert selection.sql == "SELECT 1 FROM `d`.`t`"
    found, _, _ = decoded(selection, packets([(b"1",)] * 3), Around("<", Cache(lambda _: ">"), None))
    assert found == [("<{}>", None, None)] * 3
