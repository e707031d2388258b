"""Real servers as local processes, for tests, benchmarks and the demo; no Docker needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event

from stack.errors import StackError
from stack.home import Home
from stack.servers import NAMES, Server, make

__all__ = ["NAMES", "Home", "Server", "StackError", "environment", "server", "up"]


def server(name: str) -> Server:
    """Return one server, to stop, start or signal it.

    Raises:
        StackError: There is no such server.
    """
    if name not in NAMES:
        raise StackError(f"There is no server {name}; there are {', '.join(NAMES)}")
    return make(name)


def up(names: Iterable[str] = NAMES, say: Callable[[str, str], None] | None = None) -> dict[str, str]:
    """Have servers running; quick where they do. May be called by several processes at once.

    Args:
        names: Which servers.
        say: Takes a server's name and a word on what it is doing.

    Returns:
        The variables that tell where they are, e.g. `KAFKA_BOOTSTRAP_SERVERS`.

    Raises:
        StackError: One or more could not be started; the text has the last lines of their logs.
    """
    servers = [server(name) for name in names]
    tell = say or (lambda _name, _word: None)
    failures: list[str] = []

    interrupted = Event()

    def one(each: Server) -> None:
        each.interrupted = interrupted
        try:
            each.up(lambda word: tell(each.name, word))
        except StackError as error:
            tell(each.name, "failed")
            failures.append(str(error))

    with ThreadPoolExecutor(max(len(servers), 1)) as pool:
        started = [pool.submit(one, each) for each in servers]
        try:
            wait(started)
        except BaseException:  # Ctrl-C comes here, to the main thread alone; each thread then stops what it started
            interrupted.set()
            raise
        for each in started:
            each.result()
    if failures:
        raise StackError("\n\n".join(failures))
    return environment(names)


def environment(names: Iterable[str] = NAMES) -> dict[str, str]:
    """Return the variables of servers, running or not."""
    return {key: value for name in names for key, value in server(name).environment().items()}
