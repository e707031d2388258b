"""`AsyncRedisRequest` and its client on a real Redis."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from redis.asyncio import Redis

from agents.async_io.function import ResultFuture
from agents.functions.redis import AsyncRedisRequest
from agents.message import Message
from connectors.api.errors import ConfigError, DataError, RetriableError
from connectors.clients.redis import RedisClient, RedisSettings


@pytest_asyncio.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    driver = Redis.from_url(redis_url)
    yield driver
    await driver.aclose()


@pytest_asyncio.fixture
async def client(redis_url: str) -> AsyncIterator[RedisClient]:
    client = RedisClient(RedisSettings(redis_url))
    yield client
    await client.close()


async def results(function: AsyncRedisRequest, value: dict[str, Any], ts_us: int = 1) -> list[Message]:
    got: list[list[Message]] = []
    headers = [("connect.ts_us", b"%d" % ts_us)]
    message = Message.decode("t", 0, 0, None, orjson.dumps(value), headers, 0)
    await function.async_invoke(message, ResultFuture(lambda _, found, __: got.append(found)))
    return got[0]


async def test_many_look_ups_need_few_requests(redis: Redis, client: RedisClient, unique: str) -> None:
    await redis.mset({f"{unique}:{i}": f"v{i}" for i in range(3000)})
    await redis.hset(f"{unique}:hash", mapping={"a": "1", "b": "2"})
    before = (await redis.info("commandstats"))["cmdstat_mget"]["calls"] if await redis.mget("x") else 0
    found = await asyncio.gather(
        *(client.get(f"{unique}:{i}") for i in range(3000)), client.hmget(f"{unique}:hash", ("b", "c"))
    )
    assert found == [*(b"v%d" % i for i in range(3000)), [b"2", None]]
    assert (await redis.info("commandstats"))["cmdstat_mget"]["calls"] - before <= 7


async def test_a_wrong_type_is_an_error_for_its_caller_alone(redis: Redis, client: RedisClient, unique: str) -> None:
    await redis.hset(f"{unique}:hash", "a", "1")
    await redis.set(f"{unique}:text", "x")
    found = await asyncio.gather(
        client.get(f"{unique}:hash"),
        client.get(f"{unique}:text"),
        client.get(f"{unique}:none"),
        client.hmget(f"{unique}:text", ("a",)),
        return_exceptions=True,
    )
    assert found[1:3] == [b"x", None]
    assert isinstance(found[0], DataError)
    assert isinstance(found[3], DataError)


async def test_cancelled_callers_never_mix_up_answers(redis: Redis, client: RedisClient, unique: str) -> None:
    await redis.mset({f"{unique}:{i}": str(i) for i in range(50)})

    async def ask(i: int) -> None:
        try:
            async with asyncio.timeout(0.0005 * (i % 5)):
                found = await client.get(f"{unique}:{i % 50}")
        except TimeoutError:
            return
        assert found == str(i % 50).encode()

    for _ in range(20):
        await asyncio.gather(*(ask(i) for i in range(100)))
    assert await client.get(f"{unique}:7") == b"7"


async def test_the_guard_lets_exactly_the_newest_pass(redis_url: str, redis: Redis, unique: str) -> None:
    function = AsyncRedisRequest(url=redis_url, guard={"key": unique + ":{id}", "ttl_s": 60})
    base = 1_790_000_000_000_000
    try:
        assert len(await results(function, {"id": 1}, base)) == 1
        assert len(await results(function, {"id": 1}, base)) == 1
        assert await results(function, {"id": 1}, base - 1) == []
        await asyncio.gather(*(results(function, {"id": 2}, base + (i * 37) % 100) for i in range(100)))
        assert await redis.get(f"{unique}:2") == str(base + 99).encode()
        assert 0 < await redis.ttl(f"{unique}:2") <= 60
    finally:
        await function.close()


async def test_enrichment_end_to_end(redis_url: str, redis: Redis, unique: str) -> None:
    await redis.hset(f"{unique}:S1", mapping={"style_name": "风格", "style_rank": "1"})
    function = AsyncRedisRequest(
        url=redis_url,
        key=unique + ":{astyle}",
        shape="hash",
        columns={"style_name": "style_name"},
        cache={"ttl_s": 60},
    )
    await function.open()
    try:
        outputs = await asyncio.gather(*(results(function, {"astyle": "S1", "i": i}) for i in range(500)))
        assert all(out[0].value["style_name"] == "风格" for out in outputs)
    finally:
        await function.close()


async def test_no_server_is_retriable_and_says_where() -> None:
    client = RedisClient(RedisSettings("redis://:secret@127.0.0.1:1/0", connect_timeout_s=0.5, retries=0))
    for call in (client.open(), client.get("a")):
        with pytest.raises(RetriableError, match=r"127\.0\.0\.1:1") as caught:
            await call
        assert "secret" not in str(caught.value)
    await client.close()


async def test_wrong_credentials_are_a_config_error(redis_url: str) -> None:
    client = RedisClient(RedisSettings(redis_url.replace("://", "://nobody:secret@")))
    with pytest.raises(ConfigError) as caught:
        await client.open()
    assert "secret" not in str(caught.value)
    await client.close()


async def test_a_frozen_server_fails_within_the_time_given() -> None:
    handlers: list[asyncio.Task[None] | None] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.current_task())
        await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = RedisClient(RedisSettings(f"redis://127.0.0.1:{port}", timeout_s=0.3, retries=0))
    started = time.monotonic()
    with pytest.raises(RetriableError):
        await client.get("a")
    assert time.monotonic() - started < 1.5
    await client.close()
    server.close()
    await asyncio.gather(*(task for task in handlers if task is not None))


async def test_self_signed_tls_works_only_where_it_is_allowed(redis_url: str, tmp_path: Path) -> None:
    parts = urlsplit(redis_url)
    forwards: list[asyncio.Task[None] | None] = []

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
        finally:
            writer.close()
            await writer.wait_closed()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        forwards.append(asyncio.current_task())
        back, forth = await asyncio.open_connection(parts.hostname, parts.port)
        await asyncio.gather(pipe(reader, forth), pipe(back, writer), return_exceptions=True)

    server = await asyncio.start_server(forward, "127.0.0.1", 0, ssl=_self_signed(tmp_path))
    url = f"rediss://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    strict = RedisClient(RedisSettings(url, retries=0))
    with pytest.raises(ConfigError, match="tls_verify"):
        await strict.open()
    await strict.close()
    loose = RedisClient(RedisSettings(url, tls_verify=False))
    await loose.open()
    assert await loose.get("there-is-no-such-key") is None
    await loose.close()
    server.close()
    await asyncio.gather(*(task for task in forwards if task is not None))


def _self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis.example")])
    now = datetime.now(UTC)
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem = folder / "server.pem"
    pem.write_bytes(cert.public_bytes(Encoding.PEM) + private)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    return context
