"""A small client of a worker's REST interface."""

from __future__ import annotations

import base64
import json
import ssl
import time
import urllib.error
import urllib.request
from email.message import Message
from http.client import HTTPException
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from connectors.cli.errors import FAILED, NOT_FOUND, UNREACHABLE, USAGE, CommandError, NoWorkerError, refused

__all__ = ["Client"]

_CODES = {404: NOT_FOUND, 502: UNREACHABLE, 503: UNREACHABLE, 504: UNREACHABLE}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_HINT = "start one with `connectors worker`, or say where it is with --url or CONNECTORS_URL"


class Client:
    """Talks to one worker, which answers for its whole cluster.

    Args:
        url: The worker's address, e.g. `http://127.0.0.1:8083`; a user and password in it are sent as basic
            authentication and shown nowhere.
        timeout_s: Limit of one request.
        token: Bearer token, sent where the address has no user.
        ca: File with the certificate that the worker's is signed with; None for the system's.

    Attributes:
        url: The address without user and password.
        deadline: Time of `time.monotonic` that no request outlasts by more than a second, or None.

    Raises:
        CommandError: The address is none (exit code 2).
    """

    def __init__(self, url: str, timeout_s: float = 30, *, token: str | None = None, ca: str | None = None) -> None:
        self.url, self._headers = _address(url)
        if token:
            self._headers.setdefault("Authorization", f"Bearer {token}")
        self.deadline: float | None = None
        self._timeout_s = timeout_s
        # A proxy of the environment is for other hosts; asking it for this one gives a riddle of an error.
        local = urlsplit(self.url).hostname in _LOOPBACK
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})] if local else []
        if ca:
            handlers.append(urllib.request.HTTPSHandler(context=_trusting(ca)))
        self._opener = urllib.request.build_opener(*handlers)

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Make a request and return the JSON of the answer; None for an empty one.

        Raises:
            CommandError: The worker refused (exit codes 1 to 4) or cannot be reached (5).
        """
        text, _headers = self._open(method, path, body)
        try:
            return json.loads(text) if text else None
        except ValueError:
            raise CommandError(f"What answers at {self.url} is no worker: {path} gave no JSON; {_HINT}") from None

    def put_config(self, name: str, config: dict[str, str]) -> str:
        """Create or update a connector; return `created`, `updated` or `unchanged`.

        The worker tells which: secrets are masked in what it shows, so that nobody else could compare. One that does
        not tell (Kafka Connect's own) still gives a Location to what it created.
        """
        _text, headers = self._open("PUT", self.of(name, "config"), config)
        return headers.get("X-Connect-Change") or ("created" if "Location" in headers else "updated")

    def names(self) -> list[str]:
        """Return the names of all connectors."""
        found: list[str] = self.request("GET", "/connectors")
        return found

    def of(self, name: str, part: str = "") -> str:
        """Return the path of a connector, or of a part of it."""
        return f"/connectors/{quote(name, safe='')}{part and '/' + part}"

    def _open(self, method: str, path: str, body: Any) -> tuple[bytes, Message]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, self._headers, method=method)
        try:
            with self._opener.open(request, timeout=self._limit_s()) as response:
                return response.read(), response.headers
        except urllib.error.HTTPError as error:
            raise _refusal(error, configuration=_is_configuration(method, path)) from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise NoWorkerError(f"No worker answers at {self.url} ({reason}); {_HINT}") from None

    def _limit_s(self) -> float:
        if self.deadline is None:
            return self._timeout_s
        # Even the last try gets the time that a worker at work needs for an answer.
        return max(1.0, min(self._timeout_s, self.deadline - time.monotonic()))


def _address(url: str) -> tuple[str, dict[str, str]]:
    """Split an address into what may be shown and the headers of every request."""
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    try:
        parts = urlsplit(url.strip())
        bad = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
    except ValueError:
        bad = True
    if bad:
        # The address itself is not repeated: a password may be the very part that cannot be parsed.
        raise CommandError("--url or CONNECTORS_URL is no address such as http://127.0.0.1:8083", USAGE)
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}", headers


def _trusting(ca: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise CommandError(f"{ca} is no certificate that can be read: {error.strerror or error}", USAGE) from None


def _is_configuration(method: str, path: str) -> bool:
    """Tell whether what a request carries is a connector's configuration."""
    return path.partition("?")[0].endswith(("/config", "/config/validate")) or (method, path) == ("POST", "/connectors")


def _refusal(error: urllib.error.HTTPError, *, configuration: bool) -> CommandError:
    with error:
        message = _message(error) or f"HTTP {error.code} {error.reason}"
    # Kafka Connect tells a rebalance with 409, some versions with 500; what exists already is a 409 as well.
    busy = error.code == 409 and ("Retry-After" in error.headers or "exists" not in message)
    later = busy or error.code in (502, 503, 504) or (error.code == 500 and "rebalance" in message)
    code = refused(message) if configuration and error.code == 400 else _CODES.get(error.code, FAILED)
    return CommandError(message, code, retriable=later)


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["message"])
    except (ValueError, KeyError, TypeError, OSError, HTTPException):
        return ""  # no worker's answer, or half of one: the status says what there is to say
