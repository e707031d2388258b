"""`AsyncRedisRequest` with a client made of dictionaries."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from agents.async_io.function import ResultFuture
from agents.functions.redis import AsyncRedisRequest
from agents.functions.redis.cache import CacheOptions, LookupCache
from agents.message import Message
from connectors.api.errors import ConfigError, DataError, RetriableError

HASH: dict[str, Any] = {"key": "s:{style}", "shape": "hash", "columns": {"style_name": "name", "rank": "rank"}}


class FakeClient:
    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        self.calls: list[str] = []
        self.newest: dict[str, int] = {}
        self.open_calls = self.close_calls = 0

    async def open(self) -> None:
        self.open_calls += 1

    async def close(self) -> None:
        self.close_calls += 1

    async def get(self, key: str) -> bytes | None:
        self.calls.append(key)
        value: bytes | None = self.data.get(key)
        return value

    async def hmget(self, key: str, fields: tuple[str, ...]) -> list[bytes | None]:
        self.calls.append(key)
        return [self.data.get(key, {}).get(field) for field in fields]

    async def eval(self, script: str, key: str, ts_us: int, ttl_s: int) -> int:
        if ts_us < self.newest.get(key, 0):
            return 0
        self.newest[key] = ts_us
        return 1


def request(data: dict[str, Any] | None = None, **options: Any) -> AsyncRedisRequest:
    return AsyncRedisRequest(client=FakeClient(data or {}), **options)  # type: ignore[arg-type]


def message(value: dict[str, Any] | None, ts_us: int = 5_000) -> Message:
    raw = None if value is None else orjson.dumps(value)
    return Message.decode("t", 0, 7, b"k", raw, [("connect.ts_us", b"%d" % ts_us)], 5)


def canal(kind: str, *rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    types = {"mysqlType": {"style": "varchar(9)"}, "sqlType": {"style": 12}}
    return {
        "type": kind,
        "database": "m",
        "table": "p",
        "isDdl": False,
        "data": list(rows),
        "old": None,
        **types,
        **more,
    }


async def invoke(function: AsyncRedisRequest, given: Message) -> list[Message]:
    results: list[list[Message]] = []
    errors: list[BaseException] = []

    def deliver(_: Any, got: list[Message], error: BaseException | None) -> None:
        if error is None:
            results.append(got)
        else:
            errors.append(error)

    await function.async_invoke(given, ResultFuture(deliver))
    assert len(results) + len(errors) == 1
    return results[0]


STYLES = {"s:1": {"name": "Ünïcode".encode(), "rank": b"4"}, "s:2": {"name": b"two"}}


async def test_columns_of_a_hash_are_added_to_a_plain_object() -> None:
    (out,) = await invoke(request(STYLES, **HASH), message({"style": "1", "n": 3}))
    assert out.value == {"style": "1", "n": 3, "style_name": "Ünïcode", "rank": "4"}


@pytest.mark.parametrize("kind", ["INSERT", "UPDATE", "DELETE", "INIT"])
async def test_a_canal_message_stays_one(kind: str) -> None:
    given = canal(kind, {"style": "1"}, {"style": "2"})
    (out,) = await invoke(request(STYLES, **HASH), message(given))
    assert out.value["data"] == [
        {"style": "1", "style_name": "Ünïcode", "rank": "4"},
        {"style": "2", "style_name": "two", "rank": None},
    ]
    assert out.value["mysqlType"] == {"style": "varchar(9)", "style_name": "varchar(255)", "rank": "varchar(255)"}
    assert out.value["sqlType"] == {"style": 12, "style_name": 12, "rank": 12}


@pytest.mark.parametrize("given", [canal("CREATE", isDdl=True, data=None), canal("QUERY"), None])
async def test_other_messages_pass_unchanged(given: dict[str, Any] | None) -> None:
    asked = message(given)
    assert await invoke(request({}, **HASH, guard={"key": "g:{id}"}), asked) == [asked]
    assert asked.value == (given or {})


async def test_values_of_json_keep_their_type_in_objects_and_become_text_in_canal() -> None:
    data = {"s:1": orjson.dumps({"name": "x", "rank": 1.5, "hot": True, "more": {"a": 1}})}
    options = {"key": "s:{style}", "shape": "json", "columns": {c: c for c in ("name", "rank", "hot", "more", "none")}}
    (plain,) = await invoke(request(data, **options), message({"style": 1}))
    assert plain.value == {"style": 1, "name": "x", "rank": 1.5, "hot": True, "more": {"a": 1}, "none": None}
    (flat,) = await invoke(request(data, **options), message(canal("INSERT", {"style": "1"})))
    assert flat.value["data"][0] == {
        "style": "1", "name": "x", "rank": "1.5", "hot": "true", "more": '{"a":1}', "none": None,
    }  # fmt: skip


@pytest.mark.parametrize("columns", ["label", {"label": None}])
async def test_a_string_fills_one_column(columns: Any) -> None:
    (out,) = await invoke(request({"k:a-1": b"v"}, key="k:{x}-{y}", columns=columns), message({"x": "a", "y": 1}))
    assert out.value["label"] == "v"


async def test_on_miss() -> None:
    asked = {"style": "9"}
    (kept,) = await invoke(request({}, **HASH), message(asked))
    assert kept.value == asked
    assert await invoke(request({}, **HASH, on_miss="drop"), message(asked)) == []
    (filled,) = await invoke(request({}, **HASH, on_miss={"rank": 0}), message(asked))
    assert filled.value == {"style": "9", "style_name": None, "rank": 0}
    (partly,) = await invoke(request(STYLES, **HASH, on_miss={"rank": "0"}), message({"style": "2"}))
    assert partly.value["rank"] == "0"
    with pytest.raises(DataError, match="s:9"):
        await invoke(request({}, **HASH, on_miss="error"), message(asked))


async def test_a_null_field_is_a_miss_and_a_missing_one_an_error() -> None:
    (kept,) = await invoke(request(STYLES, **HASH), message({"style": None}))
    assert kept.value == {"style": None}
    with pytest.raises(DataError, match="no field style"):
        await invoke(request(STYLES, **HASH), message({"other": 1}))
    with pytest.raises(DataError, match="single value"):
        await invoke(request(STYLES, **HASH), message({"style": [1]}))


async def test_what_cannot_be_read_is_an_error_of_the_record() -> None:
    with pytest.raises(DataError, match="UTF-8"):
        await invoke(request({"k:1": b"\xff"}, key="k:{a}", columns="b"), message({"a": 1}))
    for bad in (b"{", b"[1]"):
        with pytest.raises(DataError, match="JSON"):
            await invoke(request({"k:1": bad}, key="k:{a}", shape="json", columns={"b": "b"}), message({"a": 1}))


async def test_rows_dropped_from_the_middle_leave_runs_with_their_own_time() -> None:
    rows = [{"style": "1"}, {"style": "9"}, {"style": "2"}, {"style": "1"}]
    given = canal("UPDATE", *rows, old=[{"n": str(i)} for i in range(4)])
    first, second = await invoke(request(STYLES, **HASH, on_miss="drop"), message(given))
    assert ([row["style"] for row in first.rows], first.ts_us, first.value["old"]) == (["1"], 5_000, [{"n": "0"}])
    assert ([row["style"] for row in second.rows], second.ts_us) == (["2", "1"], 5_002)
    assert second.value["old"] == [{"n": "2"}, {"n": "3"}]
    assert second.key == b"k"


async def test_the_guard_drops_what_is_older_than_the_newest_seen() -> None:
    function = request(guard={"key": "g:{id}"})
    assert len(await invoke(function, message({"id": 1}, 10))) == 1
    assert len(await invoke(function, message({"id": 1}, 30))) == 1
    assert await invoke(function, message({"id": 1}, 20)) == []
    assert len(await invoke(function, message({"id": 1}, 30))) == 1
    assert len(await invoke(function, message({"id": 2}, 20))) == 1


async def test_the_guard_can_mark_instead() -> None:
    function = request(guard={"key": "g:{id}", "on_late": "mark"})
    await invoke(function, message({"id": "b"}, 9_000))
    (out,) = await invoke(function, message(canal("INSERT", {"id": "a"}, {"id": "b"})))
    assert ("connect.late", b"1") in out.headers
    assert len(out.rows) == 2


async def test_the_cache_asks_once_and_remembers_misses() -> None:
    client = FakeClient(STYLES)
    function = AsyncRedisRequest(client=client, **HASH, cache={"ttl_s": 60})  # type: ignore[arg-type]
    await asyncio.gather(*(invoke(function, message({"style": s})) for s in "1112"))
    await invoke(function, message({"style": "9"}))
    (out,) = await invoke(function, message({"style": "9"}))
    assert client.calls == ["s:1", "s:2", "s:9"]
    assert out.value == {"style": "9"}
    await function.open()
    await function.close()
    assert (client.open_calls, client.close_calls) == (1, 1)


async def test_cache_entries_grow_old_and_the_least_used_go_first() -> None:
    now, loads = [0.0], list[str]()

    async def load(key: str) -> str | None:
        loads.append(key)
        return None if key == "miss" else key

    cache = LookupCache(CacheOptions(ttl_s=10, max_entries=2, negative_ttl_s=1), load, lambda: now[0])
    for key in ("a", "miss", "a"):
        await cache.find(key)
    now[0] = 2.0
    assert await cache.find("miss") is None
    assert loads == ["a", "miss", "miss"]
    await cache.find("a")
    await cache.find("b")
    await cache.find("miss")
    assert loads == ["a", "miss", "miss", "b", "miss"]
    now[0] = 20.0
    assert await cache.find("b") == "b"
    assert (cache.hits, len(loads)) == (2, 6)


async def test_the_cache_keeps_no_errors_and_a_cancelled_caller_harms_no_other() -> None:
    gate, calls = asyncio.Event(), [0]

    async def load(_: str) -> str:
        calls[0] += 1
        await gate.wait()
        if calls[0] == 1:
            raise RetriableError("down")
        return "x"

    cache = LookupCache(CacheOptions(ttl_s=10), load)
    first, second = asyncio.create_task(cache.find("a")), asyncio.create_task(cache.find("a"))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    gate.set()
    with pytest.raises(RetriableError):
        await second
    assert await cache.find("a") == "x"
    await cache.close()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "key and columns"),
        ({"key": "s:{a}"}, "key and columns"),
        ({"key": "s:a", "columns": "b"}, "names no field"),
        ({"key": "s:{a", "columns": "b"}, "cannot read"),
        ({"key": "s:{a!r}", "columns": "b"}, "only names"),
        ({"key": "s:{a}", "columns": "b", "shape": "hahs"}, "did you mean hash"),
        ({"key": "s:{a}", "columns": {"b": "c"}}, "fills one column"),
        ({"key": "s:{a}", "columns": {"b": None}, "shape": "hash"}, "b needs the name of a field"),
        ({"key": "s:{a}", "columns": "b", "on_miss": "dorp"}, "did you mean drop"),
        ({"key": "s:{a}", "columns": "style_name", "on_miss": {"stylename": 1}}, "did you mean style_name"),
        ({"key": "s:{a}", "columns": "b", "cache": {"ttl": 1}}, "cache"),
        ({"key": "s:{a}", "columns": "b", "cache": {"ttl_s": 0}}, "ttl_s"),
        ({"guard": {"key": "a:{b}", "on_late": "skip"}}, "on_late"),
        ({"guard": {"ttl_s": 3}}, "guard.key"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        request(**options)


def test_the_url_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://somewhere:1")
    AsyncRedisRequest(**HASH)
    monkeypatch.delenv("REDIS_URL")
    with pytest.raises(ConfigError, match="REDIS_URL"):
        AsyncRedisRequest(**HASH)
