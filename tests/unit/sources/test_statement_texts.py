"""Texts of statements beside their rows, in a topic of their own."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from connectors.sources.mysql.changes import ChangeStream
from connectors.sources.mysql.filters import TableFilter, TopicName
from connectors.sources.mysql.plan import Plan
from connectors.sources.mysql.position import Position
from connectors.sources.mysql.rules import Rules
from tests.unit.sources.binlog import Log, handle


def make(position: Position | None = None, **options: Any) -> ChangeStream:
    options.setdefault("statement_topic", TopicName("topic.statements", "sql-${table}"))
    plan = Plan(source_partition={"server": "s"}, server="one", **options)
    return ChangeStream(plan, position or Position("binlog.000001", 4), now_ms=lambda: 1)


def run(stream: ChangeStream, *events: bytes) -> list[Any]:
    for event in events:
        handle(stream, event)
    return stream.take()


def transaction(log: Log) -> list[bytes]:
    return [
        log.format(),
        log.query("BEGIN"),
        log.rows_query("INSERT INTO t ..."),
        log.table_map("t"),
        log.insert((1, "a")),
        log.insert((2, "b")),
        log.rows_query("INSERT INTO t (id) ..."),
        log.table_map("t"),
        log.insert((3, "c")),
        log.xid(),
    ]


def shown(records: list[Any]) -> list[str]:
    messages = [orjson.loads(record.value) for record in records]
    return [message["sql"] or message["data"][0]["id"] for message in messages]


def test_the_text_of_a_statement_comes_once_before_its_rows() -> None:
    records = run(make(), *transaction(Log()))
    assert shown(records) == ["INSERT INTO t ...", "1", "2", "INSERT INTO t (id) ...", "3"]
    text = records[0]
    assert (text.topic, text.key, text.partition) == ("sql-t", None, 0)
    message = orjson.loads(text.value)
    known = ("type", "isDdl", "database", "table", "data", "old", "mysqlType", "sqlType", "pkNames")
    assert [message[name] for name in known] == ["QUERY", False, "", "t", *[None] * 5]
    times = [int(dict(record.headers)["connect.ts_us"]) for record in records]
    assert times == sorted(set(times))
    positions = [dict(record.headers)["connect.position"] for record in records]
    assert len(set(positions)) == 5


def test_without_a_topic_there_are_no_texts() -> None:
    assert shown(run(make(statement_topic=None), *transaction(Log()))) == ["1", "2", "3"]


def test_an_annotation_of_mariadb_names_no_table() -> None:
    log = Log()
    text, _ = run(
        make(flavor="mariadb"), log.format(), log.annotation("INSERT ..."), log.table_map("t"), log.insert((1, "a"))
    )
    assert (orjson.loads(text.value)["table"], orjson.loads(text.value)["sql"]) == ("", "INSERT ...")


def test_wherever_it_starts_again_each_text_comes_with_the_first_row_event_of_its_statement() -> None:
    """A text has no offset of its own, so it is neither lost nor sent twice where its rows are stored with it."""
    whole = run(make(), *transaction(Log()))
    assert [record.source_offset is None for record in whole] == [True, False, False, True, False]
    for number, record in enumerate(whole[:-1]):
        if record.source_offset is not None:
            again = run(make(Position.from_offset(record.source_offset)), *transaction(Log()))
            assert [(r.topic, r.headers) for r in again] == [(r.topic, r.headers) for r in whole[number + 1 :]]


def test_a_batch_never_ends_between_a_text_and_its_rows() -> None:
    stream = make()
    batches = [batch for event in transaction(Log()) if (batch := run(stream, event))]
    assert [shown(batch) for batch in batches] == [["INSERT INTO t ...", "1"], ["2"], ["INSERT INTO t (id) ...", "3"]]
    assert all(batch[-1].source_offset is not None for batch in batches)


@pytest.mark.parametrize("options", [{"filter": TableFilter(exclude=[r"d\.t"])},
                                     {"rules": Rules(skipped=frozenset({"insert"}))}])  # fmt: skip
def test_texts_of_rows_that_are_not_sent_stay_out(options: dict[str, Any]) -> None:
    assert run(make(**options), *transaction(Log())) == []


def test_a_statement_over_several_tables_is_told_of_with_the_first_chosen_one() -> None:
    log = Log()
    events = [
        log.format(),
        log.query("BEGIN"),
        log.rows_query("DELETE a, b ..."),
        log.table_map("skip", 8),
        log.table_map("t"),
        log.rows(32, [(7, "z")], table_id=8, flags=0),
        log.rows(32, [(1, "a")]),
        log.xid(),
    ]
    options = {"filter": TableFilter(exclude=[r"d\.skip"])}
    whole = run(make(**options), *events)
    assert shown(whole) == ["DELETE a, b ...", "1"]
    between = Position("binlog.000001", 4, events=1)
    assert shown(run(make(between, **options), *events)) == ["DELETE a, b ...", "1"]


def test_a_text_is_not_taken_for_that_of_a_later_statement() -> None:
    log = Log()
    events = [log.format(), log.query("BEGIN"), log.rows_query("INSERT INTO skip ..."), log.table_map("skip", 8),
              log.insert((7, "z"), table_id=8), log.table_map("t"), log.insert((1, "a")), log.xid()]  # fmt: skip
    assert shown(run(make(filter=TableFilter(exclude=[r"d\.skip"])), *events)) == ["1"]
