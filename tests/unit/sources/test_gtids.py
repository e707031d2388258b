from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import ConfigError
from connectors.sources.mysql.events import Gtid
from connectors.sources.mysql.gtids import MariaDbGtids, MySqlGtids

A = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
B = "4e11fa47-71ca-11e1-9e33-c80aa9429562"


def expand(text: str) -> set[tuple[str, int]]:
    found = set()
    for part in filter(None, text.split(",")):
        source, *spans = part.rsplit(":", part.count(":") - part.count(":t"))
        for span in spans:
            first, _, last = span.partition("-")
            found |= {(source, number) for number in range(int(first), int(last or first) + 1)}
    return found


@given(st.lists(st.tuples(st.sampled_from([A, B, f"{A}:tag"]), st.integers(1, 30))))
def test_a_set_holds_what_was_added(gtids: list[tuple[str, int]]) -> None:
    held = MySqlGtids("")
    for source, number in gtids:
        held.add(Gtid(source, f"{source}:{number}", number))
        str(held)
    assert expand(str(held)) == set(gtids)
    assert str(MySqlGtids(str(held))) == str(held)


@given(st.lists(st.tuples(st.sampled_from([A, B, f"{A}:tag"]), st.integers(1, 30))))
def test_an_encoded_set_reads_back(gtids: list[tuple[str, int]]) -> None:
    held = MySqlGtids("")
    for source, number in gtids:
        held.add(Gtid(source, f"{source}:{number}", number))
    assert str(MySqlGtids.decoded(held.encoded())) == str(held)


def test_mysqls_notation() -> None:
    assert str(MySqlGtids(f"{A.upper()}:1-5:7:tag:1-2,\n {B}:3")) == f"{A}:1-5:7,{A}:tag:1-2,{B}:3"
    assert str(MySqlGtids("")) == ""


def test_a_transaction_without_gtid_changes_nothing() -> None:
    held = MySqlGtids(f"{A}:1")
    held.add(Gtid("", "", 0))
    assert str(held) == f"{A}:1"


def test_the_request_holds_tags_only_where_there_are_any() -> None:
    assert MySqlGtids(f"{A}:1-5").encoded()[:8] == b"\1\0\0\0\0\0\0\0"
    assert MySqlGtids(f"{A}:1-5:t:1").encoded()[:8] == b"\1\2\0\0\0\0\0\1"
    assert len(MySqlGtids(f"{A}:1-5:7-9").encoded()) == 8 + 16 + 8 + 32


@pytest.mark.parametrize("text", ["x", A, f"{A}:", f"{A}:1-", f"{A}:1-5:TAG!", "0-1-2"])
def test_what_is_no_set_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="GTID set"):
        MySqlGtids(text)


def test_mariadb_keeps_the_last_of_each_domain() -> None:
    held = MariaDbGtids("0-1-100, 10-2-7")
    held.add(Gtid("0", "0-3-101", 101))
    held.add(Gtid("2", "2-1-1", 1))
    assert str(held) == "0-3-101,2-1-1,10-2-7"
    with pytest.raises(ConfigError, match="MariaDB GTID"):
        MariaDbGtids(f"{A}:1")
