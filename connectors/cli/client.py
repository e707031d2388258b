"""A small client of a worker's REST interface."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote

from connectors.cli.errors import FAILED, INVALID, NOT_FOUND, UNREACHABLE, CommandError

__all__ = ["Client"]

_CODES = {400: INVALID, 404: NOT_FOUND}


class Client:
    """Talks to one worker, which answers for its whole cluster.

    Args:
        url: The worker's address, e.g. `http://127.0.0.1:8083`.
        timeout_s: Limit of one request.
    """

    def __init__(self, url: str, timeout_s: float = 30) -> None:
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Make a request and return the JSON of the answer; None for an empty one.

        Raises:
            CommandError: The worker refused (exit code 2 or 3) or cannot be reached (5).
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        try:
            request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)
            with urllib.request.urlopen(request, timeout=self._timeout_s) as response:
                text = response.read()
        except urllib.error.HTTPError as error:
            with error:
                message = _message(error.read()) or f"HTTP {error.code} {error.reason}"
            raise CommandError(message, _CODES.get(error.code, FAILED)) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            hint = "start one with `connectors worker`, or say where it is with --url or CONNECTORS_URL"
            raise CommandError(f"No worker answers at {self.url} ({reason}); {hint}", UNREACHABLE) from None
        return json.loads(text) if text else None

    def names(self) -> list[str]:
        """Return the names of all connectors."""
        found: list[str] = self.request("GET", "/connectors")
        return found

    def of(self, name: str, part: str = "") -> str:
        """Return the path of a connector, or of a part of it."""
        return f"/connectors/{quote(name, safe='')}{part and '/' + part}"


def _message(text: bytes) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return ""
