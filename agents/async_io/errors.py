"""How a request of the async operator can fail."""

from __future__ import annotations

import reprlib
from typing import Any

from connectors.api.errors import ConnectError

__all__ = ["AsyncOperationError", "AsyncTimeoutError"]

_SHORT = reprlib.Repr()
_SHORT.maxother = _SHORT.maxstring = 200


class AsyncOperationError(ConnectError):
    """A request failed and no retry is left; the cause is chained.

    Attributes:
        value: The record whose request failed.
    """

    def __init__(self, function: str, value: Any, error: BaseException) -> None:
        super().__init__(f"{function} failed for {_SHORT.repr(value)}: {type(error).__name__}: {error}")
        self.value = value


class AsyncTimeoutError(ConnectError, TimeoutError):
    """The time of a request was up, all its attempts included.

    Attributes:
        value: The record whose time was up.
    """

    def __init__(self, function: str, value: Any) -> None:
        super().__init__(f"{function} timed out for {_SHORT.repr(value)}")
        self.value = value
