"""`AsyncCassandraRequest` on a real server: look-ups, and the insert-style update of the seed's job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any

import orjson
import pytest
from cassandra.cluster import Cluster

from agents.async_io.function import ResultFuture
from agents.functions.cassandra import AsyncCassandraRequest
from agents.message import Message
from connectors.api.errors import ConfigError, DataError, RetriableError

POJO = """
CREATE TABLE {}.m_pojo (
  aid text, astyle text, aname text, log_time bigint, energy decimal, age int, astatus text, create_time text,
  update_time text, ts_create_time timestamp, ts_update_time timestamp, sys_update_time timestamp,
  sys_create_time timestamp, PRIMARY KEY((aid, astyle, astatus), ts_create_time)
) WITH CLUSTERING ORDER BY (ts_create_time DESC)"""
CREATED = """
CREATE TABLE {}.pojo_created (
  aid text, astyle text, astatus text, ts_create_time timestamp, sys_create_time timestamp,
  PRIMARY KEY((aid, astyle, astatus)))"""

FIRST, LATER = "2019-11-22 10:00:00.123", "2019-11-23 11:30:00.456"
T1, T2, T3, T4 = (1_574_388_000_000_000 + n * 1_000_000 for n in range(4))
SYS1, SYS2, SYS3 = (f"2019-11-22 10:00:0{n}.000" for n in range(3))
ROW = {"aid": "ID-1", "astyle": "S-1", "astatus": "01", "create_time": FIRST, "update_time": FIRST}

REGISTRY: dict[str, Any] = {
    "mode": "upsert",
    "time_zone": "Asia/Shanghai",
    "mapping": "aid = value.aid, astyle = value.astyle, astatus = value.astatus",
    "keep": ["ts_create_time", "sys_create_time"],
    "generate": {
        "ts_create_time": "value.create_time",
        "ts_update_time": "value.update_time",
        "sys_create_time": "change_time",
        "sys_update_time": "change_time",
    },
    "read": "updates",
    "delete_after_s": 604_800,
}
DIRECT: dict[str, Any] = {
    "mode": "upsert",
    "time_zone": "Asia/Shanghai",
    "mapping": (
        "aid = value.aid, astyle = value.astyle, astatus = value.astatus, aname = value.aname, age = value.age, "
        "energy = value.energy, log_time = value.logTime, create_time = value.createTime, "
        "update_time = value.updateTime, ts_create_time = value.createTime, ts_update_time = value.updateTime"
    ),
    "keep": ["ts_create_time", "sys_create_time"],
    "generate": {"sys_create_time": "change_time", "sys_update_time": "change_time"},
}


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
    for table in (POJO, CREATED):
        session.execute(table.format(unique))
    yield unique
    session.execute(f"DROP KEYSPACE {unique}")


@pytest.fixture
async def opened(cassandra: tuple[str, int]) -> AsyncIterator[Any]:
    functions = []

    async def build(**options: Any) -> AsyncCassandraRequest:
        function = AsyncCassandraRequest(contact_points=cassandra[0], port=cassandra[1], **options)
        functions.append(function)
        await function.open()
        return function

    yield build
    for function in functions:
        await function.close()


def canal(kind: str, row: dict[str, Any], ts_us: int, old: dict[str, Any] | None = None, offset: int = 0) -> Message:
    value = {"type": kind, "database": "m", "table": "pojo", "isDdl": False, "pkNames": ["aid"], "data": [row]}
    value |= {"old": old and [old], "mysqlType": {"aid": "varchar(32)"}, "sqlType": {"aid": 12}}
    raw = orjson.dumps(value)
    headers = [("connect.ts_us", str(ts_us).encode())]
    return Message.decode("m.pojo", 0, offset, None, raw, headers, 0)


def pojo(offset: int, timestamp_ms: int, **fields: Any) -> Message:
    row = {"aid": "ID-1", "astyle": "S-1", "astatus": "01", "aname": "N", "age": 13, "energy": 12.3, "logTime": 5}
    row |= {"createTime": FIRST, "updateTime": FIRST} | fields
    return Message.decode("AsyncCassandraJob", 0, offset, b"1", orjson.dumps(row), [], timestamp_ms)


async def invoke(function: AsyncCassandraRequest, *messages: Message) -> list[list[Message]]:
    """Start all at once, as the operator does, and return their results."""
    results: dict[int, list[Message]] = {}

    async def one(index: int, message: Message) -> None:
        def deliver(_: Any, given: Any, error: BaseException | None) -> None:
            assert error is None
            results[index] = given

        await function.async_invoke(message, ResultFuture(deliver))

    await asyncio.gather(*(one(i, message) for i, message in enumerate(messages)))
    return [results[i] for i in range(len(messages))]


async def times(function: AsyncCassandraRequest, *messages: Message) -> list[list[str]]:
    names = ("ts_create_time", "ts_update_time", "sys_create_time", "sys_update_time")
    return [[result.rows[0][name] for name in names] for (result,) in await invoke(function, *messages)]


async def test_an_update_keeps_the_creation_times(opened: Any, keyspace: str) -> None:
    registry = await opened(table=f"{keyspace}.pojo_created", **REGISTRY)
    changed = ROW | {"create_time": LATER, "update_time": LATER}
    assert await times(
        registry,
        canal("INSERT", dict(ROW), T1),
        canal("UPDATE", dict(changed), T2, {"update_time": FIRST}),
        canal("DELETE", dict(changed), T3),
    ) == [[FIRST, FIRST, SYS1, SYS1], [FIRST, LATER, SYS1, SYS2], [FIRST, LATER, SYS1, SYS3]]


async def test_a_replay_says_the_same_again(opened: Any, keyspace: str) -> None:
    registry = await opened(table=f"{keyspace}.pojo_created", **REGISTRY)

    def history() -> list[Message]:
        changed = ROW | {"create_time": LATER}
        return [canal("INSERT", dict(ROW), T1), canal("UPDATE", dict(changed), T2), canal("DELETE", dict(changed), T3)]

    first = await times(registry, *history())
    assert await times(registry, *history()) == first
    assert await times(registry, *history()[1:]) == first[1:]
    assert await times(registry, *history()[2:]) == first[2:]
    again = canal("INSERT", ROW | {"create_time": LATER, "update_time": LATER}, T4)
    assert (await times(registry, again))[0][0] == LATER
    update = canal("UPDATE", dict(ROW), T4 + 1)
    assert (await times(registry, update))[0][0] == LATER


async def test_a_deleted_registry_row_expires(opened: Any, session: Any, keyspace: str) -> None:
    registry = await opened(table=f"{keyspace}.pojo_created", **REGISTRY)
    await times(registry, canal("INSERT", dict(ROW), T1))
    ttl = f"SELECT ttl(sys_create_time), writetime(sys_create_time) FROM {keyspace}.pojo_created"
    assert session.execute(ttl).one() == (None, T1)
    await times(registry, canal("DELETE", dict(ROW), T2))
    left, written = session.execute(ttl).one()
    assert left > 600_000
    assert written == T2


async def test_a_key_change_moves_the_row(opened: Any, session: Any, keyspace: str) -> None:
    registry = await opened(table=f"{keyspace}.pojo_created", **REGISTRY)
    moved = ROW | {"astatus": "02", "create_time": LATER}
    assert (await times(registry, canal("INSERT", dict(ROW), T1), canal("UPDATE", dict(moved), T2, {"astatus": "01"})))[
        1
    ] == [FIRST, FIRST, SYS1, SYS2]
    assert [row.astatus for row in session.execute(f"SELECT astatus FROM {keyspace}.pojo_created")] == ["02"]


async def test_a_canal_message_stays_one(opened: Any, keyspace: str) -> None:
    registry = await opened(table=f"{keyspace}.pojo_created", **REGISTRY)
    message = canal("INSERT", dict(ROW), T1)
    [[result]] = await invoke(registry, message)
    assert result.value["data"] == [
        ROW | {"ts_create_time": FIRST, "ts_update_time": FIRST, "sys_create_time": SYS1, "sys_update_time": SYS1}
    ]
    added = ("ts_create_time", "sys_create_time", "ts_update_time", "sys_update_time")
    assert result.value["mysqlType"] == {"aid": "varchar(32)"} | dict.fromkeys(added, "timestamp(3)")
    assert result.value["sqlType"] == {"aid": 12} | dict.fromkeys(added, 93)
    assert result.headers == [("connect.ts_us", str(T1).encode())]


async def test_rows_of_one_message_go_in_order(opened: Any, keyspace: str) -> None:
    registry = await opened(table=f"{keyspace}.pojo_created", **REGISTRY | {"read": "always"})
    message = canal("INSERT", dict(ROW), T1)
    message.value["data"] = [dict(ROW), ROW | {"create_time": LATER}, ROW | {"aid": "other", "create_time": LATER}]
    [[result]] = await invoke(registry, message)
    assert [row["ts_create_time"] for row in result.rows] == [FIRST, FIRST, LATER]


async def test_a_plain_object_is_an_insert_style_update(opened: Any, session: Any, keyspace: str) -> None:
    direct = await opened(table=f"{keyspace}.m_pojo", **DIRECT)
    await invoke(
        direct,
        pojo(0, T1 // 1000),
        pojo(1, T2 // 1000, aname="M", createTime=LATER, updateTime=LATER),
        pojo(2, T1 // 1000, aid="ID-2"),
    )
    rows = {row.aid: row for row in session.execute(f"SELECT * FROM {keyspace}.m_pojo")}
    assert set(rows) == {"ID-1", "ID-2"}
    row = rows["ID-1"]
    naive = datetime.fromisoformat
    assert (row.aname, row.age, row.create_time) == ("M", 13, LATER)
    assert row.ts_create_time == naive("2019-11-22 02:00:00.123")
    assert row.ts_update_time == naive("2019-11-23 03:30:00.456")
    assert (row.sys_create_time, row.sys_update_time) == (naive("2019-11-22 02:00:00"), naive("2019-11-22 02:00:01"))


async def test_the_same_millisecond_does_not_tear_a_row(opened: Any, session: Any, keyspace: str) -> None:
    direct = await opened(table=f"{keyspace}.m_pojo", **DIRECT)
    await invoke(direct, pojo(7, T1 // 1000, aname="Z", age=1), pojo(8, T1 // 1000, aname="A", age=99))
    assert session.execute(f"SELECT aname, age FROM {keyspace}.m_pojo").one() == ("A", 99)


async def test_many_keys_at_once(opened: Any, session: Any, keyspace: str) -> None:
    direct = await opened(table=f"{keyspace}.m_pojo", **DIRECT)

    def batch(name: str, at: int) -> list[Message]:
        return [pojo(i, at // 1000, aid=f"ID-{i}", astyle=f"S-{i % 5}", aname=f"{name}{i}") for i in range(1000)]

    await invoke(direct, *batch("a", T1))
    results = await invoke(direct, *batch("b", T2))
    assert all(result.rows[0]["sys_create_time"] == SYS1 for (result,) in results)
    names = {row.aid: row.aname for row in session.execute(f"SELECT aid, aname FROM {keyspace}.m_pojo")}
    assert names == {f"ID-{i}": f"b{i}" for i in range(1000)}


async def test_a_row_that_does_not_fit_fails_alone(opened: Any, session: Any, keyspace: str) -> None:
    direct = await opened(table=f"{keyspace}.m_pojo", **DIRECT)
    good, bad = pojo(0, T1 // 1000), pojo(1, T1 // 1000, aid="ID-2", age="many")
    outcome = await asyncio.gather(invoke(direct, good), invoke(direct, bad), return_exceptions=True)
    assert isinstance(outcome[1], DataError)
    assert "'many' is no int" in str(outcome[1])
    assert [row.aid for row in session.execute(f"SELECT aid FROM {keyspace}.m_pojo")] == ["ID-1"]


async def test_other_messages_pass(opened: Any, keyspace: str) -> None:
    direct = await opened(table=f"{keyspace}.m_pojo", **DIRECT)
    tombstone = Message.decode("t", 0, 0, b"k", None, [], 0)
    ddl = Message.decode("t", 0, 1, None, b'{"type":"ALTER","isDdl":true,"database":"m","table":"p"}', [], 0)
    assert await invoke(direct, tombstone, ddl) == [[tombstone], [ddl]]


LOOKUP: dict[str, Any] = {
    "mode": "lookup",
    "key": {"aid": "aid", "astyle": "astyle", "astatus": "astatus"},
    "columns": {"first_seen": "ts_create_time", "name": "aname", "energy_was": "energy"},
    "time_zone": "Asia/Shanghai",
}


@pytest.fixture
async def filled(opened: Any, keyspace: str) -> str:
    direct = await opened(table=f"{keyspace}.m_pojo", **DIRECT)
    await invoke(direct, pojo(0, T1 // 1000), pojo(1, T1 // 1000, aid="ID-3", aname="three"))
    return f"{keyspace}.m_pojo"


async def test_a_look_up_adds_columns(opened: Any, filled: str) -> None:
    lookup = await opened(table=filled, **LOOKUP)
    hit, other, miss = await invoke(
        lookup, canal("UPDATE", dict(ROW), T2), canal("UPDATE", ROW | {"aid": "ID-3"}, T2), pojo(0, 0, aid="ID-2")
    )
    assert hit[0].rows == [ROW | {"first_seen": FIRST, "name": "N", "energy_was": "12.3"}]
    assert hit[0].value["sqlType"] == {"aid": 12, "first_seen": 93, "name": 12, "energy_was": 3}
    assert other[0].rows[0]["name"] == "three"
    assert "name" not in miss[0].rows[0]


async def test_what_a_miss_does(opened: Any, filled: str) -> None:
    def missing() -> Message:
        return pojo(0, 0, aid="ID-2")

    drop = await opened(table=filled, **LOOKUP, on_miss="drop")
    assert await invoke(drop, missing(), pojo(0, 0, aid=None)) == [[], []]
    default = await opened(table=filled, **LOOKUP, on_miss={"name": "unknown"})
    [[result]] = await invoke(default, missing())
    assert result.rows[0]["name"] == "unknown"
    error = await opened(table=filled, **LOOKUP, on_miss="error")
    with pytest.raises(DataError, match="has no row for the key ID-2, S-1, 01"):
        await invoke(error, missing())
    with pytest.raises(DataError, match="no field astyle"):
        await invoke(error, Message.decode("t", 0, 0, None, b'{"aid":"x"}', [], 0))


async def test_options_that_do_not_fit_the_table(opened: Any, keyspace: str) -> None:
    with pytest.raises(ConfigError) as caught:
        await opened(table=f"{keyspace}.m_pojo", **DIRECT | {"keep": ["ts_create"], "mapping": "aid=value.a,x=value.x"})
    text = str(caught.value)
    assert "Option keep: table" in text
    assert "did you mean ts_create_time?" in text
    assert "has no column x" in text
    assert "key column astyle" in text
    with pytest.raises(ConfigError, match=r"key column astatus .* is not mapped"):
        await opened(table=f"{keyspace}.m_pojo", **LOOKUP | {"key": {"aid": "aid", "astyle": "astyle"}})
    with pytest.raises(ConfigError, match="has no column nam, wanted for name"):
        await opened(table=f"{keyspace}.m_pojo", **LOOKUP | {"columns": {"name": "nam"}})
    with pytest.raises(ConfigError, match="has no table m_pojos; did you mean m_pojo"):
        await opened(table=f"{keyspace}.m_pojos", **LOOKUP)


async def test_a_server_that_is_down() -> None:
    function = AsyncCassandraRequest(contact_points="127.0.0.1", port=1, table="m.m_pojo", **DIRECT)
    with pytest.raises(RetriableError, match=r"127\.0\.0\.1:1 cannot be reached"):
        await function.open()
    await function.close()
