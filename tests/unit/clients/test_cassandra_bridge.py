"""From the driver's callbacks to asyncio, with a driver that the test plays itself."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from cassandra import (
    AuthenticationFailed,
    InvalidRequest,
    OperationTimedOut,
    Unauthorized,
    Unavailable,
    WriteTimeout,
)
from cassandra.cluster import NoHostAvailable
from cassandra.protocol import OverloadedErrorMessage, SyntaxException

from connectors.api.errors import ConfigError, ConnectError, DataError, FatalError, RetriableError
from connectors.clients.cassandra import CassandraClient, CassandraSettings, SchemaChangedError
from connectors.clients.cassandra.bridge import Bridge, Permits
from connectors.clients.cassandra.errors import translate


class Response:
    """The driver's `ResponseFuture`, as far as the bridge sees it."""

    def __init__(self) -> None:
        self.callback: Callable[[Any], None] = lambda _: None
        self.errback: Callable[[BaseException], None] = lambda _: None

    def add_callbacks(self, callback: Callable[[Any], None], errback: Callable[[BaseException], None]) -> None:
        self.callback, self.errback = callback, errback


class Ready(Response):
    """A reply that was there before anyone asked: the driver calls back in the caller's thread."""

    def add_callbacks(self, callback: Callable[[Any], None], errback: Callable[[BaseException], None]) -> None:
        callback("at once")


def bridge(settled: Callable[[], None] = lambda: None) -> Bridge:
    return Bridge(asyncio.get_running_loop(), settled, lambda error: translate(error, "host:1"))


async def test_a_burst_of_replies_wakes_the_loop_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    wakes = []
    original = loop.call_soon_threadsafe

    def counted(*args: Any, **kwargs: Any) -> Any:
        wakes.append(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    under_test = bridge()
    responses = [Response() for _ in range(100)]
    futures = [under_test.submit(response) for response in responses]

    def reactor() -> None:
        for i, response in enumerate(responses):
            response.callback(i)

    thread = threading.Thread(target=reactor)
    thread.start()
    thread.join()  # the loop does not turn meanwhile, so this is one burst
    assert await asyncio.gather(*futures) == list(range(100))
    assert len(wakes) == 1


async def test_the_first_answer_wins() -> None:
    settled = []
    under_test = bridge(lambda: settled.append(1))
    response = Response()
    future = under_test.submit(response)
    response.callback("rows")
    response.errback(RuntimeError("the driver calls this too when a callback raised"))
    assert await future == "rows"
    assert settled == [1]


async def test_a_reply_that_is_there_already() -> None:
    assert await bridge().submit(Ready()) == "at once"


async def test_a_cancelled_request_holds_its_permit_until_the_reply() -> None:
    settled = []
    under_test = bridge(lambda: settled.append(1))
    response = Response()
    future = under_test.submit(response)
    future.cancel()
    await asyncio.sleep(0)
    assert settled == []
    response.callback("late")
    await asyncio.sleep(0)
    assert settled == [1]
    assert future.cancelled()


async def test_errors_are_translated() -> None:
    response = Response()
    future = bridge().submit(response)
    response.errback(OperationTimedOut({"host": "time"}, "host"))
    with pytest.raises(RetriableError, match="host:1: OperationTimedOut"):
        await future


def test_a_reply_after_the_loop_was_closed_harms_nobody() -> None:
    response = Response()
    settled: list[int] = []

    async def start() -> asyncio.Future[Any]:
        return bridge(lambda: settled.append(1)).submit(response)

    future = asyncio.run(start())
    response.callback("late")
    assert settled == []
    assert not future.done()


async def test_permits_are_served_in_order() -> None:
    permits = Permits(2)
    served: list[int] = []

    async def take(n: int) -> None:
        await permits.acquire()
        served.append(n)

    tasks = [asyncio.create_task(take(n)) for n in range(5)]
    await asyncio.sleep(0)
    assert served == [0, 1]
    assert not permits.try_acquire()
    tasks[2].cancel()
    permits.release()
    permits.release()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert served == [0, 1, 3, 4]
    permits.release()
    assert permits.try_acquire()


async def test_a_permit_handed_to_a_cancelled_caller_goes_on() -> None:
    permits = Permits(1)
    await permits.acquire()
    first = asyncio.create_task(permits.acquire())
    await asyncio.sleep(0)
    permits.release()  # handed to `first`, which has not run yet
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert permits.try_acquire()


@pytest.mark.parametrize(
    ("error", "expected", "text"),
    [
        (NoHostAvailable("no", {"h": ConnectionRefusedError("refused")}), RetriableError, "ConnectionRefusedError"),
        (NoHostAvailable("no", {}), RetriableError, "no host is up"),
        (NoHostAvailable("no", ["h"]), RetriableError, "no host is up"),
        (Unavailable("few", consistency=1, required_replicas=2, alive_replicas=1), RetriableError, "Unavailable"),
        (WriteTimeout("slow", write_type=0), RetriableError, "WriteTimeout"),
        (InvalidRequest("Undefined column name x"), SchemaChangedError, "Undefined column"),
        (InvalidRequest("unconfigured table t"), SchemaChangedError, "unconfigured"),
        (InvalidRequest("Key may not be empty"), DataError, "Key may not be empty"),
        (Unauthorized("no MODIFY"), ConfigError, "MODIFY"),
        (SyntaxException(1, "line 1", None), FatalError, "line 1"),
        (DataError("ours"), DataError, "ours"),
        (OverloadedErrorMessage(1, "busy", None), RetriableError, "busy"),
        (TypeError("a bug"), FatalError, "TypeError: a bug"),
    ],
)
def test_each_error_says_what_to_do(error: Exception, expected: type[ConnectError], text: str) -> None:
    found = translate(error, "host:9042")
    assert type(found) is expected
    assert text in str(found)


def test_wrong_credentials_are_one_sentence_without_the_secret() -> None:
    error = NoHostAvailable("no", {"h": AuthenticationFailed("bad password hunter2")})
    found = translate(error, "host:9042")
    assert isinstance(found, ConfigError)
    assert str(found) == (
        "Cassandra refused the user name or the password; check cassandra.username and cassandra.password"
    )


async def test_a_client_that_is_not_connected() -> None:
    client = CassandraClient(CassandraSettings(max_in_flight=1))
    for _ in range(2):  # the permit is given back
        with pytest.raises(FatalError, match="not connected"):
            await client.execute("SELECT")
    await client.close()
    await client.close()


def test_settings_come_from_the_environment() -> None:
    env = {"CASSANDRA_CONTACT_POINTS": "a, b", "CASSANDRA_PORT": "1", "CASSANDRA_LOCAL_DATACENTER": "dc"}
    settings = CassandraSettings.from_env(env)
    assert settings.contact_points == ("a", "b")
    assert settings.where == "a:1,b:1"
    assert settings.local_datacenter == "dc"
    assert CassandraSettings.from_env({}).where == "127.0.0.1:9042"
    with pytest.raises(ConfigError, match="CASSANDRA_PORT"):
        CassandraSettings.from_env({"CASSANDRA_PORT": "x"})


@pytest.mark.parametrize("wrong", [{"consistency": "LOCAL_QUORU"}, {"max_in_flight": 0}, {"max_in_flight": 5000}])
def test_settings_are_checked(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        CassandraSettings(**wrong)
