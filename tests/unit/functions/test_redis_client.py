"""The Redis client with a driver made of dictionaries."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest
from redis.exceptions import AuthenticationError, ConnectionError, NoScriptError, ResponseError  # noqa: A004

from connectors.api.errors import ConfigError, ConnectError, DataError, RetriableError
from connectors.clients.redis import RedisClient, RedisSettings, redis_address

WRONGTYPE = ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value")


class FakeRedis:
    """Keeps strings as bytes and hashes as dicts; notes every request."""

    def __init__(self, data: dict[bytes, Any]) -> None:
        self.data = data
        self.requests: list[list[tuple[Any, ...]]] = []
        self.scripts: set[str] = set()
        self.error: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.running = self.most = 0
        self.closed = 0

    async def ping(self) -> bool:
        if self.error:
            raise self.error
        return True

    def pipeline(self, *, transaction: bool) -> FakePipeline:
        assert not transaction
        return FakePipeline(self)

    async def aclose(self) -> None:
        self.closed += 1

    def reply(self, words: tuple[Any, ...]) -> Any:
        name, *rest = words
        if name in ("EVAL", "EVALSHA"):
            if name == "EVALSHA" and rest[0] not in self.scripts:
                return NoScriptError("NOSCRIPT No matching script")
            self.scripts.add(hashlib.sha1(rest[0].encode()).hexdigest())
            return rest[2:]
        if name == "MGET":
            return [value if isinstance(value := self.data.get(key), bytes) else None for key in rest]
        value = self.data.get(rest[0])
        if name == "GET":
            return value if value is None or isinstance(value, bytes) else WRONGTYPE
        if value is not None and not isinstance(value, dict):
            return WRONGTYPE
        return [(value or {}).get(field) for field in rest[1:]]


class FakePipeline:
    def __init__(self, redis: FakeRedis) -> None:
        self.redis = redis
        self.commands: list[tuple[Any, ...]] = []

    async def __aenter__(self) -> FakePipeline:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def execute_command(self, *words: Any) -> None:
        self.commands.append(words)

    async def execute(self, *, raise_on_error: bool) -> list[Any]:
        assert not raise_on_error
        self.redis.requests.append(self.commands)
        self.redis.running += 1
        self.redis.most = max(self.redis.most, self.redis.running)
        try:
            if self.redis.gate:
                await self.redis.gate.wait()
            if self.redis.error:
                raise self.redis.error
            return [self.redis.reply(words) for words in self.commands]
        finally:
            self.redis.running -= 1


def client_of(redis: FakeRedis, **options: Any) -> RedisClient:
    return RedisClient(RedisSettings("redis://:secret@example:7000/1", **options), redis)  # type: ignore[arg-type]


async def test_strings_of_one_turn_are_one_mget_and_equal_keys_are_merged() -> None:
    redis = FakeRedis({b"a": b"1", b"b": b"2"})
    client = client_of(redis)
    assert await asyncio.gather(client.get("a"), client.get("b"), client.get("a")) == [b"1", b"2", b"1"]
    assert redis.requests == [[("MGET", b"a", b"b")]]


async def test_strings_and_hashes_share_a_request_and_answers_find_their_callers() -> None:
    redis = FakeRedis({b"a": b"1", b"h": {"x": b"X"}, b"b": b"2"})
    client = client_of(redis)
    found = await asyncio.gather(
        client.hmget("h", ("x", "y")), client.get("a"), client.hmget("n", ("x",)), client.get("b")
    )
    assert found == [[b"X", None], b"1", [None], b"2"]
    assert len(redis.requests) == 1


async def test_a_script_is_sent_in_full_only_where_the_server_does_not_know_it() -> None:
    redis = FakeRedis({b"a": b"1"})
    client = client_of(redis)
    found = await asyncio.gather(client.eval("return 1", "k", 7), client.get("a"), client.eval("return 1", "l", 8))
    assert found == [[b"k", 7], b"1", [b"l", 8]]
    assert await client.eval("return 1", "k", 9) == [b"k", 9]
    assert [[words[0] for words in request] for request in redis.requests] == [
        ["MGET", "EVALSHA", "EVALSHA"], ["EVAL", "EVAL"], ["EVALSHA"],
    ]  # fmt: skip


async def test_a_wrong_type_is_an_error_and_not_a_miss() -> None:
    client = client_of(FakeRedis({b"h": {"x": b"X"}, b"a": b"1"}))
    found = await asyncio.gather(
        client.get("h"), client.get("a"), client.get("none"), client.hmget("a", ("x",)), return_exceptions=True
    )
    assert found[1:3] == [b"1", None]
    assert all(isinstance(error, DataError) and "WRONGTYPE" in str(error) for error in (found[0], found[3]))


async def test_no_more_requests_than_connections_and_the_rest_goes_out_together() -> None:
    redis = FakeRedis({b"%d" % i: b"x" for i in range(10)})
    redis.gate = asyncio.Event()
    client = client_of(redis, connections=2, max_batch=3)
    waiting = [client.get(str(i)) for i in range(10)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert [len(request[0]) - 1 for request in redis.requests] == [3, 3]
    redis.gate.set()
    assert await asyncio.gather(*waiting) == [b"x"] * 10
    assert redis.most == 2


async def test_a_cancelled_caller_leaves_the_others_alone() -> None:
    redis = FakeRedis({b"a": b"1"})
    redis.gate = asyncio.Event()
    client = client_of(redis)
    first, second = client.get("a"), client.get("a")
    await asyncio.sleep(0)
    first.cancel()
    redis.gate.set()
    assert await second == b"1"


async def test_a_batch_whose_callers_are_all_gone_is_not_sent() -> None:
    redis = FakeRedis({})
    client = client_of(redis)
    client.get("a").cancel()
    await asyncio.sleep(0)
    assert redis.requests == []


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionError("refused"), RetriableError),
        (OSError("down"), RetriableError),
        (ResponseError("MISCONF cannot write"), RetriableError),
        (AuthenticationError("invalid password"), ConfigError),
        (ConnectionError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), ConfigError),
        (ResponseError("ERR syntax"), DataError),
    ],
)
async def test_errors_are_translated_without_the_password(error: Exception, kind: type[ConnectError]) -> None:
    redis = FakeRedis({})
    redis.error = error
    client = client_of(redis)
    for call in (client.get("a"), client.open()):
        with pytest.raises(kind) as caught:
            await call
        assert "redis://example:7000/1" in str(caught.value)
        assert "secret" not in str(caught.value)


async def test_a_key_that_is_no_text_fails_its_caller_only() -> None:
    client = client_of(FakeRedis({b"a": b"1"}))
    good = client.get("a")
    with pytest.raises(DataError):
        client.get("\ud800")
    assert await good == b"1"


async def test_close_fails_what_waits_and_may_be_called_twice() -> None:
    redis = FakeRedis({})
    redis.gate = asyncio.Event()
    client = client_of(redis, connections=1)
    sent = client.get("a")
    await asyncio.sleep(0)
    queued = client.get("b")
    await client.close()
    await client.close()
    for waiting in (sent, queued):
        with pytest.raises(RetriableError, match="closed"):
            await waiting
    with pytest.raises(RetriableError, match="closed"):
        client.get("c")


@pytest.mark.parametrize("url", ["http://u:secret@h", "redis://u:secret@h:port", "redis://u:secret@h?socket_timeout=x"])
def test_a_bad_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RedisSettings(url).client()
    assert "secret" not in str(caught.value)


def test_settings_hide_the_url_and_check_numbers() -> None:
    assert "secret" not in repr(RedisSettings("redis://:secret@h"))
    assert redis_address("rediss://u:p@h:1/2") == "rediss://h:1/2"
    assert redis_address("unix:///run/redis.sock") == "unix:///run/redis.sock"
    with pytest.raises(ConfigError, match="connections"):
        RedisSettings("redis://h", connections=0)
    with pytest.raises(ConfigError, match="timeout_s"):
        RedisSettings("redis://h", timeout_s=0)


def test_self_signed_certificates_can_be_accepted() -> None:
    strict = RedisSettings("rediss://h").client().connection_pool.connection_kwargs
    loose = RedisSettings("rediss://h", tls_verify=False).client().connection_pool.connection_kwargs
    assert strict.get("ssl_cert_reqs", "required") == "required"
    assert (loose["ssl_cert_reqs"], loose["ssl_check_hostname"]) == ("none", False)


def test_addresses_of_clusters_and_sentinels_hide_credentials() -> None:
    assert redis_address("redis+cluster://u:secret@a:1,b") == "redis+cluster://a:1,b:6379"
    assert redis_address("rediss+sentinel://:secret@a,[::1]:2/main/3") == "rediss+sentinel://a:26379,[::1]:2/main/3"
    assert RedisSettings("redis://a", cluster=True).topology == "cluster"


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        ("redis://a,b", {}, "several hosts"),
        ("redis+cluster://a/1", {}, "no databases"),
        ("redis://:secret@a/1", {"cluster": True}, "no databases"),
        ("redis+sentinel://:secret@a", {}, "service"),
        ("redis+sentinel://a/main/x", {}, "service"),
        ("redis+cluster://a?db=1", {}, "options"),
        ("unix:///run/redis.sock", {"cluster": True}, "cluster does not go"),
        ("redis://a", {"tls_ca": "/ca.pem"}, "rediss"),
        ("rediss://a", {"tls_ca": "/there/is/none.pem"}, "no file"),
    ],
)
def test_what_does_not_go_together_is_refused(url: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        RedisSettings(url, **options)
    assert "secret" not in str(caught.value)
