"""Flink's Async I/O for any asynchronous iterable."""

from __future__ import annotations

from agents.async_io.errors import AsyncOperationError, AsyncTimeoutError
from agents.async_io.function import AsyncFunction, ResultFuture
from agents.async_io.retry import RetryStrategy, exponential_backoff, fixed_delay
from agents.async_io.wait import ordered_wait, unordered_wait
from agents.async_io.watermark import Watermark

__all__ = [
    "AsyncFunction",
    "AsyncOperationError",
    "AsyncTimeoutError",
    "ResultFuture",
    "RetryStrategy",
    "Watermark",
    "exponential_backoff",
    "fixed_delay",
    "ordered_wait",
    "unordered_wait",
]
