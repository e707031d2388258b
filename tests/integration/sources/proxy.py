"""A TCP proxy that cuts connections, to have a network that fails at a chosen byte."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType


class CuttingProxy:
    """Passes bytes to a server and back; each of the first connections ends after so many bytes from the server.

    Args:
        host: The server's address.
        port: Its port.
        cuts: For each connection that carries more than `threshold` bytes, the byte after which it is cut.
    """

    def __init__(self, host: str, port: int, cuts: list[int]) -> None:
        self._target = (host, port)
        self._cuts = cuts
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self.cut = 0
        self.silent = False
        """While set, bytes vanish without any connection being ended."""
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> CuttingProxy:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            for sock in [self._listener, *self._sockets]:
                end(sock)
            threads = list(self._threads)
        for thread in threads:
            thread.join(5)
        for sock in self._sockets:
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                self._listener.close()
                return
            server = socket.create_connection(self._target)
            with self._lock:
                self._sockets += [client, server]
                pair = [
                    threading.Thread(target=self._pump, args=(client, server, False), daemon=True),
                    threading.Thread(target=self._pump, args=(server, client, True), daemon=True),
                ]
                self._threads += pair
            for thread in pair:
                thread.start()

    def _pump(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        passed = 0
        try:
            while data := source.recv(4096):
                passed += len(data)
                if counted and self._due(passed):
                    break
                if not self.silent:
                    target.sendall(data)
        except OSError:
            pass  # the other direction ended the connection
        end(source)
        end(target)

    def _due(self, passed: int) -> bool:
        with self._lock:
            if self._cuts and passed >= self._cuts[0]:
                self._cuts.pop(0)
                self.cut += 1
                return True
            return False


def end(sock: socket.socket) -> None:
    with suppress(OSError):  # it ended already
        sock.shutdown(socket.SHUT_RDWR)
