"""`RedisClient` on a cluster, behind sentinels and over TLS: private servers that may fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from redis import Redis
from redis.cluster import RedisCluster
from redis.crc import key_slot
from redis.exceptions import RedisError

from connectors.api.errors import ConfigError, DataError, RetriableError
from connectors.clients.redis import RedisClient, RedisSettings


def owned_by(node: int) -> list[str]:
    """Keys of one of the three masters."""
    return [f"k{i}" for i in range(300) if key_slot(b"k%d" % i) * 3 // 16384 == node][:20]


async def test_a_cluster_answers_strings_hashes_scripts_and_wrong_types(private_redis: Any) -> None:
    ports = private_redis.start_cluster()
    with RedisCluster(host="127.0.0.1", port=ports[0]) as driver:
        for i in range(300):
            driver.set(f"k{i}", f"v{i}")
            driver.set(f"{{tag}}{i}", f"t{i}")
        driver.hset("hash", mapping={"a": "1"})
    url = f"redis+cluster://127.0.0.1:1,127.0.0.1:{ports[1]}"
    for settings in (RedisSettings(url), RedisSettings(f"redis://127.0.0.1:{ports[2]}", cluster=True)):
        client = RedisClient(settings)
        await client.open()
        found = await asyncio.gather(
            *(client.get(f"k{i}") for i in range(301)),
            *(client.get(f"{{tag}}{i}") for i in range(301)),
            client.hmget("hash", ("a", "b")),
            *(client.eval("return {KEYS[1], ARGV[1]}", f"k{i}", i) for i in range(20)),
        )
        assert found[:301] == [*(b"v%d" % i for i in range(300)), None]
        assert found[301:602] == [*(b"t%d" % i for i in range(300)), None]
        assert found[602] == [b"1", None]
        assert found[603:] == [[b"k%d" % i, b"%d" % i] for i in range(20)]
        with pytest.raises(DataError, match="WRONGTYPE"):
            await client.get("hash")
        await client.close()


async def test_keys_that_move_to_another_node_are_found_all_the_while(private_redis: Any) -> None:
    ports = private_redis.start_cluster()
    nodes = [Redis(port=port, decode_responses=True) for port in ports]
    names = [str(node.execute_command("CLUSTER MYID")) for node in nodes]
    key = owned_by(0)[0]
    slot = key_slot(key.encode())
    same_slot = [f"{{{key}}}{i}" for i in range(50)]
    for name in same_slot:
        nodes[0].set(name, name)
    client = RedisClient(RedisSettings(f"redis+cluster://127.0.0.1:{ports[0]}"))
    done = asyncio.Event()

    async def look_up() -> int:
        rounds = 0
        while not done.is_set():
            # One by one and together: a GET is sent on, an MGET in the middle of a move has to be tried again.
            assert await client.get(same_slot[rounds % 50]) == same_slot[rounds % 50].encode()
            rounds += 1
        return rounds

    looking = asyncio.create_task(look_up())
    for source, target in ((0, 1), (1, 2), (2, 0)):
        await asyncio.to_thread(move, nodes, names, slot, same_slot, source, target, ports)
    done.set()
    assert await looking > 0
    found = await asyncio.gather(*(client.get(name) for name in same_slot))
    assert found == [name.encode() for name in same_slot]
    await client.close()
    for node in nodes:
        node.close()


def move(
    nodes: list[Any], names: list[str], slot: int, keys: list[str], source: int, target: int, ports: list[int]
) -> None:
    """Move a slot as resharding does, key by key."""
    nodes[target].execute_command("CLUSTER SETSLOT", slot, "IMPORTING", names[source])
    nodes[source].execute_command("CLUSTER SETSLOT", slot, "MIGRATING", names[target])
    for key in keys:
        nodes[source].migrate("127.0.0.1", ports[target], key, 0, 1000)
    for node in (nodes[target], nodes[source], *nodes):
        node.execute_command("CLUSTER SETSLOT", slot, "NODE", names[target])


async def test_a_node_that_is_away_fails_its_own_keys_alone(private_redis: Any) -> None:
    ports = private_redis.start_cluster()
    url = f"redis+cluster://:secret@127.0.0.1:{ports[0]}"
    client = RedisClient(RedisSettings(url.replace(":secret@", ""), connect_timeout_s=0.5))
    await client.open()
    lost, fine = owned_by(1), owned_by(2)
    await asyncio.gather(*(client.eval("return redis.call('SET', KEYS[1], 'x')", key) for key in fine))
    assert await asyncio.gather(*(client.get(key) for key in lost)) == [None] * len(lost)
    private_redis.kill(ports[1])
    found = await asyncio.gather(*(client.get(key) for key in [*lost, *fine]), return_exceptions=True)
    assert found[len(lost) :] == [b"x"] * len(fine)
    for error in found[: len(lost)]:
        assert isinstance(error, RetriableError)
        assert f"redis+cluster://127.0.0.1:{ports[0]}" in str(error)
    await client.close()


async def test_no_cluster_and_no_node_at_all_say_what_is_wrong(private_redis: Any) -> None:
    port = private_redis.start()
    client = RedisClient(RedisSettings(f"redis+cluster://127.0.0.1:{port}"))
    with pytest.raises(ConfigError, match="no cluster"):
        await client.open()
    await client.close()
    client = RedisClient(RedisSettings("redis+cluster://u:secret@127.0.0.1:1", connect_timeout_s=0.5))
    for call in (client.open(), client.get("a")):
        with pytest.raises(RetriableError, match=r"127\.0\.0\.1:1") as caught:
            await call
        assert "secret" not in str(caught.value)
    await client.close()


async def test_look_ups_go_on_after_sentinels_made_another_server_the_master(private_redis: Any) -> None:
    master = private_redis.start()
    replica = private_redis.start("--replicaof", "127.0.0.1", str(master))
    with Redis(port=replica) as copy, Redis(port=master) as driver:
        driver.set("a", "1")
        await until(lambda: copy.get("a") == b"1")
    sentinel = private_redis.start_sentinel(master)
    with Redis(port=sentinel, decode_responses=True) as asked:
        await until(lambda: len(asked.execute_command("SENTINEL REPLICAS", "main")) == 1)
    client = RedisClient(RedisSettings(f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel}/main"))
    await client.open()
    assert await client.get("a") == b"1"
    private_redis.kill(master)
    with pytest.raises(RetriableError, match=r"redis\+sentinel://127"):
        await client.get("a")
    async with asyncio.timeout(30):
        while True:
            try:
                assert await client.get("a") == b"1"
                assert await client.eval("return redis.call('SET', KEYS[1], ARGV[1])", "b", "2") == b"OK"
                break
            except RetriableError:
                await asyncio.sleep(0.1)
    await client.close()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds; a server that does not answer yet counts as no."""
    async with asyncio.timeout(10):
        while True:
            try:
                if condition():
                    return
            except RedisError:
                pass
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("scheme", ["rediss", "rediss+cluster"])
async def test_tls_trusts_the_authority_it_is_given(private_redis: Any, tmp_path: Path, scheme: str) -> None:
    certificate, key = self_signed(tmp_path)
    port = private_redis.free_port()
    tls = ("--tls-port", str(port), "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-auth-clients", "no")
    cluster = (
        "--cluster-enabled",
        "yes",
        "--tls-cluster",
        "yes",
        "--tls-ca-cert-file",
        certificate,
        "--cluster-port",
        str(private_redis.free_port()),
    )
    private_redis.start(*tls, *(cluster if "cluster" in scheme else ()), port=port, plain=False)
    with Redis(host="127.0.0.1", port=port, ssl=True, ssl_ca_certs=certificate) as driver:
        await until(driver.ping)
        if "cluster" in scheme:
            driver.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
            await until(lambda: driver.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
    url = f"{scheme}://127.0.0.1:{port}"
    strict = RedisClient(RedisSettings(url, retries=0))
    with pytest.raises(ConfigError, match="tls_ca"):
        await strict.open()
    await strict.close()
    for settings in (RedisSettings(url, tls_ca=certificate), RedisSettings(url, tls_verify=False)):
        client = RedisClient(settings)
        await client.open()
        assert await client.get("there-is-no-such-key") is None
        await client.close()


def self_signed(folder: Path) -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "redis.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "redis.key").write_bytes(private)
    return str(folder / "redis.crt"), str(folder / "redis.key")
