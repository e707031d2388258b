from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sources.goldengate.framing import Piece, pieces

LIMIT = 10_000


def cut(data: bytes, *, final: bool = False, limit: int = LIMIT) -> list[Piece]:
    return list(pieces(data, final=final, limit=limit))


def records(data: bytes, **options: bool) -> list[object]:
    return [piece.record for piece in cut(data, **options)]


@pytest.mark.parametrize(
    "data",
    [b'{"a":1}\n{"b":2}\n', b'{"a":1}{"b":2}', b'\xef\xbb\xbf{"a":1} {"b":2}', b'\r\n{\n "a": 1\n}\n{\n "b":\n 2}\n'],
)
def test_records_may_be_separated_by_anything_or_nothing(data: bytes) -> None:
    found = cut(data)
    assert [piece.record for piece in found] == [{"a": "1"}, {"b": "2"}]
    assert [json.loads(data[piece.start : piece.end]) for piece in found] == [{"a": 1}, {"b": 2}]


def test_a_broken_line_costs_no_other_record() -> None:
    broken = b'{"a":1,"b"\n'
    found = cut(b'{"a":1}\n' + broken + b'{"c":"\xff"}\ngarbage\n{"d":4}\n')
    assert [piece.record for piece in found] == [{"a": "1"}, None, None, {"d": "4"}]
    assert found[1].start == 8
    assert found[1].end == 8 + len(broken)
    assert "malformed JSON" in found[1].problem
    assert "UTF-8" in found[2].problem


def test_a_broken_last_line_is_told_at_once_and_an_incomplete_one_waits() -> None:
    assert [piece.problem[:9] for piece in cut(b'{"a":x}\n')] == ["malformed"]
    for end in range(1, len(b'{"a":"\xc3\xa9","b":[1]}')):
        assert cut(b'{"a":"\xc3\xa9","b":[1]}'[:end]) == []
    assert cut(b'{\n "a": 1,\n') == []


def test_what_stays_incomplete_for_good_is_broken() -> None:
    found = cut(b'{"a":1}\n{"b"', final=True)
    assert [piece.record for piece in found] == [{"a": "1"}, None]
    assert (found[1].start, found[1].end) == (8, 12)


def test_a_broken_record_over_many_lines_ends_where_the_next_begins() -> None:
    found = cut(b'{\n "a": 1\n "b": 2\n}\n{\n "c": 3\n}\n')
    assert [piece.record for piece in found] == [None, {"c": "3"}]


def test_a_record_without_end_is_given_up_at_the_limit() -> None:
    assert cut(b'{"a":"' + b"x" * 50) == []
    [piece] = cut(b'{"a":"' + b"x" * 50, limit=40)
    assert "longer than 40 bytes" in piece.problem


def test_the_last_record_of_a_line_is_known() -> None:
    assert [piece.last for piece in cut(b'{"a":1}{"b":2} \n{"c":3}\n')] == [False, True, True]


objects = st.dictionaries(
    st.text(max_size=5), st.one_of(st.text(max_size=8), st.none(), st.booleans(), st.dictionaries(st.text(), st.none()))
)


@given(st.lists(st.tuples(objects, st.sampled_from(["", "\n", " ", "\r\n\n"]), st.booleans())), st.integers(1, 60))
def test_any_trail_read_in_any_steps_gives_its_records(
    trail: list[tuple[dict[str, object], str, bool]], step: int
) -> None:
    made = [
        (json.dumps(record, ensure_ascii=ascii_only, indent=2 if separator == "\n" else None) + separator).encode()
        for record, separator, ascii_only in trail
    ]
    data, found, begin = b"".join(made), [], 0
    for end in range(0, len(data) + step, step):
        done = 0
        for piece in pieces(data[begin:end], final=False, limit=LIMIT):
            found.append(piece.record)
            done = piece.end
        begin += done
    assert found == [record for record, _, _ in trail]
