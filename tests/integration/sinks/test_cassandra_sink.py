"""`CassandraSink` on a real server: what ends up in the table after every kind of history."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from datetime import datetime
from decimal import Decimal
from typing import Any
from unittest.mock import Mock

import orjson
import pytest
from cassandra.cluster import Cluster

from connectors.api.errors import ConfigError, DataError, RetriableError
from connectors.api.record import SinkRecord
from connectors.formats.canal import TS_US_HEADER, changes_of
from connectors.sinks.cassandra import CassandraSink, CassandraSinkTask

TABLE = """
CREATE TABLE {}.m_pojo (
  AID TEXT, ASTYLE TEXT, ANAME TEXT, LOG_TIME BIGINT, ENERGY DECIMAL, AGE INT, ASTATUS TEXT, CREATE_TIME TEXT,
  UPDATE_TIME TEXT, TS_CREATE_TIME TIMESTAMP, TS_UPDATE_TIME TIMESTAMP, SYS_UPDATE_TIME TIMESTAMP,
  SYS_CREATE_TIME TIMESTAMP, PRIMARY KEY((AID, ASTYLE, ASTATUS), TS_CREATE_TIME)
) WITH CLUSTERING ORDER BY (TS_CREATE_TIME DESC)"""

CREATED = "2019-11-22 10:00:00.123"
ROW = {
    "aid": "ID000-1",
    "astyle": "STYLE000-1",
    "aname": "NAME-1",
    "log_time": "1574388000123",
    "energy": "12.30",
    "age": "13",
    "astatus": "01",
    "create_time": CREATED,
    "update_time": CREATED,
    "ts_create_time": CREATED,
    "ts_update_time": CREATED,
    "sys_create_time": CREATED,
    "sys_update_time": CREATED,
}


class Context:
    """As much of the runtime as a sink task asks for."""

    connector = "test"

    def __init__(self) -> None:
        self.reported: list[tuple[SinkRecord, Exception]] = []
        self.tables: dict[str, Mock] = {}

    @property
    def errant_record_reporter(self) -> Context:
        return self

    def table_metrics(self, table: str) -> Mock:
        return self.tables.setdefault(table, Mock())

    def report(self, record: SinkRecord, error: Exception) -> Future[None]:
        self.reported.append((record, error))
        done: Future[None] = Future()
        done.set_result(None)
        return done


@pytest.fixture(scope="module")
def session(cassandra: tuple[str, int]) -> Iterator[Any]:
    host, port = cassandra
    with Cluster([host], port=port) as cluster:
        yield cluster.connect()


@pytest.fixture
def keyspace(session: Any, unique: str) -> Iterator[str]:
    session.execute(
        f"CREATE KEYSPACE {unique} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}"
    )
    session.execute(TABLE.format(unique))
    yield unique
    session.execute(f"DROP KEYSPACE {unique}")


Start = Callable[..., Any]


@pytest.fixture
async def start(cassandra: tuple[str, int], keyspace: str) -> AsyncIterator[Start]:
    host, port = cassandra
    tasks: list[CassandraSinkTask] = []

    async def start_task(**options: str) -> CassandraSinkTask:
        task = CassandraSinkTask()
        task.initialize(Context())  # type: ignore[arg-type]
        tasks.append(task)
        props = {
            "name": "test",
            "topics": "m.pojo",
            "cassandra.contact.points": host,
            "cassandra.port": str(port),
            "time.zone": "Asia/Shanghai",
            f"topic.m.pojo.{keyspace}.m_pojo.mapping": "*",
        }
        await task.start(props | {name.replace("__", "."): value for name, value in options.items()})
        return task

    yield start_task
    for task in tasks:
        await task.stop()


def canal(kind: str, *rows: dict[str, Any], ts_us: int | None, old: Any = None, offset: int = 0) -> SinkRecord:
    value = {"type": kind, "database": "m", "table": "pojo", "isDdl": False, "pkNames": ["aid"]}
    value |= {"data": list(rows), "old": old}
    headers = [] if ts_us is None else [(TS_US_HEADER, str(ts_us).encode())]
    data = orjson.dumps(value)
    return SinkRecord("m.pojo", 0, offset, None, changes_of(value, headers), headers, 1_574_388_000_000, None, data)


def stored(session: Any, keyspace: str) -> list[dict[str, Any]]:
    rows = session.execute(f"SELECT * FROM {keyspace}.m_pojo")
    return sorted((row._asdict() for row in rows), key=lambda row: row["aid"])


async def store(task: CassandraSinkTask, records: list[SinkRecord]) -> None:
    await task.put(records)
    await task.flush({})


def dead(task: CassandraSinkTask) -> list[str]:
    return [str(error) for _, error in task.context.reported]  # type: ignore[attr-defined]


async def test_the_seed_row_is_stored_exactly(start: Start, session: Any, keyspace: str) -> None:
    task = await start()
    await store(task, [canal("INSERT", ROW, ts_us=1000)])
    moment = datetime(2019, 11, 22, 2, 0, 0, 123000)  # noqa: DTZ001 - the driver hands out naive UTC
    assert stored(session, keyspace) == [
        {
            "aid": "ID000-1",
            "astyle": "STYLE000-1",
            "astatus": "01",
            "ts_create_time": moment,
            "age": 13,
            "aname": "NAME-1",
            "create_time": CREATED,
            "energy": Decimal("12.30"),
            "log_time": 1574388000123,
            "sys_create_time": moment,
            "sys_update_time": moment,
            "ts_update_time": moment,
            "update_time": CREATED,
        }
    ]
    assert str(stored(session, keyspace)[0]["energy"]) == "12.30"
    written = session.execute(f"SELECT writetime(energy) FROM {keyspace}.m_pojo").one()
    assert written == (1000,)
    assert dead(task) == []


async def test_update_then_delete(start: Start, session: Any, keyspace: str) -> None:
    task = await start()
    await store(task, [canal("INSERT", ROW, ts_us=1000)])
    await store(task, [canal("UPDATE", ROW | {"age": "14"}, ts_us=2000, old=[{"age": "13"}])])
    assert [row["age"] for row in stored(session, keyspace)] == [14]
    await store(task, [canal("DELETE", ROW | {"age": "14"}, ts_us=3000)])
    assert stored(session, keyspace) == []


async def test_a_replay_of_an_old_insert_stays_deleted(start: Start, session: Any, keyspace: str) -> None:
    task = await start()
    history = [canal("INSERT", ROW, ts_us=1000), canal("DELETE", ROW, ts_us=2000)]
    await store(task, history)
    await store(task, history[:1])
    assert stored(session, keyspace) == []
    await store(task, [canal("INSERT", ROW, ts_us=3000), *history])
    assert len(stored(session, keyspace)) == 1


async def test_null_erases_and_absent_leaves(start: Start, session: Any, keyspace: str) -> None:
    task = await start()
    partial = {name: ROW[name] for name in ("aid", "astyle", "astatus", "ts_create_time")}
    await store(task, [canal("INSERT", ROW, ts_us=1000)])
    await store(task, [canal("UPDATE", partial | {"aname": None}, ts_us=2000)])
    row = stored(session, keyspace)[0]
    assert (row["aname"], row["age"]) == (None, 13)


async def test_null_to_unset_leaves(start: Start, session: Any, keyspace: str) -> None:
    task = await start(**{f"topic.m.pojo.{keyspace}.m_pojo.null.to.unset": "true"})
    await store(task, [canal("INSERT", ROW, ts_us=1000), canal("UPDATE", ROW | {"aname": None}, ts_us=2000)])
    assert stored(session, keyspace)[0]["aname"] == "NAME-1"


async def test_a_key_change_deletes_the_old_row(start: Start, session: Any, keyspace: str) -> None:
    task = await start()
    await store(task, [canal("INSERT", ROW, ts_us=1000)])
    await store(task, [canal("UPDATE", ROW | {"astatus": "02"}, ts_us=2000, old=[{"astatus": "01"}])])
    assert [row["astatus"] for row in stored(session, keyspace)] == ["02"]
    await store(task, [canal("INSERT", ROW, ts_us=1000)])
    assert [row["astatus"] for row in stored(session, keyspace)] == ["02"]


async def test_deletes_can_be_switched_off(start: Start, session: Any, keyspace: str) -> None:
    task = await start(**{f"topic.m.pojo.{keyspace}.m_pojo.deletes.enabled": "false"})
    await store(task, [canal("INSERT", ROW, ts_us=1000), canal("DELETE", ROW, ts_us=2000)])
    assert len(stored(session, keyspace)) == 1


async def test_rows_of_the_same_time_are_not_torn(start: Start, session: Any, keyspace: str) -> None:
    """Cassandra alone would keep the greater cell of each column: aname Z of the one, age 99 of the other."""
    task = await start()
    ties = [ROW | {"aname": "Z", "age": "1"}, ROW | {"aname": "A", "age": "99"}]
    await store(task, [canal("INSERT", row, ts_us=5000) for row in ties])
    row = stored(session, keyspace)[0]
    assert (row["aname"], row["age"]) == ("A", 99)
    for n in (*range(90, 95), 10):
        await store(task, [canal("INSERT", ROW | {"aname": str(n), "age": str(100 - n)}, ts_us=None, offset=n)])
    row = stored(session, keyspace)[0]
    assert (row["aname"], row["age"]) == ("10", 90)


async def test_bad_rows_are_reported_and_their_neighbours_stored(start: Start, session: Any, keyspace: str) -> None:
    task = await start()
    bad: list[dict[str, Any]] = [
        {"energy": "NaN"},
        {"age": "3000000000"},
        {"age": "many"},
        {"ts_create_time": "0000-00-00 00:00:00"},
        {"aid": None},
        {"aname": "\ud800"},
        {"astyle": "x" * 70_000},
        {"aname": "y" * 17_000_000},
    ]
    records = []
    for i, change in enumerate(bad):
        good = canal("INSERT", ROW | {"aid": f"good-{i}"}, ts_us=1000 + i, offset=2 * i)
        records += [good, sink_record(ROW | {"aid": f"bad-{i}"} | change, 1000 + i, 2 * i + 1)]
    await store(task, records)
    assert [row["aid"] for row in stored(session, keyspace)] == [f"good-{i}" for i in range(len(bad))]
    reported = task.context.reported
    assert [record.offset for record, _ in reported] == [2 * i + 1 for i in range(len(bad))]
    assert all(isinstance(error, DataError) for _, error in reported)
    texts = dead(task)
    assert texts[0] == f"column {keyspace}.m_pojo.energy: 'NaN' is no decimal: a decimal cannot be NaN or infinite"
    assert f"column {keyspace}.m_pojo.age: '3000000000' is no int: it is outside of -2147483648" in texts[1]
    assert texts[4] == f"key column {keyspace}.m_pojo.aid is null"
    assert "70000 bytes" in texts[6]


def sink_record(row: dict[str, Any], ts_us: int, offset: int) -> SinkRecord:
    """A record whose row JSON could not carry."""
    record = canal("INSERT", ROW, ts_us=ts_us, offset=offset)
    record.value[0].row = row
    return record


async def test_tombstones_and_ddl_are_skipped(start: Start, session: Any, keyspace: str) -> None:
    task = await start()
    tombstone = SinkRecord("m.pojo", 0, 0, b"k", None, [], 0)
    ddl = SinkRecord("m.pojo", 0, 1, None, [], [], 0)
    await store(task, [tombstone, ddl])
    await store(task, [])
    assert stored(session, keyspace) == []
    assert dead(task) == []


async def test_a_value_that_is_no_row_is_reported(start: Start) -> None:
    task = await start()
    await store(task, [SinkRecord("m.pojo", 0, 0, None, "text", [], 0)])
    assert dead(task) == ["a row is needed, not str; set value.converter to canal-json"]


async def test_plain_json_with_a_mapping(start: Start, session: Any, keyspace: str) -> None:
    mapping = (
        "AID = value.aid, astyle = value.astyle, astatus = value.astatus, log_time = value.logTime, age = value.age, "
        "energy = value.energy, ts_create_time = value.createTime, aname = header.source, create_time = key, "
        "sys_create_time = timestamp"
    )
    task = await start(**{f"topic.m.pojo.{keyspace}.m_pojo.mapping": mapping})
    value = {"aid": "a", "astyle": "s", "astatus": "1", "logTime": 5, "age": 7, "energy": 12.3, "createTime": CREATED}
    await store(task, [SinkRecord("m.pojo", 0, 3, b"k", value, [("source", b"job")], 1_574_388_000_000)])
    assert dead(task) == []
    row = stored(session, keyspace)[0]
    assert (row["aid"], row["log_time"], row["energy"], row["aname"]) == ("a", 5, Decimal("12.3"), "job")
    assert row["create_time"] == "k"
    assert row["sys_create_time"] == datetime(2019, 11, 22, 2)  # noqa: DTZ001 - the driver hands out naive UTC
    assert session.execute(f"SELECT writetime(age) FROM {keyspace}.m_pojo").one() == (1_574_388_000_000_003,)


async def test_one_topic_to_two_tables_with_ttl_and_timestamp(start: Start, session: Any, keyspace: str) -> None:
    session.execute(f"CREATE TABLE {keyspace}.names (aid text PRIMARY KEY, aname text)")
    prefix = f"topic.m.pojo.{keyspace}.names"
    task = await start(
        **{
            f"{prefix}.mapping": "aid=value.aid,aname=value.aname",
            f"{prefix}.ttl": "1000",
            f"{prefix}.timestamp": "value.log_time",
        }
    )
    await store(task, [canal("INSERT", ROW, ts_us=1000)])
    name, left, written = session.execute(f"SELECT aname, ttl(aname), writetime(aname) FROM {keyspace}.names").one()
    assert name == "NAME-1"
    assert 900 < left <= 1000
    assert written == 1574388000123
    assert len(stored(session, keyspace)) == 1


@pytest.mark.parametrize("batch", ["none", "partition", "replica"])
async def test_many_rows_whatever_shares_a_request(start: Start, session: Any, keyspace: str, batch: str) -> None:
    task = await start(**{"cassandra.batch": batch, "cassandra.max.in.flight": "16"})
    records = [canal("INSERT", ROW | {"aid": f"{i:04}", "age": str(i)}, ts_us=i + 1) for i in range(1500)]
    await store(task, records)
    assert [(row["aid"], row["age"]) for row in stored(session, keyspace)] == [(f"{i:04}", i) for i in range(1500)]


async def test_all_mapping_errors_come_at_once(start: Start, session: Any, keyspace: str) -> None:
    session.execute(f"CREATE TABLE {keyspace}.counts (aid text PRIMARY KEY, n counter)")
    session.execute(f"CREATE TABLE {keyspace}.lists (aid text PRIMARY KEY, n list<int>)")
    session.execute(f"CREATE TABLE {keyspace}.vectors (aid text PRIMARY KEY, n vector<text, 2>)")
    with pytest.raises(ConfigError) as caught:
        await start(
            **{
                f"topic.m.pojo.{keyspace}.m_pojo.mapping": "aid=value.aid,anam=value.aname,astyle=value.astyle",
                f"topic.m.pojo.{keyspace}.m_pojos.mapping": "*",
                f"topic.m.pojo.{keyspace}.counts.mapping": "*",
                f"topic.m.pojo.{keyspace}.lists.mapping": "*",
                f"topic.m.pojo.{keyspace}.vectors.mapping": "*",
                "topic.m.pojo.nowhere.m_pojo.mapping": "*",
            }
        )
    text = str(caught.value)
    option = f"Option topic.m.pojo.{keyspace}"
    assert f"{option}.m_pojo.mapping: table {keyspace}.m_pojo has no column anam; did you mean aname?" in text
    assert f"{option}.m_pojo.mapping: key column astatus of {keyspace}.m_pojo is not mapped" in text
    assert f"{option}.m_pojo.mapping: key column ts_create_time of {keyspace}.m_pojo is not mapped" in text
    assert f"{option}.m_pojos.mapping: Keyspace {keyspace}" in text
    assert "has no table m_pojos; did you mean m_pojo?" in text
    assert f"{option}.counts.mapping: {keyspace}.counts has counters" in text
    assert f"{option}.lists.mapping: list {keyspace}.lists.n is not frozen" in text
    assert f"{option}.vectors.mapping: type vector<text, 2> of {keyspace}.vectors.n is not supported" in text
    assert "has no keyspace nowhere" in text


async def test_a_dropped_column_is_found_out(start: Start, session: Any, keyspace: str) -> None:
    task = await start()
    await store(task, [canal("INSERT", ROW, ts_us=1000)])
    await asyncio.to_thread(session.execute, f"ALTER TABLE {keyspace}.m_pojo DROP age")
    record = canal("INSERT", ROW | {"aname": "after"}, ts_us=2000)
    with pytest.raises(RetriableError):
        await store(task, [record])
    await store(task, [record])
    assert stored(session, keyspace)[0]["aname"] == "after"
    assert dead(task) == []


async def test_a_server_that_is_down_is_named(start: Start) -> None:
    with pytest.raises(RetriableError, match=r"Cassandra at 127\.0\.0\.1:1 cannot be reached"):
        await start(**{"cassandra.port": "1"})


async def test_an_unknown_datacenter_is_named(start: Start) -> None:
    with pytest.raises(ConfigError, match="no datacenter datacenter2; did you mean datacenter1"):
        await start(**{"cassandra.local.datacenter": "datacenter2"})


def test_the_plugin_checks_topics_without_a_server() -> None:
    found = CassandraSink.validate({"topics": "a.b", "topic.a.c.k.t.mapping": "*", "cassandra.consistency": "QUORUMM"})
    errors = [text for value in found for text in value.errors]
    assert any("QUORUMM" in text and "did you mean QUORUM?" in text for text in errors)
    assert any("topic a.b has no table" in text for text in errors)
    assert any("a.c is not one of the topics" in text for text in errors)


async def test_nested_types_are_stored(start: Start, session: Any, keyspace: str) -> None:
    session.execute(f"CREATE TYPE {keyspace}.address (street text, number int)")
    session.execute(
        f"CREATE TABLE {keyspace}.nested (aid text PRIMARY KEY, l frozen<list<int>>, s set<text>, "
        "m map<text, frozen<list<int>>>, a address, f frozen<address>, t tuple<int, text>, "
        "d duration, i inet, b blob, v vector<float, 2>)"
    )
    task = await start(**{f"topic.m.pojo.{keyspace}.nested.mapping": "*", "binary.mode": "base64"})
    row = {"aid": "n", "l": [1, 2], "s": '["b", "a"]', "m": {"x": [1]}, "a": {"street": "s", "number": "7"}}
    row |= {"f": {"street": "f"}, "t": [1, None], "d": "P1DT2H", "i": "::1", "b": "AAH/", "v": [1, 0.5]}
    record = canal("INSERT", ROW | row, ts_us=1000)
    await store(task, [record])
    await store(task, [record])
    found = session.execute(f"SELECT * FROM {keyspace}.nested").one()
    assert (found.l, set(found.s), {k: list(v) for k, v in found.m.items()}) == ([1, 2], {"a", "b"}, {"x": [1]})
    assert (tuple(found.a), tuple(found.f), found.t) == (("s", 7), ("f", None), (1, None))
    assert (str(found.d), found.i, found.b, list(found.v)) == ("0mo1d7200000000000ns", "::1", b"\0\1\xff", [1.0, 0.5])
    assert dead(task) == []


async def test_a_new_column_is_picked_up_without_a_restart(start: Start, session: Any, keyspace: str) -> None:
    task = await start()
    await store(task, [canal("INSERT", ROW, ts_us=1000)])
    await asyncio.to_thread(session.execute, f"ALTER TABLE {keyspace}.m_pojo ADD mood text")
    await store(task, [canal("UPDATE", ROW | {"mood": "good"}, ts_us=2000)])
    assert stored(session, keyspace)[0]["mood"] == "good"


async def test_a_column_whose_field_was_there_before_it_is_picked_up(
    start: Start, session: Any, keyspace: str, caplog: pytest.LogCaptureFixture
) -> None:
    task = await start()
    await store(task, [canal("INSERT", ROW | {"mood": "good"}, ts_us=1000)])
    assert "has no column for ['mood']: left out; add the column, or set auto.evolve" in caplog.text
    await asyncio.to_thread(session.execute, f"ALTER TABLE {keyspace}.m_pojo ADD mood text")
    async with asyncio.timeout(20):  # the driver hears of it within a few seconds
        while stored(session, keyspace)[0]["mood"] is None:
            await store(task, [canal("UPDATE", ROW | {"mood": "good"}, ts_us=2000)])


async def test_a_table_is_created_and_grows(start: Start, session: Any, keyspace: str) -> None:
    names = {f"topic.m.pojo.{keyspace}.grown.mapping": "*", "auto.create": "true", "auto.evolve": "true"}
    task = await start(**names)
    first = canal("INSERT", {"aid": "1", "N": "18446744073709551615", "at": CREATED, "e": "1.50"}, ts_us=1000)
    types = {"aid": "varchar(64)", "N": "bigint(20) unsigned", "at": "datetime(3)", "e": "decimal(10,2)"}
    first.value[0].mysql_type = types
    await store(task, [first])
    second = canal("INSERT", {"aid": "2", "n": None, "x": {"a": 1}, "flag": True, "count": 5}, ts_us=2000)
    await store(task, [second])
    rows = {row.aid: row for row in session.execute(f"SELECT * FROM {keyspace}.grown")}
    assert (rows["1"].n, str(rows["1"].e), rows["1"].at.year) == (18446744073709551615, "1.50", 2019)
    assert (rows["2"].x, rows["2"].flag, rows["2"].count) == ('{"a":1}', True, 5)
    # m_pojo takes the same topic; there the rows lack their key.
    assert all("m_pojo" in text for text in dead(task))


async def test_a_table_that_cannot_be_created_is_told(start: Start, keyspace: str) -> None:
    task = await start(**{f"topic.m.pojo.{keyspace}.grown.mapping": "*", "auto.create": "true", "topics": "m.pojo"})
    record = canal("INSERT", ROW, ts_us=1000)
    record.value[0].key = ()
    await store(task, [record])
    assert dead(task) == []  # m_pojo has it; `grown` waits for a row that names its key


async def test_tables_have_metrics(start: Start, keyspace: str) -> None:
    task = await start()
    await store(task, [canal("INSERT", ROW, ts_us=1000), canal("INSERT", ROW | {"age": "x"}, ts_us=1001)])
    table = task.context.tables[f"{keyspace}.m_pojo"]  # type: ignore[attr-defined]
    assert table.stored.call_args.args[0] == 1
    table.answered.assert_called_once()
    table.refused.assert_called_once_with(1)
